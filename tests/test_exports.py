"""What the package offers: every public name is there, once, documented, and costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import sumeasync
from sumeasync import errors

PACKAGE = Path(sumeasync.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def label(path: Path) -> str:
    """A module's path as a test's name."""
    return path.relative_to(PACKAGE).as_posix()


def offered(tree: ast.Module) -> list[str] | None:
    """The literal `__all__` of a module."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and getattr(target, "id", None) == "__all__":
            names: list[str] = ast.literal_eval(node.value) if node.value else []
            return names
    return None


def rank(name: str) -> tuple[int, str]:
    """Constants stand first, then classes, then everything else."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[:1].isupper() else 2, name)


def public(body: list[ast.stmt], names: list[str] | None = None) -> Iterator[Definition]:
    """The public definitions of a module or class body, and those inside of public classes."""
    for node in body:
        if isinstance(node, Definition) and (
            node.name in names if names is not None else not node.name.startswith("_")
        ):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("name", sumeasync.__all__)
def test_public_name(name: str) -> None:
    """A public name is what its home module says it is, and documented."""
    value = getattr(sumeasync, name)
    if name == "__version__":
        assert value.count(".") == 2
        return
    home = import_module(value.__module__)
    assert getattr(home, name) is value
    assert name in home.__all__
    assert inspect.getdoc(value)


def test_each_once() -> None:
    """No public name is given twice, and `dir` lists them all."""
    assert len(sumeasync.__all__) == len(set(sumeasync.__all__))
    assert set(sumeasync.__all__) <= set(dir(sumeasync))


def test_what_is_offered() -> None:
    """The package offers the engine, the single calls, their values, and every error there is."""
    chosen = "Engine JobHandle Outcome Policy Run Settings Spec Sume redaction_processor run"
    assert {*errors.__all__, *chosen.split()} <= set(sumeasync.__all__)


def test_unknown_name() -> None:
    """A name that does not exist is refused in the usual words."""
    with pytest.raises(AttributeError, match="module 'sumeasync' has no attribute 'Engin'"):
        _ = sumeasync.Engin


def test_import_is_cheap() -> None:
    """Importing the package brings in none of the libraries it is built on."""
    heavy = "aiohttp anyio asyncio msgspec rich structlog typer".split()
    code = f"import sys, sumeasync; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_module_says_what_it_offers(path: Path) -> None:
    """A module has a docstring and a sorted `__all__` without duplicates, of names it defines."""
    tree = ast.parse(path.read_text("utf-8"))
    names = offered(tree)
    assert ast.get_docstring(tree)
    assert names is not None
    assert names == sorted(set(names), key=rank)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_everything_public_is_documented(path: Path) -> None:
    """A public function, class or method has a docstring; a name that `__all__` leaves out is private."""
    tree = ast.parse(path.read_text("utf-8"))
    bare = [node.name for node in public(tree.body, offered(tree) or []) if not ast.get_docstring(node)]
    assert bare == []
