"""Scores of standard deviations against errors, by kind and config_type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.data.frame import GPA, Frame
from gapfit.evaluation.calibrate import representative
from gapfit.evaluation.residuals import Residuals, predicted_residuals
from gapfit.gp.reliability import rank_correlation, reliability
from gapfit.model.calibration import Calibration
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import Prediction

__all__ = [
    "UNITS",
    "Observer",
    "ScoreTally",
    "Scores",
    "format_scores",
    "in_units",
    "score",
]

#: {config_type or "all": {kind: scores}}; see `ScoreTally.scores`.
Scores = dict[str, dict[str, dict[str, Any]]]

#: Units of errors by what they are of.
UNITS = {"energy": "meV/atom", "forces": "eV/Å", "stress": "GPa"}


_LEGEND = (
    f"std, CRPS: {', '.join(UNITS.values())}. z: error / std. intervals: in conformal ones "
    "of 68 and 95 %.\n"
    "by config_type: in 68 %, in 95 % and rms z with the scale of each config_type."
)
# Probabilities of the conformal intervals that are looked at.
_LEVELS = (0.68, 0.95)


class Observer(Protocol):
    """What looks on while a model is compared with data, so that no pass is repeated."""

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """See the prediction of the structure of this number."""

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """See errors of one kind and the standard deviations of these observations.

        Parameters
        ----------
        number : int
            Of the structure in the data.
        frame : Frame
            The structure, its labels without the baseline.
        residuals : Residuals
            Of one kind.
        std : (n,) float64
            Of the observations, calibrated where the model is, in the unit of the errors.
        """


class ScoreTally:
    """Errors and their standard deviations as observations, gathered by group.

    Parameters
    ----------
    calibration : Calibration or None
        Of the model; without one the noise of the fit is added to the variance of the
        function.
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self.calibration = calibration
        self._found: dict[tuple[str, str], list[tuple[np.ndarray, ...]]] = {}
        self._atoms: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, residuals: Residuals, *, common: bool = True) -> None:
        """Take in the residuals of one kind of a structure; not `common`: for its type.

        Components that symmetry makes zero are left out: they would be right by any
        standard deviation.
        """
        name, factor = in_units(residuals)
        size = abs(factor)
        some = residuals.informative
        if not some.any():
            return
        parts = (
            factor * residuals.error[some],
            size * self.std(residuals)[some],
            size * self.std(residuals, residuals.config_type)[some],
        )
        groups = {residuals.config_type} | ({"all"} if common else set())
        for group in groups:
            self._found.setdefault((group, name), []).append(parts)
        if name == "forces" and len(some) == 3 * residuals.n_atoms:
            lengths = [
                np.linalg.norm(own.reshape(-1, 3), axis=1)
                for own in (residuals.error, residuals.std)
            ]
            for group in groups:
                self._atoms.setdefault(group, []).append((lengths[0], lengths[1]))

    def std(self, own: Residuals, config_type: str | None = None) -> np.ndarray:
        """Return the standard deviations of observations, in the unit of their errors."""
        if self.calibration is None:
            return np.hypot(own.std, own.sigma)
        return self.calibration.observed(
            own.kind, own.std, own.sigma, own.root, config_type
        )

    def scores(self) -> Scores:
        """Return the scores of all groups.

        Returns
        -------
        dict
            Of each kind what `gapfit.gp.reliability.reliability` returns, in meV/atom, eV/Å
            and GPa, and ``unit``; for forces ``rank_atoms``, the rank correlation of
            their lengths by atom; as ``by_type`` the same scores with the scale of each
            structure's own config_type, which a simulation does not know; and
            ``interval_68`` and ``interval_95``, the shares of errors inside conformal
            intervals of that probability, see `Calibration.multiplier`.
        """
        found: Scores = {}
        for (group, name), parts in self._found.items():
            error, std, by_type = (np.concatenate(x) for x in zip(*parts, strict=True))
            own = reliability(error, std) | {"unit": UNITS[name]}
            own |= self._intervals(name, np.abs(error) / std)
            if name == "forces":
                own["rank_atoms"] = self._rank_of_atoms(group)
            own["by_type"] = reliability(error, by_type)
            found.setdefault(group, {})[name] = own
        return found

    def _intervals(self, name: str, scores: np.ndarray) -> dict[str, float]:
        """Return the shares of errors within conformal intervals, where there are any."""
        kind = "virial" if name == "stress" else name
        known = self.calibration.kinds.get(kind) if self.calibration else None
        shares = {}
        for level in _LEVELS:
            times = known.quantile(level) if known else None
            if times is not None:
                shares[f"interval_{100 * level:.0f}"] = float(np.mean(scores <= times))
        return shares

    def _rank_of_atoms(self, group: str) -> float | None:
        """Return the rank correlation of lengths of force errors and their std."""
        if group not in self._atoms:
            return None
        errors, stds = zip(*self._atoms[group], strict=True)
        return rank_correlation(np.concatenate(errors), np.concatenate(stds))


