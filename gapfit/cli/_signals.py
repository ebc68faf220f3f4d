"""An orderly end after SIGTERM and SIGHUP, with the exit status that shells expect."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gapfit._support.termination import Terminated

__all__ = ["orderly_end"]

# Windows has no SIGHUP.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
]
#: Seconds in which a signal that comes again does not disturb the end.
_PAUSE = 3.0


@contextmanager
def orderly_end() -> Iterator[None]:
    """Raise `Terminated` in the block at a signal that would kill the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -_PAUSE

    def end(number: int, _: object) -> None:
        # Batch systems send it to the process, and once more to its group.
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= _PAUSE:
            raise Terminated(number)

    # Others stay: signals that the user ignores (nohup), handlers of MPI.
    handled = [n for n in _SIGNALS if signal.getsignal(n) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in handled:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)
