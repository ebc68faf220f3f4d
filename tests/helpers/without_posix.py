"""A Python that has taken away what only POSIX systems, or only Linux, have.

Run as ``python without_posix.py windows|macos SCRIPT [ARGUMENT ...]``: the libraries that
gapfit needs are imported first, then the calls vanish, then the script runs. On "windows"
files that are open can no longer be renamed, replaced or deleted, nor can folders with open
files; what was opened for reading cannot be synchronised, folders cannot be opened, and
locks are those of msvcrt. What this cannot show: paths of Windows, its C library, its
console.
"""

from __future__ import annotations

import builtins
import fcntl
import importlib
import io
import os
import runpy
import signal
import socket
import sys
import tempfile
import types
from typing import Any

# What these take from the system while they are imported is theirs.
for _name in (
    *(
        "numpy",
        "scipy.linalg",
        "scipy.optimize",
        "scipy.special",
        "ase.io",
        "ase.build",
    ),
    *(
        "dscribe.descriptors",
        "pydantic",
        "rich.console",
        "threadpoolctl",
        "multiprocessing",
    ),
    *(
        "ase.calculators.calculator",
        "concurrent.futures.process",
        "subprocess",
        "tempfile",
    ),
    *("matplotlib.pyplot", "shutil", "zipfile", "scipy.spatial", "scipy.stats"),
    *("multiprocessing.popen_spawn_posix", "ase.optimize", "ase.eos", "ase.io.extxyz"),
):
    importlib.import_module(_name)

_MISSING_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "syslog", "pty")
_MISSING: dict[Any, tuple[str, ...]] = {
    os: (
        *(
            "fork",
            "forkpty",
            "register_at_fork",
            "sched_getaffinity",
            "preadv",
            "pread",
        ),
        *(
            "pwritev",
            "pwrite",
            "geteuid",
            "getuid",
            "getgid",
            "sysconf",
            "killpg",
            "mkfifo",
        ),
        *("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "statvfs", "chown"),
    ),
    signal: ("SIGHUP", "SIGUSR1", "SIGALRM", "pthread_sigmask", "alarm", "setitimer"),
    socket: ("AF_UNIX",),
}
_open, _os_open, _stat, _listdir = builtins.open, os.open, os.stat, os.listdir


def _is_proc(path: Any) -> bool:
    if not isinstance(path, str | os.PathLike):
        return False
    # threadpoolctl looks for libraries there, in its own way on each system.
    name = os.fspath(path)
    return str(name).startswith("/proc/") and name != "/proc/self/maps"


def _open_files() -> set[str]:
    """Return the paths of the files that this process has open."""
    paths = set()
    for number in _listdir("/proc/self/fd"):
        try:
            paths.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
        except OSError:
            continue  # that of the list itself
    return paths


def _guarded(function: Any) -> Any:
    """Return a function of paths that refuses what is open."""

    def guarded(*paths: Any, **options: Any) -> Any:
        for path in paths:
            full = os.path.abspath(path)
            if any(p == full or p.startswith(full + os.sep) for p in _open_files()):
                raise PermissionError(13, "The process cannot access the file", path)
        return function(*paths, **options)

    return guarded


def _without_proc() -> None:
    def refusing(function: Any) -> Any:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if _is_proc(path):
                raise FileNotFoundError(2, "No such file or directory", path)
            return function(path, *arguments, **options)

        return call

    os.stat, os.open = refusing(_stat), refusing(os.open)  # type: ignore[assignment]
    builtins.open = io.open = refusing(_open)


def _like_windows() -> None:
    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, _guarded(getattr(os, name)))
    status_flags, lock = fcntl.F_GETFL, fcntl.LOCK_EX | fcntl.LOCK_NB
    get_flags, flock, fsync = fcntl.fcntl, fcntl.flock, os.fsync

    def synchronised(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if get_flags(number, status_flags) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        fsync(number)

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(13, "Permission denied", path)
        return _os_open(path, flags, *arguments, **options)

    def locking(descriptor: int, mode: int, n_bytes: int) -> None:
        assert (mode, n_bytes) == (2, 1)
        try:
            flock(descriptor, lock)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    os.fsync, os.open = synchronised, opened
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # type: ignore[assignment]
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.locking = 2, locking  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = msvcrt
    for name in _MISSING_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in _MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


def main(kind: str, script: str, *arguments: str) -> None:
    """Run a script on such a system."""
    if kind == "windows":
        _like_windows()
    elif hasattr(os, "sched_getaffinity"):
        del os.sched_getaffinity, os.preadv
    _without_proc()
    assert not [name for name in sys.modules if name.split(".")[0] == "gapfit"]
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
