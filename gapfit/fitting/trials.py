"""Trials of tuning, their errors, and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gapfit.config.sections import FitConfig
from gapfit.data.observations import Quantity
from gapfit.gp.evidence import HeldOut
from gapfit.gp.hyperparameters import (
    score,
)

__all__ = ["Trial", "Tuning", "columns", "format_trials"]


@dataclass(frozen=True)
class Trial:
    """One candidate with the hyperparameters chosen for it.

    Attributes
    ----------
    settings : dict of str to value
        Scanned keys and the values tried.
    config : FitConfig
        The configuration with all chosen values, without ``[tune]``.
    log_marginal_likelihood : float
        Value at the chosen hyperparameters.
    held_out : HeldOut
        Errors of held-out frames, predicted by the fit without them.
    """

    settings: dict[str, Any]
    config: FitConfig
    log_marginal_likelihood: float
    held_out: HeldOut

    def score(self, kind: str) -> float:
        """Return the number to minimise; see `gapfit.config.sections.TuneConfig`."""
        if kind == "evidence":
            return -self.log_marginal_likelihood
        return score(kind, self.held_out)

    def plain(self) -> dict[str, Any]:
        """Return the trial as plain data, None where there are no targets."""
        errors = asdict(self.held_out)
        return {
            "settings": self.settings,
            "delta": [term.delta for term in self.config.terms],
            "sigma": self.config.sigma.model_dump(mode="json"),
            "log_marginal_likelihood": self.log_marginal_likelihood,
            **{name: None if np.isnan(x) else x for name, x in errors.items()},
        }


@dataclass(frozen=True)
class Tuning:
    """Result of `tune`.

    Attributes
    ----------
    config : FitConfig
        The best configuration, without ``[tune]``: ready to fit.
    given : Trial
        The configuration as it was given, its sigmas and deltas untouched.
    best : Trial
        The trial that `config` comes from.
    trials : tuple of Trial
        All trials, in order.
    warnings : tuple of str
        Warnings for the user.
    """

    config: FitConfig
    given: Trial
    best: Trial
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return the trials as plain data."""
        return {
            "given": self.given.plain(),
            "best": self.trials.index(self.best),
            "trials": [trial.plain() for trial in self.trials],
        }


def format_trials(summary: Mapping[str, Any]) -> str:
    """Return the trials of `Tuning.summary` as a table; the best is marked."""
    header = ("", "settings", "log evidence", "E, meV/atom", "F, eV/Å", "V, eV/atom")
    rows = [(*header, "sigmas E / F / V", "deltas")]
    given = {**summary["given"], "settings": {"": "as given"}}
    for n, trial in enumerate([given, *summary["trials"]], start=-1):
        sigma = trial["sigma"]
        words = [f"{k} = {v}" if k else v for k, v in trial["settings"].items()]
        rows.append(
            (
                "*" if n == summary["best"] else "",
                ", ".join(words) or "tuned",
                f"{trial['log_marginal_likelihood']:.1f}",
                _number(trial["energy_mae"], 1000, ".3g"),
                _number(trial["forces_rmse"], 1, ".4g"),
                _number(trial["virial_rmse"], 1, ".3g"),
                " / ".join(f"{sigma[quantity]:g}" for quantity in Quantity),
                " / ".join(f"{delta:g}" for delta in trial["delta"]),
            )
        )
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as text with aligned columns."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _number(value: float | None, factor: float, form: str) -> str:
    return "-" if value is None else format(factor * value, form)
