"""How many threads the native core uses, and BLAS kept to one meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from gapfit.errors import ConfigError

__all__ = ["VARIABLE", "available", "native_threads", "use_threads"]

#: Environment variable that sets the default number of threads.
VARIABLE = "GAPFIT_NUM_THREADS"

_chosen: ContextVar[int] = ContextVar("gapfit_threads", default=0)


def available() -> int:
    """Return the default number of threads.

    ``GAPFIT_NUM_THREADS`` if it is set, otherwise the cores this process may run on.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        if hasattr(os, "sched_getaffinity"):
            return max(len(os.sched_getaffinity(0)), 1)
        return os.cpu_count() or 1
    if not text.strip().isdecimal() or not 1 <= int(text) <= 1024:
        raise ConfigError(
            f"environment variable {VARIABLE} = {text!r}: it must be a whole number "
            "from 1 to 1024"
        )
    return int(text)


@contextmanager
def use_threads(n_threads: int | None) -> Iterator[None]:
    """Use `n_threads` in the block; None or 0 keeps what was in force."""
    token = _chosen.set(n_threads) if n_threads else None
    try:
        yield
    finally:
        if token is not None:
            _chosen.reset(token)


@cache
def _blas() -> Any:
    # Looking for the libraries takes milliseconds; setting their threads does not.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def native_threads() -> Iterator[int]:
    """Give the number of threads for a call of the native core.

    BLAS, called from each of them, is held to one thread in the meantime, in the whole
    process.
    """
    n_threads = _chosen.get() or available()
    with _blas().limit(limits=1, user_api="blas"):
        yield n_threads
