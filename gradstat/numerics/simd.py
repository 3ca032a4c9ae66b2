"""Loops over lanes written as LLVM vectors, for the three loops that LLVM does not vectorize well.

LLVM's own choice of interleaving varies, may spill registers, and adds a scalar fallback loop for arrays that may
overlap. Explicit vectors avoid all three, compile faster, and give the same bits on every CPU: a processor with
narrower registers splits a vector, and one without fma calls an exact library function.
"""

# No annotations here: values are numba's and LLVM's.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils

INT, FLOAT = ir.IntType(64), ir.DoubleType()


class Vector:
    """Several lanes of float64 or uint64, or one number. Python's operators emit LLVM instructions."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @property
    def width(self):
        """The number of lanes; 0 for a single number."""
        return getattr(self.value.type, "count", 0)

    @property
    def element(self):
        """The type of one lane."""
        return self.value.type.element if self.width else self.value.type

    def _other(self, other):
        """The value of another vector, or a Python number in every lane."""
        if isinstance(other, Vector):
            return other.value
        number = float(other) if self.element == FLOAT else int(other)
        return ir.Constant(self.value.type, [number] * self.width if self.width else number)

    def _operate(self, of_float, of_int, other):
        operation = getattr(self.builder, of_float if self.element == FLOAT else of_int)
        return Vector(self.builder, operation(self.value, self._other(other)))

    def __add__(self, other):
        return self._operate("fadd", "add", other)

    def __sub__(self, other):
        return self._operate("fsub", "sub", other)

    def __mul__(self, other):
        return self._operate("fmul", "mul", other)

    def __truediv__(self, other):
        return self._operate("fdiv", "", other)

    def __and__(self, other):
        return self._operate("", "and_", other)

    def __or__(self, other):
        return self._operate("", "or_", other)

    def __xor__(self, other):
        return self._operate("", "xor", other)

    def __lshift__(self, other):
        return self._operate("", "shl", other)

    def __rshift__(self, other):
        return self._operate("", "lshr", other)

    def __abs__(self):
        return (self.bits() & ((1 << 63) - 1)).float()

    def _compare(self, sign, other):
        return Vector(self.builder, self.builder.fcmp_ordered(sign, self.value, self._other(other)))

    def __lt__(self, other):
        return self._compare("<", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def equals(self, other):
        """A mask of the lanes that are equal."""
        return self._compare("==", other)

    def negative(self):
        """A mask of the integers whose highest bit is set."""
        zero = self._other(0)
        return Vector(self.builder, self.builder.icmp_signed("<", self.value, zero))

    def select(self, value, other):
        """This mask's choice between two vectors."""
        return Vector(self.builder, self.builder.select(self.value, value.value, other.value))

    def minus_one(self):
        """This mask as integers: −1 where it holds."""
        return self._cast("sext", INT)

    def bits(self):
        """The bit patterns of floats."""
        return self._cast("bitcast", INT)

    def float(self):
        """The floats that have these bit patterns."""
        return self._cast("bitcast", FLOAT)

    def to_float(self):
        """Signed integers as floats."""
        return self._cast("sitofp", FLOAT)

    def _cast(self, how, element):
        kind = ir.VectorType(element, self.width) if self.width else element
        return Vector(self.builder, getattr(self.builder, how)(self.value, kind))

    def fma(self, factor, summand):
        """self·factor + summand, rounded once."""
        return self._intrinsic("llvm.fma", factor, summand)

    def sqrt(self):
        """Square roots, correctly rounded."""
        return self._intrinsic("llvm.sqrt")

    def _intrinsic(self, name, *others):
        operands = [self.value, *(self._other(other) for other in others)]
        kind = ir.FunctionType(self.value.type, [self.value.type] * len(operands))
        suffix = f"v{self.width}f64" if self.width else "f64"
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"{name}.{suffix}")
        return Vector(self.builder, self.builder.call(function, operands))


def chains(x, coefficients):
    """Σ coefficients[i]·xⁱ: E(x²) + x·O(x²), each split again if it has six coefficients or more, then Horner's scheme.

    One chain would wait four cycles per power: erf takes 5.1 ns a lane with one chain and 3.9 with four.
    """
    if len(coefficients) >= 6:
        square = x * x
        return x.fma(chains(square, coefficients[1::2]), chains(square, coefficients[0::2]))
    total, *others = coefficients[::-1]
    for coefficient in others:
        total = x.fma(total, coefficient)
    return total


def splat(builder, scalar, width):
    """A scalar in every lane."""
    kind = ir.VectorType(scalar.type, width)
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return Vector(builder, builder.shuffle_vector(one, one, mask))


def constant(builder, number, width):
    """A Python number in every lane."""
    element = FLOAT if isinstance(number, float) else INT
    return Vector(builder, ir.Constant(ir.VectorType(element, width), [number] * width))


def ascending(builder, width):
    """The integers 0, 1, 2, …"""
    return Vector(builder, ir.Constant(ir.VectorType(INT, width), list(range(width))))


@contextmanager
def lanes(builder, first, end, step):
    """`with lanes(…) as lane`: a loop over [first, end), of LLVM's integers or Python's."""
    bounds = [ir.Constant(INT, bound) if isinstance(bound, int) else bound for bound in (first, end, step)]
    with cgutils.for_range_slice(builder, *bounds, intp=INT) as (lane, _):
        yield lane


def array(context, builder, signature, arguments, position):
    """The structure (data, shape, …) of an array among the arguments of an intrinsic."""
    return context.make_array(signature.args[position])(context, builder, arguments[position])


def pointer(context, builder, signature, arguments, position):
    """The address of the first element of an array among the arguments of an intrinsic, or the address given there."""
    if isinstance(signature.args[position], types.CPointer):
        return arguments[position]
    return array(context, builder, signature, arguments, position).data


def offset(builder, pointer, lane, places=0):
    """The address of the lane at a given offset."""
    return builder.gep(pointer, [builder.add(lane, ir.Constant(INT, places))])


def load(builder, pointer, width):
    """The `width` numbers from this address on."""
    kind = ir.VectorType(pointer.type.pointee, width).as_pointer()
    return Vector(builder, builder.load(builder.bitcast(pointer, kind), align=8))


def store(vector, pointer):
    """Put a vector's lanes at this address."""
    builder = vector.builder
    builder.store(vector.value, builder.bitcast(pointer, vector.value.type.as_pointer()), align=8)


class Registers:
    """Variables of a loop, by name. LLVM keeps them in registers."""

    def __init__(self, builder, initial):
        self.builder = builder
        self.slots = {name: cgutils.alloca_once_value(builder, vector.value) for name, vector in initial.items()}

    def __getitem__(self, name):
        return Vector(self.builder, self.builder.load(self.slots[name]))

    def __setitem__(self, name, vector):
        self.builder.store(vector.value, self.slots[name])
