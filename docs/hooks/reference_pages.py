"""Pages of the reference that are made from the code: options, and functions of Python."""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

__all__ = ["api_page", "options_page"]

_PACKAGE = Path(__file__).resolve().parents[2] / "gapfit"
# Packages whose public names are listed: those of configurations are in keys.md.
_PACKAGES = {
    "data": "Data",
    "evaluation": "Evaluation",
    "properties": "Properties of crystals",
    "propagation": "Error bars of averages",
    "published": "Published data and potentials",
    "quip": "QUIP",
    "turbogap": "TurboGAP",
    "pacemaker": "pacemaker",
    "lammps": "LAMMPS",
    "torch": "Torch modules",
    "serving": "Forces over a socket",
    "report": "The report",
    "robustness": "Stress tests",
    "search": "Search for terms and sizes",
    "active": "Learning on the fly",
    "citations": "Citations",
    "testing": "Tests of a potential",
}

_OPTIONS_HEAD = """# All options

`gapfit COMMAND --help` prints these pages. [Commands](commands.md) is the overview.
"""
_API_HEAD = """# Python API

Made from the docstrings, with shapes and units. [Python](python.md) is the overview.
Configurations are described by [all keys](keys.md).
"""


def options_page() -> str:
    """Return the help of all commands in Markdown."""
    from gapfit.cli import command_parser

    # The width of the terminal at hand, and colours of newer versions of Python.
    with mock.patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1"}):
        return "\n".join([_OPTIONS_HEAD, *_helps("gapfit", command_parser())])


def _helps(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {name}\n\n```text\n{parser.format_help().rstrip()}\n```\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, inner in action.choices.items():
                yield from _helps(f"{name} {command}", inner)


def api_page() -> str:
    """Return the page of all public names, for mkdocstrings."""
    parts = [_API_HEAD, "## gapfit\n", *_names("gapfit", _PACKAGE / "__init__.py")]
    for package, title in _PACKAGES.items():
        path = _PACKAGE / package / "__init__.py"
        parts.append(f"## {title}: gapfit.{package}\n")
        parts += _names(
            f"gapfit.{package}",
            path if path.exists() else path.parent.with_suffix(".py"),
        )
    return "\n".join(parts)


def _names(package: str, path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            yield from (
                f"::: {package}.{name}\n" for name in names if name != "__version__"
            )
