"""Temporary files and folders, and removal of those that killed processes left.

Each is locked by the process that made it. The lock dies with the process, so whatever can
be locked is left over; where the file system has no locks, nothing is removed. Links are
never followed, and what belongs to other users or has other names stays. On Windows, where
no file can be removed while it is open for its lock, all leftovers stay.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from gapfit._support.disk import writing
from gapfit._support.locks import is_named
from gapfit._support.system import (
    DATA_FLAGS,
    FOLLOW_NO_LINK,
    OPEN_FILES_MOVE,
    WAIT_FOR_NOBODY,
    lock_file,
    user_number,
)

__all__ = [
    "sweep",
    "sweep_once",
    "target_of",
    "temporary_file",
    "temporary_folder",
]

_FILE = re.compile(r"\.(.+)\.gapfit-[a-z0-9_]{8}(\.[^.]+)")
_FOLDER = re.compile(r"gapfit-[a-z0-9_]{8}\.work")
_LOCK = "gapfit.lock"
_FLAGS = DATA_FLAGS | FOLLOW_NO_LINK


def target_of(name: str) -> str | None:
    """Return the name of the file that a temporary file is for.

    None if the name is not one that `temporary_file` gives.
    """
    match = _FILE.fullmatch(name)
    if match and match[2] == (Path(match[1]).suffix or ".tmp"):
        return match[1]
    return None


def temporary_file(target: Path) -> tuple[int | None, str]:
    """Make an empty file beside a target, with its suffix.

    Returns
    -------
    descriptor, name : int or None, str
        The file is locked until the descriptor is closed; None where it could not be
        renamed while it is open.
    """
    while True:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{target.name}.gapfit-",
            suffix=target.suffix or ".tmp",
            dir=target.parent,
        )
        if not OPEN_FILES_MOVE:
            os.close(descriptor)
            return None, name
        if lock_file(descriptor) is not False and is_named(descriptor, name):
            return descriptor, name
        os.close(descriptor)  # another process took it for a leftover
        with suppress(OSError):
            Path(name).unlink()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder in that of `tempfile` (``TMPDIR``) and delete it after the block.

    Raises
    ------
    GapfitError
        It cannot be made.
    """
    with writing("the folder for temporary files"):
        parent = Path(tempfile.gettempdir())
    sweep(parent)
    with writing(parent):
        path, lock = _locked_folder(parent)
    try:
        yield path
    finally:
        if OPEN_FILES_MOVE:
            _delete(path)
            os.close(lock)
        else:
            os.close(lock)
            _delete(path)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it."""
    while True:
        path = Path(tempfile.mkdtemp(".work", "gapfit-", parent))
        with suppress(FileNotFoundError):  # another process took it for a leftover
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            if lock_file(lock) is not False and is_named(lock, path / _LOCK):
                return path, lock
            os.close(lock)
            _delete(path)


def _delete(path: Path) -> None:
    """Delete a folder; its lock goes last, or nobody could tell whose the rest is."""
    with suppress(OSError):
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                entry.unlink(missing_ok=True)
        (path / _LOCK).unlink(missing_ok=True)
        path.rmdir()


def sweep(folder: Path) -> None:
    """Delete the temporary files and folders in a folder that dead processes left."""
    if not OPEN_FILES_MOVE:
        return
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return
    for name in names:
        if target_of(name):
            _sweep_file(folder / name)
        elif _FOLDER.fullmatch(name):
            _sweep_folder(folder / name)


#: The same, for the first call with a folder only.
sweep_once = cache(sweep)


def _sweep_file(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | WAIT_FOR_NOBODY | _FLAGS)
        try:
            if _is_leftover(descriptor, path):
                path.unlink()
        finally:
            os.close(descriptor)


def _sweep_folder(path: Path) -> None:
    with suppress(OSError):
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != user_number():
            return
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | _FLAGS)
        except FileNotFoundError:
            path.rmdir()  # refused unless it is empty
            return
        try:
            if _is_leftover(lock, path / _LOCK):
                _delete(path)
        finally:
            os.close(lock)


def _is_leftover(descriptor: int, path: Path) -> bool:
    """Return whether a file is one of this user that no process holds; lock it."""
    info = os.fstat(descriptor)
    return (
        stat.S_ISREG(info.st_mode)
        and info.st_uid == user_number()
        and lock_file(descriptor) is True
        and is_named(descriptor, path)
    )
