"""Write bytes completely or not at all.

The operating system may write less than asked without an error: on a nearly full disk, at a
limit for the size of a file, or beyond 2 GiB at a time.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gapfit._support.archive import sync
from gapfit._support.disk import opened_for_writing, unwritable

__all__ = ["append_all", "write_all"]


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
