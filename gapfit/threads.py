"""Number of threads of the native core; BLAS is limited to one during its calls."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from functools import cache
from typing import Any, TypeVar

from gapfit.errors import ConfigError

__all__ = [
    "VARIABLE",
    "available",
    "blas_threads",
    "ignored_values",
    "limited",
    "native_threads",
    "one_thread",
    "side_by_side",
    "use_threads",
]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Environment variable that sets the default number of threads.
VARIABLE = "GAPFIT_NUM_THREADS"
_VARIABLES_OF_OTHERS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
_MOST = 1024
# Seconds to wait for the calls of daemon threads at the end of the process.
_PATIENCE = 10.0

_chosen: ContextVar[int] = ContextVar("gapfit_threads", default=0)


def available() -> int:
    """Return the default number of threads.

    ``GAPFIT_NUM_THREADS`` if it is set; else the first number of ``OMP_NUM_THREADS``; else
    ``SLURM_CPUS_PER_TASK``; else the cores this process may run on. Values of the latter
    two variables that are no numbers are ignored, see `ignored_values`.
    """
    text = os.environ.get(VARIABLE)
    if text is not None:
        if (n_threads := _number(text)) is None:
            raise ConfigError(
                f"environment variable {VARIABLE} = {text!r}: it must be a whole number "
                f"from 1 to {_MOST}"
            )
        return n_threads
    for name in _VARIABLES_OF_OTHERS:
        if n_threads := _number_of_others(name):
            return n_threads
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def ignored_values() -> list[tuple[str, str]]:
    """Return names and values of the variables that `available` looks at in vain."""
    ignored: list[tuple[str, str]] = []
    if VARIABLE in os.environ:
        return ignored
    for name in _VARIABLES_OF_OTHERS:
        if _number_of_others(name):
            break
        if value := os.environ.get(name, "").strip():
            ignored.append((name, value))
    return ignored


def _number_of_others(name: str) -> int | None:
    """Return the number in a variable of OpenMP or Slurm; None if there is none."""
    # OpenMP has a number for each level of nested loops.
    return _number(os.environ.get(name, "").partition(",")[0])


def _number(text: str) -> int | None:
    """Return the number of threads that a text says; None if it says none."""
    text = text.strip()
    valid = (
        text.isdecimal() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST
    )
    return int(text) if valid else None


@contextmanager
def use_threads(n_threads: int | None) -> Iterator[None]:
    """Use `n_threads` in the block; None or 0 keeps the present number."""
    valid = n_threads is None or (
        isinstance(n_threads, int) and not isinstance(n_threads, bool)
    )
    if not valid or not 0 <= (n_threads or 0) <= _MOST:
        raise ConfigError(
            f"n_threads = {n_threads!r}: it must be a whole number from 1 to {_MOST}, "
            "or None for all cores"
        )
    token = _chosen.set(n_threads) if n_threads else None
    try:
        yield
    finally:
        if token is not None:
            _chosen.reset(token)


@contextmanager
def limited(n_threads: int | None) -> Iterator[None]:
    """Limit the core, BLAS and OpenMP to `n_threads`; None leaves them as they are."""
    # Not at the top: predictions need no threadpoolctl.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=n_threads), use_threads(n_threads):
        yield


@cache
def _blas() -> Any:
    # Looking for the libraries takes milliseconds; setting their threads does not.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads() -> Any:
    """Return a context in which BLAS uses the number of threads set by `use_threads`."""
    n_threads = _chosen.get()
    return (
        _blas().limit(limits=n_threads, user_api="blas") if n_threads else nullcontext()
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread here and in BLAS, for the same result on any machine."""
    with _blas().limit(limits=1, user_api="blas"), use_threads(1):
        yield


def side_by_side(
    function: Callable[[_Item], _Result], items: Iterable[_Item], most: int
) -> Iterator[_Result]:
    """Yield the results of a function in the order of its arguments.

    Each is computed on one thread, so that it is the same on any machine; as many at once
    as there are threads, but `most` at most. At an error those not yet begun are given up.
    """
    n_threads = max(1, min(_chosen.get() or available(), most))
    if n_threads == 1:
        for item in items:
            with one_thread():
                result = function(item)
            yield result
        return
    pool = ThreadPoolExecutor(n_threads)

    def begun(item: _Item) -> Future[_Result]:
        context = copy_context()
        context.run(_chosen.set, 1)
        return pool.submit(context.run, function, item)

    with _blas().limit(limits=1, user_api="blas"):
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in items:
                waiting.append(begun(item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # A consumer that stops early leaves the generator to the garbage collector,
            # which may run in one of these threads: it could not wait for itself.
            pool.shutdown(wait=False, cancel_futures=True)


class _NativeCalls:
    """Running calls of the core: limits BLAS to one thread, waits for them at the exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._limit: Any = None
        self._closing = False

    def __enter__(self) -> None:
        if self._closing and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()
        with self._lock:
            if self._running == 0:
                self._limit = _blas().limit(limits=1, user_api="blas")
                self._limit.__enter__()
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._limit.__exit__(None, None, None)

    def close(self) -> None:
        # A daemon thread that returns from the core while the interpreter exits is
        # killed in the middle of C++ frames, which aborts the process.
        self._closing = True
        patience = time.monotonic() + _PATIENCE
        while self._running and time.monotonic() < patience:
            time.sleep(0.001)

    def after_fork(self) -> None:
        # The other threads of the parent, and their calls, do not exist here.
        if self._running:
            self._limit.__exit__(None, None, None)
        self._lock, self._running = threading.Lock(), 0


_calls = _NativeCalls()
atexit.register(_calls.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calls.after_fork)


@contextmanager
def native_threads() -> Iterator[int]:
    """Give the number of threads for a call of the native core.

    BLAS, called from each of them, is limited to one thread in the whole process until the
    call returns.
    """
    n_threads = _chosen.get() or available()
    with _calls:
        yield n_threads
