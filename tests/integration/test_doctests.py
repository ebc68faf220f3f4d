"""The examples in the docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import gapfit

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(gapfit.__path__, "gapfit.")
    # The core is compiled, and torch may be missing.
    if not module.name.startswith(("gapfit._core.", "gapfit.torch."))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES]
    found = [t for module in modules for t in finder.find(module) if t.examples]
    assert len(found) >= 5
