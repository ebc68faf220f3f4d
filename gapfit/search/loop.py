"""Trials one after the other until the budget ends; known ones are not repeated."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gapfit.search.budget import Budget, OutOfTimeError, Pace
from gapfit.search.halving import Outcome, Task

__all__ = ["Record", "follow"]

_Outcome = TypeVar("_Outcome", bound=Outcome)


@dataclass(frozen=True)
class Record(Generic[_Outcome]):
    """A finished trial.

    Attributes
    ----------
    outcome : Outcome or None
        What it found; None if it could not be made.
    problem : str
        Why not; empty if it could.
    work : float
        Measure of its size, in arbitrary units.
    seconds : float
        Time that it took, s.
    """

    outcome: _Outcome | None
    problem: str = ""
    work: float = 0.0
    seconds: float = 0.0


def follow(
    sequence: Generator[Task, _Outcome | None, None],
    attempt: Callable[[Task], Record[_Outcome]],
    known: Mapping[Task, Record[_Outcome]],
    budget: Budget,
    work: Callable[[Task], float],
    done: Callable[[Task, Record[_Outcome]], None],
) -> bool:
    """Make the trials of a sequence in turn, and return whether it ended in time.

    Parameters
    ----------
    sequence : generator
        See `gapfit.search.halving.halving`.
    attempt : callable
        Makes a trial. It may raise `OutOfTimeError`.
    known : mapping of Task to Record
        Trials of an earlier search.
    budget : Budget
        A trial that would not end within it at the best pace is not started.
    work : callable
        Returns the size of a trial, to which its time is about proportional; 0 where
        it cannot be made.
    done : callable
        Called with each trial, also with those that are known.
    """
    pace = Pace()
    task = next(sequence, None)
    while task is not None:
        record = known.get(task)
        if record is None:
            size = work(task)
            if not budget.allows(pace.expected(size)):
                return False
            started = budget.spent
            try:
                record = attempt(task)
            except OutOfTimeError:
                return False
            record = replace(record, work=size, seconds=budget.spent - started)
        done(task, record)
        if record.outcome is not None and record.work:
            pace.add(record.work, record.seconds)
        try:
            task = sequence.send(record.outcome)
        except StopIteration:
            return True
    return True
