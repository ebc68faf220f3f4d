"""Types of the compiled core, for mypy and editors: those of the compiled module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from builders import ROOT

from gapfit import _core

CORE = ROOT / "gapfit" / "_core"


def test_the_stub_is_what_nanobind_makes_of_the_module(tmp_path):
    pytest.importorskip("nanobind.stubgen")
    made = tmp_path / "_native.pyi"
    # python -m nanobind.stubgen -m gapfit._core._native -o gapfit/_core/_native.pyi
    module = "gapfit._core._native"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", module, "-o", made]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Versions of nanobind write the same types in other words.
    assert signatures(made.read_text("utf-8")) == signatures(
        (CORE / "_native.pyi").read_text("utf-8")
    )


def signatures(stub: str) -> dict[str, list[tuple[str, set[str]]]]:
    """Return the parameters of all functions and methods, and the words of their types."""

    def words(annotation: ast.expr | None) -> set[str]:
        return set(
            re.findall(r"[A-Za-z][\w.]*", ast.unparse(annotation or ast.Name("")))
        )

    return {
        f"{parent}.{node.name}": [
            *((arg.arg, words(arg.annotation)) for arg in node.args.args),
            ("return", words(node.returns)),
        ]
        for parent, body in parents(ast.parse(stub))
        for node in body
        if isinstance(node, ast.FunctionDef)
    }


def parents(tree: ast.Module) -> list[tuple[str, list[ast.stmt]]]:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [("", tree.body), *((node.name, node.body) for node in classes)]


def test_the_types_of_the_package_are_those_of_its_names():
    tree = ast.parse((CORE / "__init__.pyi").read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported | {"instruction_set"} == set(_core.__all__)
    stub = parents(ast.parse((CORE / "_native.pyi").read_text("utf-8")))
    defined = {node.name for node in stub[0][1] if hasattr(node, "name")}
    assert {getattr(_core, name).__name__ for name in imported} <= defined
