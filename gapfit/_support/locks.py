"""Locks on files, which end with the process that holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gapfit._support.disk import writing
from gapfit._support.system import (
    DATA_FLAGS,
    FOLLOW_NO_LINK,
    OPEN_FILES_MOVE,
    lock_file,
)
from gapfit.errors import GapfitError

__all__ = ["is_named", "locked"]


def is_named(descriptor: int, path: Path | str) -> bool:
    """Return whether a path is still the name of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, busy: GapfitError) -> Iterator[None]:
    """Hold the lock of a file, which exists only meanwhile.

    Parameters
    ----------
    path : Path
        The file; left by a killed process, it is used and removed.
    busy : GapfitError
        Raised if another process holds the lock.
    """
    descriptor = _opened(path, busy)
    try:
        yield
    finally:
        if OPEN_FILES_MOVE:
            # Before the lock ends: nobody else may have this file locked.
            if is_named(descriptor, path):
                path.unlink(missing_ok=True)
            os.close(descriptor)
        else:
            os.close(descriptor)
            with suppress(OSError):  # the next process has it open
                path.unlink(missing_ok=True)


def _opened(path: Path, busy: GapfitError) -> int:
    """Return the descriptor of the locked file."""
    flags = os.O_RDWR | os.O_CREAT | DATA_FLAGS | FOLLOW_NO_LINK
    while True:
        if path.is_symlink():
            raise GapfitError(
                f"{path}: is a link where gapfit makes a file of its own; remove the link"
            )
        with writing(path):
            descriptor = os.open(path, flags, 0o666)
        if lock_file(descriptor) is False:
            os.close(descriptor)
            raise busy
        # The process that held it before may have removed it meanwhile.
        if is_named(descriptor, path):
            return descriptor
        os.close(descriptor)
