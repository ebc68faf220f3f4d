"""What a search found: trials, their Pareto front, and the choice among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.config.sections import FitConfig
from gapfit.data.observations import Quantity
from gapfit.fitting.fewer_points import refined
from gapfit.fitting.trials import columns
from gapfit.search.front import best_within, pareto_front
from gapfit.search.halving import Task
from gapfit.search.loop import Record
from gapfit.search.trial import TrialResult

__all__ = ["FrontPoint", "SearchResult", "format_front"]


@dataclass(frozen=True)
class FrontPoint:
    """A configuration that no other is better than in both error and cost.

    Attributes
    ----------
    name : str
        Its terms in short words.
    config : FitConfig
        The configuration, ready to fit.
    trial : TrialResult
        Its trial with the largest part of the data.
    """

    name: str
    config: FitConfig
    trial: TrialResult


@dataclass(frozen=True)
class SearchResult:
    """All trials of a search.

    Attributes
    ----------
    records : mapping of Task to Record
        Finished trials, in their order.
    configs : mapping of str to FitConfig
        The configuration of each candidate, with default deltas and sigmas.
    part_sizes : sequence of int
        Frames of each part of the data, ascending.
    most_microseconds : float or None
        Largest cost of the choice, µs per atom.
    complete : bool
        Whether nothing was left to try.
    warnings : tuple of str
        Warnings for the user.
    """

    records: Mapping[Task, Record[TrialResult]]
    configs: Mapping[str, FitConfig]
    part_sizes: Sequence[int]
    most_microseconds: float | None = None
    complete: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def rung(self) -> int:
        """Number of the largest part of the data that was tried; -1 without trials."""
        return max((t.rung for t, r in self.records.items() if r.outcome), default=-1)

    @property
    def on_all_data(self) -> bool:
        """Whether any trial has seen all data."""
        return self.rung == len(self.part_sizes) - 1

    def front(self) -> list[FrontPoint]:
        """Return the front of all trials with the largest part, the cheapest first.

        Costs are those measured; estimates while none is.
        """
        finished = self.finished()
        points = [(trial.error, self._cost(trial)) for _, trial in finished]
        return [
            FrontPoint(name, refined(self.configs[name], trial.config), trial)
            for name, trial in (finished[n] for n in pareto_front(points))
        ]

    def finished(self) -> list[tuple[str, TrialResult]]:
        """Return names and results of the trials with the largest part."""
        return [
            (str(task.candidate), record.outcome)
            for task, record in self.records.items()
            if task.rung == self.rung and record.outcome is not None
        ]

    def best(self) -> FrontPoint:
        """Return the choice: the cheapest of those nearly as accurate as the best.

        `most_microseconds` bounds its cost; where nothing is as cheap it is the cheapest.
        """
        front = self.front()
        points = [(p.trial.error, self._cost(p.trial)) for p in front]
        measured = all(point.trial.microseconds is not None for point in front)
        choice = best_within(points, self.most_microseconds if measured else None)
        return front[0 if choice is None else choice]

    def left_out(self) -> list[str]:
        """Return the candidates that could not be tried, and why."""
        return [
            f"{task.candidate}: {record.problem}"
            for task, record in self.records.items()
            if record.problem
        ]

    def _cost(self, trial: TrialResult) -> float:
        if trial.microseconds is None:
            return trial.operations
        return trial.microseconds

    def summary(self) -> dict[str, Any]:
        """Return front and trials as plain data."""
        front, best = self.front(), self.best()
        return {
            "complete": self.complete,
            "frames": list(self.part_sizes),
            "chosen": [point.name for point in front].index(best.name),
            "front": [{"terms": point.name, **point.trial.plain()} for point in front],
            "trials": [
                {
                    "terms": str(task.candidate),
                    "frames": self.part_sizes[task.rung],
                    "seconds": record.seconds,
                    "error": record.outcome.error if record.outcome else None,
                    "microseconds": record.outcome.microseconds
                    if record.outcome
                    else None,
                    "problem": record.problem or None,
                }
                for task, record in self.records.items()
            ],
            "warnings": list(self.warnings),
        }


def format_front(result: SearchResult) -> str:
    """Return the front as a table; the choice is marked."""
    best = result.best()
    rows: list[tuple[str, ...]] = [
        ("", "terms", "µs/atom", "E, meV/atom", "F, eV/Å", "score", "sigmas E / F / V")
    ]
    for number, point in enumerate(result.front(), start=1):
        errors, sigma = point.trial.held_out, point.config.sigma
        cost = point.trial.microseconds
        rows.append(
            (
                f"{number}{' *' if point.name == best.name else ''}",
                point.name,
                "-" if cost is None else f"{cost:.1f}",
                _number(1000 * errors.energy_mae, ".3g"),
                _number(errors.forces_typical, ".4g"),
                f"{point.trial.error:.4g}",
                " / ".join(f"{getattr(sigma, str(q)):g}" for q in Quantity),
            )
        )
    return columns(rows)


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)
