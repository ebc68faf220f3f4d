"""Files that are written for other programs: their names, and whether they exist."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gapfit.errors import GapfitError

__all__ = ["require_expressible", "require_target"]


def require_target(path: Path, suffix: str, reader: str, *, overwrite: bool) -> None:
    """Refuse a path that cannot be written to.

    Parameters
    ----------
    path : Path
        The file.
    suffix : str
        Its suffix, with the dot.
    reader : str
        The program that reads it, for the message.
    overwrite : bool
        Whether it may exist already.

    Raises
    ------
    GapfitError
        It has another suffix, is a folder, or exists.
    """
    if path.suffix != suffix:
        raise GapfitError(
            f"{path}: {reader} reads {suffix}; give a name with this suffix"
        )
    if path.is_dir():
        raise GapfitError(f"{path}: is a folder; give the name of a file in it")
    if path.exists() and not overwrite:
        raise GapfitError(
            f"{path}: exists already; give another name, or replace it with "
            "overwrite=True or --force"
        )


def require_expressible(head: str, obstacles: Iterable[str]) -> None:
    """Refuse a model that the format of another program cannot hold.

    Parameters
    ----------
    head : str
        First line of the message.
    obstacles : iterable of str
        All reasons; none if the format holds the model.

    Raises
    ------
    GapfitError
        There are reasons, and all are listed.
    """
    if lines := [f"  - {reason}" for reason in obstacles]:
        raise GapfitError("\n".join([head, *lines]))
