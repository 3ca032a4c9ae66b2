"""The order of the packages, read from their imports: each imports only from those above it in PACKAGES."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gradstat

PACKAGE = Path(gradstat.__file__).parent
FLOORS = (
    *("bottom", "numerics", "text", "layer_types", "estimation", "results", "runs"),
    *("constants", "solving", "verification", "plots", "networks", "face", "cli", "roof"),
)
BOTTOM = {
    "gradstat.errors",
    "gradstat.input_files",
    "gradstat.limits",
    "gradstat.time_limit",
    "gradstat.toml_file",
    "gradstat.config",
    "gradstat.assumptions",
    "gradstat.shipped",
    "gradstat.arithmetic",
    "gradstat.arithmetic_values",
    "gradstat.distributions",
    "gradstat.estimators",
}
STRANGERS = {"constants", "verification", "plots"}  # none of them imports another
FACE = {"gradstat", "gradstat.listings", "gradstat.sources"}
ROOF = {"gradstat.__main__"}
COAT = ("gradstat", "gradstat.errors", "gradstat.toml_file", "gradstat.cli", "gradstat.text")  # what commands import
LONGEST = 400
TABLES = {"gradstat", "gradstat.layer_types.activations"}  # a table of functions, of layers: may be longer

# What numba offers for compiling; everything else in it (types, carray, intrinsic …) takes no options.
COMPILERS = {
    *("jit", "njit", "cfunc", "vectorize", "guvectorize", "stencil", "jit_module", "jitclass", "generated_jit"),
    *("overload", "overload_method", "overload_attribute", "register_jitable"),
}
OPTIONS = {"nogil", "fastmath", "error_model", "boundscheck", "parallel", "nopython", "forceinline", "jit_options"}


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
IN_COMMANDS = sorted(module for module in MODULES if module.startswith("gradstat.cli"))
IN_LAYERS = sorted(module for module in MODULES if module.startswith("gradstat.layer_types"))
IN_REFEREE = [module for module in IN_LAYERS if module.startswith("gradstat.layer_types.exact")]


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports_of(tree: ast.Module, module: str = "gradstat.x") -> Iterator[str]:
    """Every imported module or name, wherever in the file it stands: `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(tree: ast.Module, module: str = "gradstat.x") -> set[str]:
    """The gradstat modules among them."""
    found = set()
    for name in imports_of(tree, module):
        if name.split(".")[0] == "gradstat" and name != "gradstat.__version__":
            while name not in MODULES:
                name = name.rpartition(".")[0]
            found.add(name)
    return found


def floor_of(module: str) -> int:
    if module in BOTTOM:
        return 0
    if module in FACE:
        return FLOORS.index("face")
    return FLOORS.index("roof" if module in ROOF else module.split(".")[1])


def climbs(module: str, tree: ast.Module) -> list[str]:
    """Imports that go up."""
    own = FLOORS[floor_of(module)]
    return [
        f"{module} imports {other}"
        for other in imported_modules(tree, module)
        for target in [FLOORS[floor_of(other)]]
        if floor_of(other) > floor_of(module) or (own != target and {own, target} <= STRANGERS)
    ]


def everything_below(module: str) -> set[str]:
    """The gradstat modules that importing `module` imports, directly or not."""
    found: set[str] = set()
    todo = [module]
    while todo:
        for other in imported_modules(tree_of(todo.pop())) - found:
            found.add(other)
            todo.append(other)
    return found


def test_imports_go_down() -> None:
    assert [found for module in MODULES for found in climbs(module, tree_of(module))] == []


def test_every_floor_is_there() -> None:
    assert {floor_of(module) for module in MODULES} == set(range(len(FLOORS)))


def test_an_import_that_goes_up_is_caught() -> None:
    for line in (
        "from gradstat.layer_types.registry import LAYERS",
        "def f():\n    import gradstat.cli.app",
        "from gradstat import results",
        "from gradstat.estimation import run as r",
    ):
        assert climbs("gradstat.numerics.draws", ast.parse(line))
    assert climbs("gradstat.layer_types.registry", ast.parse("from gradstat.numerics.draws import LANES")) == []


def under_the_coat(tree: ast.Module) -> set[str]:
    """What a command imports that is neither public nor text."""
    return {
        module
        for module in imported_modules(tree)
        if module not in COAT and not module.startswith(("gradstat.cli.", "gradstat.text."))
    }


def test_the_command_line_is_a_coat_over_the_face() -> None:
    assert {module: found for module in IN_COMMANDS if (found := under_the_coat(tree_of(module)))} == {}


def test_a_command_that_reaches_inside_is_caught() -> None:
    for line in ("from gradstat.runs import driver", "from gradstat import networks", "import gradstat.results.store"):
        assert under_the_coat(ast.parse(line))
    for line in ("import gradstat", "from gradstat import run", "from gradstat.text.tables import Report"):
        assert not under_the_coat(ast.parse(line))


def test_modules_are_short() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST and module not in TABLES} == {}


def test_click_is_for_the_command_line() -> None:
    users = {module for module in MODULES for name in imports_of(tree_of(module)) if name.split(".")[0] == "click"}
    assert users
    assert users <= set(IN_COMMANDS)


# Numba ------------------------------------------------------------------------------------------------------------


def compiles(tree: ast.Module) -> list[str]:
    """Uses of numba's compilers or of their options."""
    found = [
        name
        for name in imports_of(tree)
        if name.split(".")[0] == "numba" and (name.split(".")[-1] in COMPILERS or name.endswith("*"))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [f"{node.value.id}.{node.attr}"] * (node.value.id in ("numba", "nb") and node.attr in COMPILERS)
        if isinstance(node, ast.keyword) and node.arg in OPTIONS:
            found.append(node.arg)
    return found


def test_one_module_has_the_options_of_numba() -> None:
    assert [module for module in MODULES if compiles(tree_of(module))] == ["gradstat.numerics.jit"]


def test_options_of_numba_in_another_module_are_caught() -> None:
    for line in (
        "from numba import njit",
        "import numba\n@numba.njit\ndef f(): pass",
        "from numba import *",
        "from numba.extending import overload",
        "@compiled(fastmath=True)\ndef f(): pass",
    ):
        assert compiles(ast.parse(line)), line


def test_layers_use_nothing_of_numerics_but_elementary_functions() -> None:
    """Neither numba nor the sampler: a layer and its referee share the functions of the formula and nothing else."""
    for module in IN_LAYERS:
        below = everything_below(module)
        numerics = {other for other in below if other.startswith("gradstat.numerics.")}
        assert numerics <= {"gradstat.numerics.elementary"}, module
        outside = {name.split(".")[0] for m in (module, *below) for name in imports_of(tree_of(m))}
        assert not outside & {"numba", "llvmlite", "pandas", "pyarrow", "click", "rich"}, module
        assert "gradstat.config" not in below or module == "gradstat.layer_types.from_config", module


def test_the_referee_imports_no_layer() -> None:
    allowed = {
        "gradstat.assumptions",
        "gradstat.distributions",
        "gradstat.layer_types.record",
        "gradstat.numerics",
        "gradstat.numerics.elementary",
    }
    for module in IN_REFEREE:
        assert imported_modules(tree_of(module)) - set(IN_REFEREE) <= allowed, module


def asks_for_a_name(tree: ast.Module) -> list[str]:
    """Comparisons of the name of a layer, distribution or estimator with a text."""
    comparisons = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    return [
        ast.unparse(node)
        for node in comparisons
        if ast.unparse(node.left).endswith(("layer.name", ".distribution", "estimator.name", ".estimator"))
        and any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in node.comparators)
    ]


def test_no_module_asks_for_the_name_of_a_record() -> None:
    """`if layer.name == "relu"` means that the record lacks a field."""
    assert {module: asked for module in MODULES if (asked := asks_for_a_name(tree_of(module)))} == {}


def test_asking_for_the_name_of_a_record_is_caught() -> None:
    for line in ('case.layer.name == "relu"', 'x.distribution != "normal"', 'config.estimator == "mc"'):
        assert asks_for_a_name(ast.parse(line))
    assert not asks_for_a_name(ast.parse("case.layer.name == other.layer.name"))


HEAVY = ("flint", "numba", "llvmlite", "pandas", "pyarrow", "pydantic", "click", "rich", "scipy", "mpmath")
IMPORTS = {
    "gradstat.layer_types.registry": HEAVY,
    "gradstat.layer_types.exact.order_statistics": HEAVY,
    "gradstat.layer_types.from_config": tuple(name for name in HEAVY if name != "pydantic"),
    "gradstat.config": (*(name for name in HEAVY if name != "pydantic"), "numpy"),
    "gradstat.errors": (*HEAVY, "numpy"),
    "gradstat": (*HEAVY, "numpy"),
    "gradstat.cli": (*(name for name in HEAVY if name != "click"), "numpy"),
}


@pytest.mark.parametrize("module", IMPORTS)
def test_importing_is_light(module: str) -> None:
    """In a process of its own: what importing this module must not load."""
    code = f"import sys, {module}; print(*sorted({{n.split('.')[0] for n in sys.modules}} & {set(IMPORTS[module])!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=60
    )
    assert done.stdout.split() == []
