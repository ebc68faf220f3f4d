"""Packages of the extras, which only some settings need."""

from __future__ import annotations

from typing import Any

from gapfit.errors import GapfitError

__all__ = ["needed"]


def needed(module: str, extra: str, setting: str) -> Any:
    """Import and return a module that a setting needs.

    Parameters
    ----------
    module : str
        Name of the module.
    extra : str
        Extra of gapfit that installs it.
    setting : str
        What asks for it, for the message.

    Raises
    ------
    GapfitError
        The module is missing or does not work; the message says what to install.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py without an MPI
        raise GapfitError(
            f"{setting} needs a package that is missing or does not work "
            f"({error}): pip install 'gapfit[{extra}]'"
        ) from error
