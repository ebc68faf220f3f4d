"""Bytes that are written to the last one, or not at all.

The operating system may write less than it is asked to, without an error: on a disk that
is nearly full, at a limit for the size of a file, or beyond 2 GiB at a time.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gapfit._support.archive import sync, unwritable

__all__ = ["append_all", "write_all"]


def write_all(stream: BinaryIO, data: bytes | bytearray) -> None:
    """Write bytes to a stream without a buffer, in as many pieces as it takes.

    Raises
    ------
    OSError
        They could not all be written.
    """
    rest = memoryview(data)
    while rest:
        n_written = stream.write(rest)
        if not n_written:
            raise OSError(errno.EIO, "nothing was written")
        rest = rest[n_written:]


def append_all(path: Path, data: bytes, *, wait: bool = True) -> None:
    """Add bytes to the end of a file, which is made if it is missing.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        What to add.
    wait : bool
        Come back only when it is on the disk.

    Raises
    ------
    GapfitError
        They could not all be written; the file is as it was.
    """
    try:
        with path.open("ab", buffering=0) as file:
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
            with suppress(OSError):  # not every file system can do this of a folder
                sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
