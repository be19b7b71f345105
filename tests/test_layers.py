"""The shape of the code, kept by reading it: layers, sizes, and tests that say what they promise."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sumeasync

PACKAGE = Path(sumeasync.__file__).parent
TESTS = Path(__file__).parent
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50

VALUES = {"errors", "models"}
DOING = VALUES | {"core", "logs"}
MAY_IMPORT = {
    "errors": VALUES,
    "models": VALUES,
    "core": VALUES,
    "logs": VALUES | {"core"},
    "io": DOING,
    "dialects": DOING,
    "engine": DOING | {"io", "dialects"},
    "sume": DOING | {"io", "dialects", "engine"},
    "simulator": VALUES | {"core"},
    "testing": DOING | {"io", "dialects", "engine", "simulator"},
    "cli": DOING | {"io", "dialects", "engine", "sume", "simulator", "testing", "sumeasync"},
    "__main__": {"cli", "errors"},
    "sumeasync": DOING | {"io", "dialects", "engine", "sume"},
}
"""What each layer may import beside itself; the package itself only names others, for type checkers."""

DECIDES = {"asyncio", "anyio", "aiohttp", "aiofiles", "threading", "socket", "time", "random", "secrets", "os"}
"""What brings time, chance or the outside world; `core` gets these as arguments."""

TYPE_ONLY = "from random import Random"
"""The one import from there that is allowed: the type of an argument."""

CHANCE_AND_CLOCKS = {"Random", "uuid.uuid1", "uuid.uuid4", "datetime.now", "datetime.utcnow", "datetime.today", "open"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
SOURCES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("*.py"))


def layer(name: str) -> str:
    """The layer of a module, by its dotted name."""
    return name.split(".")[1] if "." in name else name


def imported(node: ast.AST) -> Iterator[str]:
    """The dotted names that one statement imports; of a package, the submodules that are meant."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in TREES else node.module or ""


def at_run_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, but for what only type checkers see."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from at_run_time(getattr(node, inner, []))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(node: Function) -> int:
    """How many lines a function's body takes, without its docstring and signature."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", TREES)
def test_imports_point_down(name: str) -> None:
    """A module imports only from its own layer and those below it, wherever in it the import stands."""
    own = layer(name)
    found = {target for node in ast.walk(TREES[name]) for target in imported(node)}
    layers = {layer(target) for target in found if target.split(".")[0] == "sumeasync"}
    assert layers - MAY_IMPORT[own] - {own} == set()


def test_no_cycles() -> None:
    """No module needs, while it is imported, a module that needs it."""
    graph = {
        name: {target for node in at_run_time(tree.body) for target in imported(node) if target in TREES} - {name}
        for name, tree in TREES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" needs ".join(error.args[1]))


@pytest.mark.parametrize("name", [name for name in TREES if layer(name) == "core"])
def test_core_does_nothing(name: str) -> None:
    """The core imports nothing that tells the time, draws chance or does I/O; of `random` only the type."""
    tree = TREES[name]
    doing = (node for node in ast.walk(tree) if ast.unparse(node) != TYPE_ONLY)
    found = {target for node in doing for target in imported(node)}
    assert {target.split(".")[0] for target in found} & DECIDES == set()
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls & CHANCE_AND_CLOCKS == set()


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_modules_are_short(path: Path) -> None:
    """A module can be read in one go."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("name", TREES)
def test_functions_are_short(name: str) -> None:
    """A function fits on a screen."""
    lengths = {node.name: body_lines(node) for node in functions(TREES[name])}
    assert {each: lines for each, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_tests_say_what_they_promise(path: Path) -> None:
    """Every test has a docstring, and none sleeps for real."""
    tree = ast.parse(path.read_text("utf-8"))
    tests = [node for node in functions(tree) if node.name.startswith("test_")]
    assert [node.name for node in tests if not ast.get_docstring(node)] == []
    assert not any(ast.unparse(node.func) == "time.sleep" for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_layers_are_all_there() -> None:
    """Every module belongs to a layer with a rule, and standard names are what the core is kept from."""
    assert {layer(name) for name in TREES} == MAY_IMPORT.keys()
    assert {name for name in DECIDES if name not in sys.stdlib_module_names} == {"anyio", "aiohttp", "aiofiles"}
