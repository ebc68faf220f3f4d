"""Errors of disks and folders as sentences: which file, what happened, and the cure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gapfit._support.system import FOLLOW_NO_LINK
from gapfit.errors import GapfitError, shortened

__all__ = [
    "cure",
    "in_short",
    "opened_for_writing",
    "sentence",
    "unreadable",
    "unwritable",
    "writing",
]

_CURES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EIO: "the disk or its connection fails: check it, or choose another place",
    errno.EROFS: "choose a place that is not read-only",
    errno.EACCES: "change the permissions, or choose another place",
    errno.EPERM: "change the permissions, or choose another place",
}


def cure(error: OSError) -> str:
    """Return what to do about an error of the operating system."""
    return _CURES.get(error.errno or 0, "choose another place")


def in_short(error: BaseException) -> str:
    """Return the kind and the message of an error, in a part of one line.

    Examples
    --------
    >>> in_short(ValueError("no  number"))
    'ValueError: no number'
    """
    text = shortened(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def sentence(error: OSError) -> str:
    """Return what happened to which file, and what to do about it.

    Examples
    --------
    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.xyz"))
    'a.xyz: No such file or directory'
    >>> sentence(OSError(28, "No space left on device"))
    'a disk failed (No space left on device); free some space there'
    """
    if error.filename is not None:
        what = f"{error.filename}: {error.strerror}"
    elif error.errno in _CURES:
        what = f"a disk failed ({error.strerror})"
    else:
        return str(error)
    return f"{what}; {_CURES[error.errno]}" if error.errno in _CURES else what


def unwritable(path: Path | str, error: OSError) -> GapfitError:
    """Return the error that says why a file cannot be written, and what to do."""
    return GapfitError(
        f"{path}: cannot be written ({error.strerror or error}); {cure(error)}"
    )


def unreadable(path: Path | str, error: OSError) -> GapfitError:
    """Return the error that says why a file cannot be read, and what to do."""
    advice = (
        _CURES[errno.EIO]
        if error.errno == errno.EIO
        else "correct its name or its permissions"
    )
    return GapfitError(f"{path}: cannot be read ({error.strerror or error}); {advice}")


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn an OSError in the block into a GapfitError about a file.

    Parameters
    ----------
    path : path
        File or folder that the block writes, for errors that name none.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(error.filename or path, error) from error


def opened_for_writing(path: Path, *, append: bool) -> BinaryIO:
    """Return a file opened for writing, unbuffered.

    Parameters
    ----------
    path : Path
        The file; made if it is missing.
    append : bool
        Write after what it contains, instead of emptying it.

    Raises
    ------
    GapfitError
        It cannot be opened, or is a link: what that points to must not be written to.
    """
    if path.is_symlink():
        raise GapfitError(
            f"{path}: is a link to {path.readlink()}, which would be written to; remove "
            "the link"
        )

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | FOLLOW_NO_LINK, 0o666)

    with writing(path):
        return open(path, "ab" if append else "wb", buffering=0, opener=opened)
