"""Searches with a clock and trials of the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builders import labelled_frames, silicon

from gapfit.config.sections import FitConfig
from gapfit.errors import GapfitError
from gapfit.gp.evidence import HeldOut
from gapfit.search import SearchResult, driver, tune_within
from gapfit.search.sizes import TrialSizes
from gapfit.search.trial import TrialResult
from helpers.tuning import settings


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Found:
    """An outcome without a trial."""

    error: float
    operations: float


def many_frames() -> list:
    """Return 63 frames of 64 atoms, of which 21 are tried first."""
    return labelled_frames(lambda: silicon() * (2, 2, 2), 7) * 9


class QuickTrials:
    """Errors from the terms alone; a trial with all data takes a second of the clock.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Puts them in the place of real ones.

    Attributes
    ----------
    clock : Clock
        Passes with the trials.
    made : list of (int, str)
        Frames and terms of all trials.
    stop_at : int or None
        Number of the trial that is interrupted.
    fail : str
        Trials whose terms have this word fail.
    favourite : str
        Terms with this text are the best and the cheapest.
    """

    def __init__(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(driver, "tried", self)
        monkeypatch.setattr(TrialSizes, "work", lambda *given: 1.0 + 2.0 * given[2])
        self.clock = Clock()
        self.made: list[tuple[int, str]] = []
        self.stop_at: int | None = None
        self.fail = self.favourite = "(no terms)"

    def __call__(
        self, prepared: Any, config: FitConfig, options: Any, **given: Any
    ) -> TrialResult:
        if len(self.made) == self.stop_at:
            raise KeyboardInterrupt
        share = len(prepared.frames) / 63
        self.clock.now += share
        given["progress"]("rows", 0, 1)
        words = str(config.terms)
        self.made.append((len(prepared.frames), words))
        if self.fail in words:
            raise GapfitError(f"no trials of {self.fail}")
        soap, *others = config.terms
        points = getattr(soap, "n_sparse", 1) / share**0.5
        error = (
            0.05 + 1 / points + 0.02 * abs(soap.r_cut - 5.0) + 0.1 / (1 + len(others))
        )
        cost = None if given["cell"] is None else 1e-3 * given["operations"]
        if self.favourite in words:
            error, given["operations"] = 0.01, 1.0
        held_out = HeldOut(error / 10, error / 8, error, float("nan"))
        return TrialResult(config, error, held_out, given["operations"], cost)

    def search(self, seconds: float = 1000.0, **options: Any) -> SearchResult:
        """Search on a few frames of silicon."""
        return tune_within(
            seconds, many_frames(), settings(), clock=self.clock, **options
        )
