"""The plan of the tests: they mirror the package, are short, and share by helpers only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from sources import ROOT, rooms

TESTS = ROOT / "tests"
MOST_LINES = 600
# Folders that mirror no room of the package.
OTHERS = {
    "benchmarks",
    "contract",
    "faults",
    "fuzz",
    "helpers",
    "integration",
    "packaging",
    "quip_models",
    "structure",
}
MODULES = {
    path.relative_to(TESTS).as_posix(): path.read_text("utf-8")
    for pattern in ("test_*.py", "conftest.py")
    for path in sorted(TESTS.rglob(pattern))
}


def _imported(text: str) -> Iterator[str]:
    """Yield all words of the names that a module imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield from name.split(".")


def _is_fixture(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        ast.unparse(mark).startswith("pytest.fixture") for mark in node.decorator_list
    )


def test_folders_are_rooms():
    folders = {path.name for path in TESTS.iterdir() if any(path.glob("*.py"))}
    assert folders - OTHERS <= {room.lstrip("_") for room in rooms()}


def test_no_test_module_imports_another():
    names = {Path(path).stem for path in MODULES}
    assert len(names) > 80
    assert not [path for path, text in MODULES.items() if names & set(_imported(text))]


def test_modules_are_short():
    lines = {path: len(text.splitlines()) for path, text in MODULES.items()}
    assert not {path: n for path, n in lines.items() if n > MOST_LINES}


def test_conftest_holds_fixtures_only():
    passed_over = (ast.Expr, ast.Import, ast.ImportFrom)
    others = [
        (path, ast.unparse(node))
        for path, text in MODULES.items()
        if path.endswith("conftest.py")
        for node in ast.parse(text).body
        if not isinstance(node, passed_over) and not _is_fixture(node)
    ]
    assert not others
