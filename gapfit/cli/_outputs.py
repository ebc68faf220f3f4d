"""Checks of output files, made before the work that fills them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gapfit.errors import GapfitError

__all__ = ["EXTENDED_XYZ", "check_output", "make_output_folder"]

#: Suffixes of structure files.
EXTENDED_XYZ = (".extxyz", ".xyz")


def check_output(
    path: Path,
    suffixes: Sequence[str] = (),
    *,
    force: bool = True,
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuse an output file that cannot be written or would replace an input.

    Parameters
    ----------
    path : Path
        The file to write.
    suffixes : sequence of str
        Allowed suffixes, such as ``".png"``; any by default.
    force : bool
        Whether an existing file may be replaced.
    inputs : iterable of str or Path
        Files that the command reads; they need not exist.

    Raises
    ------
    GapfitError
        The message says what is wrong with the path.
    """
    from gapfit._support.archive import require_writable

    if path.is_dir():
        raise GapfitError(f"{path}: is a folder; give the name of a file in it")
    if suffixes and path.suffix not in suffixes:
        raise GapfitError(
            f"{path}: ends in {path.suffix!r}; give a name that ends in "
            f"{' or '.join(suffixes)}"
        )
    _require_parent(path)
    require_writable(path)
    if not path.exists():
        return
    for file in map(Path, inputs):
        if file.exists() and path.samefile(file):
            raise GapfitError(
                f"{path}: is an input and would be replaced; give another name"
            )
    if not force:
        raise GapfitError(
            f"{path}: exists already; give another name, or --force to replace it"
        )


def make_output_folder(path: Path, file: str) -> None:
    """Make an output folder if it is missing, and refuse one that is not writable.

    Parameters
    ----------
    path : Path
        The folder; its parent must exist.
    file : str
        Name of a file to be written there, for the message.

    Raises
    ------
    GapfitError
        The message says what is wrong with the path.
    """
    from gapfit._support.archive import require_writable
    from gapfit._support.disk import unwritable

    if path.exists() and not path.is_dir():
        raise GapfitError(f"{path}: is a file; give a folder with --output")
    _require_parent(path)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None
    require_writable(path / file)


def _require_parent(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise GapfitError(f"{path}: there is no folder {path.parent}; make it first")
