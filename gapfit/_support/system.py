"""What operating systems do differently, in one place.

POSIX systems lock whole files, rename and delete files that are open, and read at a place
without moving there. Windows has other calls for some of it and none for the rest.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = [
    "DATA_FLAGS",
    "FOLLOW_NO_LINK",
    "OPEN_FILES_MOVE",
    "WAIT_FOR_NOBODY",
    "descriptors_have_paths",
    "lock_file",
    "path_of_descriptor",
    "read_at",
    "user_number",
]


def _module(name: str) -> Any:
    """Return a module of the standard library; None where the system has none."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _flags(*names: str) -> int:
    """Return the flags of `os.open` by those names that this system knows."""
    value = 0
    for name in names:
        value |= getattr(os, name, 0)
    return value


_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")

#: Whether a file that is open can be renamed, replaced and deleted.
OPEN_FILES_MOVE = _fcntl is not None
#: Bytes as they are, and no descriptor for child processes.
DATA_FLAGS = _flags("O_CLOEXEC", "O_NOINHERIT", "O_BINARY")
#: An error for a symbolic link; Windows has no such flag.
FOLLOW_NO_LINK = _flags("O_NOFOLLOW")
#: A pipe is opened at once.
WAIT_FOR_NOBODY = _flags("O_NONBLOCK")

_moving = Lock()


def lock_file(descriptor: int) -> bool | None:
    """Lock an open file until its descriptor is closed, without waiting.

    Returns
    -------
    bool or None
        Whether that worked; None where there are no locks.
    """
    try:
        if _fcntl is not None:
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        elif _msvcrt is not None:
            os.lseek(descriptor, 0, os.SEEK_SET)
            _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
        else:
            return None
    except BlockingIOError:
        return False
    except PermissionError:
        # Windows says so of a file that is locked; elsewhere it means: no locks here.
        return None if _fcntl is not None else False
    except OSError:
        return None
    return True


def read_at(descriptor: int, buffer: memoryview, start: int) -> int:
    """Fill a buffer of bytes from a place in an open file; return how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], start)
    if hasattr(os, "pread"):
        data = os.pread(descriptor, len(buffer), start)
    else:
        with _moving:
            before = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, start, os.SEEK_SET)
            data = os.read(descriptor, len(buffer))
            os.lseek(descriptor, before, os.SEEK_SET)
    buffer[: len(data)] = data
    return len(data)


def descriptors_have_paths() -> bool:
    """Return whether other processes can open what this one has open, as on Linux."""
    return Path(f"/proc/{os.getpid()}/fd").is_dir()


def path_of_descriptor(descriptor: int) -> str:
    """Return the path by which other processes can open a descriptor of this one."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def user_number() -> int:
    """Return the number that the files of this user have; on Windows all have 0."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
