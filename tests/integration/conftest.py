"""Scripts of the benchmarks as modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from builders import ROOT


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import scripts by their names, as they do each other; forget them afterwards."""
    folder = ROOT / "tests" / "benchmarks"
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.syspath_prepend(folder)
    yield import_module
    sys.path[:] = path
    for name in set(sys.modules) - before:
        where = getattr(sys.modules[name], "__file__", None)
        # A folder without __init__.py has no file.
        if name == "peers" or (where and Path(where).is_relative_to(folder)):
            del sys.modules[name]
