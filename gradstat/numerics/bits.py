"""Intrinsics that numba lacks: fused multiply-add, bit casts, a call by address."""

# No annotations here: numba reads the signatures of intrinsics.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

U64 = np.uint64  # a Python int beside a uint64 would make numba fall back to float64
ZERO, ONE, TWO = U64(0), U64(1), U64(2)
SIGN_SHIFT = U64(62)  # from bit 1 to the sign
TWO_52 = 2.0**52  # its bits carry an integer below 2⁵² in the low mantissa
TWO_52_BITS = U64(0x4330000000000000)
ROUNDER = 1.5 * 2.0**52


@intrinsic
def fma(typingctx, a, b, c):
    """a·b + c rounded once, on every CPU: one instruction with FMA3, an exact library call without."""
    signature = types.float64(types.float64, types.float64, types.float64)

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return signature, generate


@intrinsic
def bits_of(typingctx, value):
    """The 64 bits of a float64 as uint64."""
    signature = types.uint64(types.float64)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return signature, generate


@intrinsic
def float_of(typingctx, bits):
    """The float64 that has these 64 bits."""
    signature = types.float64(types.uint64)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return signature, generate


@intrinsic
def at(typingctx, pointer, place):
    """The address of element `place` behind a pointer."""
    signature = pointer(pointer, types.int64)

    def generate(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return signature, generate


@intrinsic(prefer_literal=True)
def leading(typingctx, pointer, count):
    """The first numbers behind a pointer, as a tuple; their count must be known at compile time."""
    kind = types.Tuple([pointer.dtype] * count.literal_value)
    signature = kind(pointer, count)

    def generate(context, builder, signature, arguments):
        places = [builder.gep(arguments[0], [ir.Constant(ir.IntType(64), i)]) for i in range(len(kind))]
        return context.make_tuple(builder, kind, [builder.load(place) for place in places])

    return signature, generate


@intrinsic
def words_at(typingctx, numbers, place):
    """The address of float64 number `place`, as that of uint64 words."""
    signature = types.CPointer(types.uint64)(numbers, types.int64)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(64).as_pointer())

    return signature, generate


@intrinsic
def call_layer(typingctx, address, shape, constants, x, dy, noise, y, dx):
    """Call the compiled layer at `address` with pointers to its seven arrays.

    An address in an int64 array instead of numba's first-class functions: those are marked experimental and
    cost 0.1 ms to unbox each, at every call of the block kernel (measured with eight layers: 1 ms a block).
    """
    return _call(address, (shape, constants, x, dy, noise, y, dx))


@intrinsic
def call_step(typingctx, address, state, table, step, numbers):
    """Call the compiled step of a batch at `address` (see `estimation/steps.py`)."""
    return _call(address, (state, table, step, numbers))


def _call(address, others):
    """The type and the code of a call by address: of an array its first element's address, of a number itself."""
    signature = types.void(types.int64, *others)

    def generate(context, builder, signature, arguments):
        values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args[1:], arguments[1:], strict=True)
        ]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return signature, generate
