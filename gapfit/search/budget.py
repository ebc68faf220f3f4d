"""Time and cost as people write them, and how much of a time is left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from gapfit.errors import GapfitError

__all__ = ["Budget", "OutOfTimeError", "Pace", "parse_cost", "parse_time"]

_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MICRO = {"us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3}
_QUANTITY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-zµμ]*)")
# Trials may end this much later than the budget, relative to it.
_LATE = 0.05


def parse_time(text: str) -> float:
    """Return a time such as ``"20m"`` in seconds.

    Examples
    --------
    >>> parse_time("90s"), parse_time("20m"), parse_time("1.5 h")
    (90.0, 1200.0, 5400.0)
    """
    return _parsed(text, _SECONDS, "--budget", "a time with its unit, 90s, 20m or 2h")


def parse_cost(text: str) -> float:
    """Return a time per atom such as ``"25us"`` in microseconds.

    Examples
    --------
    >>> parse_cost("25us"), parse_cost("0.1 ms")
    (25.0, 100.0)
    """
    return _parsed(
        text, _MICRO, "--cost", "a time per atom with its unit, such as 25us"
    )


def _parsed(text: str, units: dict[str, float], option: str, wanted: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if match and match[2] in units and float(match[1]) > 0:
        return float(match[1]) * units[match[2]]
    raise GapfitError(f"{option} {text!r}: give {wanted}")


class OutOfTimeError(Exception):
    """The budget is used up in the middle of a trial."""


class Budget:
    """A time that trials may take together.

    Parameters
    ----------
    seconds : float
        The time, s.
    clock : callable
        Returns the present time, s.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._started = clock()

    @property
    def spent(self) -> float:
        """Time since the start, s."""
        return self._clock() - self._started

    def spend(self, seconds: float) -> None:
        """Count a time before the start, s."""
        self._started -= seconds

    def allows(self, seconds: float | None) -> bool:
        """Return whether a trial of this length, s, ends in time; None: not known."""
        return self.spent + (seconds or 0.0) < self.seconds

    def check(self) -> None:
        """Raise `OutOfTimeError` once the budget is exceeded by more than is allowed."""
        if self.spent > (1 + _LATE) * self.seconds:
            raise OutOfTimeError


class Pace:
    """Least time of trials, from the fastest one and a measure of their work.

    Small trials take more time for their work than large ones. A trial that is stopped
    takes only time that the search has no other use for.
    """

    def __init__(self) -> None:
        self._rate: float | None = None

    def add(self, work: float, seconds: float) -> None:
        """Take a finished trial into account."""
        rate = seconds / work
        self._rate = rate if self._rate is None else min(rate, self._rate)

    def expected(self, work: float) -> float | None:
        """Return the least time of a trial, s; None before any."""
        return None if self._rate is None else work * self._rate
