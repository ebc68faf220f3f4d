"""Memory of this process as the system reports it; the module imports fast."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

__all__ = ["in_words", "peak_bytes", "release_freed", "resident_bytes"]


def resident_bytes() -> int:
    """Return the memory that this process uses now, bytes.

    Where the system does not report it, return the peak so far.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """Return the peak memory of this process so far, bytes; 0 if unknown."""
    try:
        # getrusage would also count the process that started this one.
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def release_freed() -> None:
    """Hand freed memory back to the system, where the C library can be asked to.

    glibc keeps some tens of MB for each thread that has used them.
    """
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def in_words(n: float) -> str:
    """Return a number of bytes as text with a suitable unit.

    Examples
    --------
    >>> in_words(410_300_000), in_words(2_340_000_000)
    ('410 MB', '2.3 GB')
    """
    for unit in ("B", "kB", "MB"):
        if n < 999.5:
            return f"{n:.0f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"
