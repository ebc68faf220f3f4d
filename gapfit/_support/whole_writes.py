"""Write bytes, and files that belong together, completely or not at all.

The operating system may write less than asked without an error: on a nearly full disk, at a
limit for the size of a file, or beyond 2 GiB at a time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from gapfit._support.archive import atomic_write, sync
from gapfit._support.disk import opened_for_writing, unwritable

__all__ = ["append_all", "write_all", "write_together"]

_Result = TypeVar("_Result")


def write_all(stream: BinaryIO, data: bytes | bytearray) -> None:
    """Write bytes to an unbuffered stream, in as many pieces as necessary.

    Raises
    ------
    OSError
        Not all bytes could be written.
    """
    unwritten = memoryview(data)
    while unwritten:
        n_written = stream.write(unwritten)
        if not n_written:
            raise OSError(errno.EIO, "nothing was written")
        unwritten = unwritten[n_written:]


def append_all(path: Path, data: bytes, *, wait: bool = True) -> None:
    """Append bytes to a file, which is created if it is missing.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        The bytes to append.
    wait : bool
        Return only once they are on the disk.

    Raises
    ------
    GapfitError
        Not all bytes could be written, or the file is a link; it is unchanged.
    """
    try:
        with opened_for_writing(path, append=True) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                write_all(file, data)
                if wait:
                    os.fsync(file.fileno())
            except BaseException:
                with suppress(OSError):
                    file.truncate(size)
                raise
        if wait and not size:
            with suppress(OSError):  # some file systems cannot sync a folder
                sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def write_together(
    path: Path,
    sides: Mapping[Path, Callable[[Path], _Result]],
    document: Callable[[list[_Result]], str],
) -> None:
    """Write files, and then the one that names them.

    Parameters
    ----------
    path : Path
        The file that names the others; replaced last.
    sides : mapping of Path to callable
        What writes each of the others to the path that it is given. Their names have to be
        unique to their contents: those that exist are replaced one by one.
    document : callable
        Takes what writing each of the others returned; returns the ASCII text of `path`.

    Raises
    ------
    GapfitError
        A file cannot be written; `path` is unchanged, and none of the others is new.
    """
    new = [side for side in sides if not side.exists()]
    try:
        with atomic_write(path) as naming:
            results = []
            # One after the other: there may be more of them than files can be open.
            for side, write in sides.items():
                with atomic_write(side) as temporary:
                    results.append(write(temporary))
            naming.write_text(document(results), encoding="ascii")
    except BaseException:
        for side in new:
            side.unlink(missing_ok=True)
        raise
