"""The source of gapfit as syntax trees: what its modules import, and where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gapfit"


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of every module by its path inside gapfit."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def modules() -> frozenset[str]:
    """Return the dotted names of all modules and packages."""
    names = (path.removesuffix(".py").replace("/", ".") for path in trees())
    return frozenset(f"gapfit.{name}".removesuffix(".__init__") for name in names)


def rooms() -> set[str]:
    """Return the packages and modules at the top of gapfit."""
    tops = {path.partition("/")[0].removesuffix(".py") for path in trees()}
    return tops - {"__init__", "__main__"}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the modules of gapfit that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.split(".")[0] == "gapfit")
    elif isinstance(node, ast.ImportFrom) and node.module:
        if node.module.split(".")[0] != "gapfit":
            return
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            yield name if name in modules() else node.module


def inside_functions(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of gapfit that are imported inside functions."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                yield from imported(node)
