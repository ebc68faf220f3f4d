"""Packages that only some executors need."""

from __future__ import annotations

from typing import Any

from gapfit.errors import GapfitError

__all__ = ["needed"]


def needed(module: str, extra: str) -> Any:
    """Return a module that the executor `extra` needs, imported.

    Raises
    ------
    GapfitError
        It is missing or does not work: says what to install.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # mpi4py's own without an MPI
        raise GapfitError(
            f'run.executor = "{extra}" needs a package that is missing or does not work '
            f"({error}): pip install 'gapfit[{extra}]'"
        ) from error