def in_units(own: Residuals) -> tuple[str, float]:
    """Return the name of residuals in `UNITS`, and what turns them into that unit."""
    if own.kind == "energy":
        return "energy", 1000 / own.n_atoms
    if own.kind == "virial":
        return "stress", -GPA / own.volume if own.volume else 0.0
    return "forces", 1.0


def score(
    model: GAPModel,
    frames: Sequence[Frame],
    *,
    n_rows: int,
    progress: Progress = silent,
    observer: Observer | None = None,
) -> Scores:
    """Return the scores of a model on structures that were not fitted.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frames : sequence of Frame
        With labels, as they were read.
    n_rows : int
        So many observations at most, of structures of all config_types.
    progress : callable
        Called as ``progress("uncertainty", done, total)`` in structures.
    observer : Observer, optional
        Sees the errors and standard deviations.
    """
    drawn, further = representative(frames, n_rows, model.config.run.seed)
    some = np.concatenate([drawn, further])
    everything = targets(frames, model.baseline, model.config.sigma, silent)
    tally = ScoreTally(model.calibration)
    for done, n in enumerate(some):
        progress("uncertainty", done, len(some))
        frame = everything[int(n)]
        for own in predicted_residuals(model, frame):
            tally.add(own, common=done < len(drawn))
            if observer:
                observer.scored(int(n), frame, own, tally.std(own))
    progress("uncertainty", len(some), len(some))
    return tally.scores()


def format_scores(scores: Scores, title: str) -> str:
    """Return the scores as a plain-text table, one line per kind and config_type."""
    head = (
        f"{title:<24} {'kind':<8}{'n':>8}{'in 68 %':>9}{'in 95 %':>9}{'rms z':>7}"
        f"{'area':>7}{'rank':>6}{'std':>9}{'CRPS':>9}  {'intervals':<11}"
        f"{'by config_type':<21}"
    )
    lines = [head.rstrip()]
    for group in ["all", *sorted(name for name in scores if name != "all")]:
        for kind, own in scores.get(group, {}).items():
            rank = own.get("rank_atoms") or own["rank"]
            typed = own["by_type"]
            lines.append(
                f"{group[:24]:<24} {kind:<8}{own['n']:>8}"
                f"{100 * own['coverage_68']:>9.0f}{100 * own['coverage_95']:>9.0f}"
                f"{own['rms_z']:>7.2f}{own['miscalibration_area']:>7.3f}"
                f"{'-' if rank is None else f'{rank:.2f}':>6}{own['sharpness']:>9.3g}"
                f"{own['crps']:>9.3g}{_percent(own, 'interval_68'):>6}"
                f"{_percent(own, 'interval_95'):>5}  {100 * typed['coverage_68']:>4.0f}"
                f"{100 * typed['coverage_95']:>6.0f}{typed['rms_z']:>7.2f}"
            )
    return "\n".join([*lines, "", _LEGEND])


def _percent(own: dict[str, Any], key: str) -> str:
    return f"{100 * own[key]:.0f}" if key in own else "-"
