"""Scores of standard deviations against errors, by quantity and config_type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.data.frame import GPA, Frame
from gapfit.data.observations import Quantity
from gapfit.data.places import TOTAL, abbreviation, group_name
from gapfit.errors import LeftOutError
from gapfit.evaluation.calibrate import representative
from gapfit.evaluation.residuals import Residuals, of_each, predicted_residuals
from gapfit.gp.reliability import rank_correlation, reliability
from gapfit.model.calibration import Calibration
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import Prediction

__all__ = [
    "Observer",
    "ScoreTally",
    "Scores",
    "error_factor",
    "format_scores",
    "score",
]

#: {config_type or "all": {reported quantity: scores}}; see `ScoreTally.scores`.
Scores = dict[str, dict[str, dict[str, Any]]]

_LEGEND = (
    f"std: {', '.join(q.error_unit for q in Quantity)}. z: each error divided "
    "by its std.\nintervals: % of the errors inside the conformal intervals of 68 and 95 %."
)
# Errors that say something about coverage.
_FEW = 5
# Probabilities of the conformal intervals that are scored.
_LEVELS = (0.68, 0.95)


class Observer(Protocol):
    """Sees predictions and errors of an evaluation, so that no pass is repeated."""

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """Take note of the prediction of structure `number`."""

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """Take note of the errors of one quantity and the standard deviations of these.

        Parameters
        ----------
        number : int
            Number of the structure in the data.
        frame : Frame
            The structure, its labels without the baseline.
        residuals : Residuals
            Those of one quantity.
        std : (n,) float64
            Standard deviations of the observations, calibrated where the model is, in
            the unit of the errors.
        """


class ScoreTally:
    """Errors and their standard deviations as observations, gathered by group.

    Parameters
    ----------
    calibration : Calibration or None
        That of the model; without one the noise of the fit is added to the variance of
        the function.
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self.calibration = calibration
        self._groups: dict[tuple[str, Quantity], list[tuple[np.ndarray, ...]]] = {}
        self._atoms: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, residuals: Residuals, *, common: bool = True) -> None:
        """Add the residuals of a structure's quantity; unless `common`, to its type alone.

        Components that symmetry makes zero are skipped: any standard deviation would be
        right for them.
        """
        quantity, factor = residuals.quantity, error_factor(residuals)
        size = abs(factor)
        informative = residuals.informative
        if not informative.any():
            return
        parts = (
            factor * residuals.error[informative],
            size * self.std(residuals)[informative],
            size * self.std(residuals, residuals.config_type)[informative],
        )
        groups = {group_name(residuals.config_type)} | ({TOTAL} if common else set())
        for group in groups:
            self._groups.setdefault((group, quantity), []).append(parts)
        if quantity is Quantity.FORCES and len(informative) == 3 * residuals.n_atoms:
            lengths = [
                np.linalg.norm(components.reshape(-1, 3), axis=1)
                for components in (residuals.error, residuals.std)
            ]
            for group in groups:
                self._atoms.setdefault(group, []).append((lengths[0], lengths[1]))

    def std(self, residuals: Residuals, config_type: str | None = None) -> np.ndarray:
        """Return the standard deviations of observations, in the unit of their errors."""
        if self.calibration is None:
            return np.hypot(residuals.std, residuals.sigma)
        return self.calibration.observed(
            residuals.quantity,
            residuals.std,
            residuals.sigma,
            residuals.root,
            config_type,
            residuals.local,
        )

    def scores(self) -> Scores:
        """Return the scores of all groups.

        Returns
        -------
        dict
            Of each quantity the result of `gapfit.gp.reliability.reliability`, in meV/atom,
            eV/Å and GPa, and ``unit``; for forces ``rank_atoms``, the rank correlation of
            their lengths by atom; as ``by_type`` the same scores with the scale of each
            structure's config_type, which a simulation does not know; and
            ``interval_68`` and ``interval_95``, the shares of errors inside conformal
            intervals of that probability, see `Calibration.multiplier`.
        """
        scores: Scores = {}
        for (group, quantity), parts in self._groups.items():
            error, std, by_type = (np.concatenate(x) for x in zip(*parts, strict=True))
            row = reliability(error, std) | {"unit": quantity.error_unit}
            row |= self._intervals(quantity, np.abs(error) / std)
            if quantity is Quantity.FORCES:
                row["rank_atoms"] = self._rank_of_atoms(group)
            row["by_type"] = reliability(error, by_type)
            scores.setdefault(group, {})[quantity.reported] = row
        return scores

    def _intervals(self, quantity: Quantity, scores: np.ndarray) -> dict[str, float]:
        """Return the shares of errors within the conformal intervals that exist."""
        kinds = self.calibration.kinds if self.calibration else {}
        calibration = kinds.get(quantity)
        shares = {}
        for level in _LEVELS:
            quantile = calibration.quantile(level) if calibration else None
            if quantile is not None:
                share = float(np.mean(scores <= quantile))
                shares[f"interval_{100 * level:.0f}"] = share
        return shares

    def _rank_of_atoms(self, group: str) -> float | None:
        """Return the rank correlation of lengths of force errors and their std."""
        if group not in self._atoms:
            return None
        errors, stds = zip(*self._atoms[group], strict=True)
        return rank_correlation(np.concatenate(errors), np.concatenate(stds))


def error_factor(residuals: Residuals) -> float:
    """Return the factor from residuals to errors in `Quantity.error_unit`."""
    if residuals.quantity is Quantity.ENERGY:
        return 1000 / residuals.n_atoms
    if residuals.quantity is Quantity.VIRIAL:
        return -GPA / residuals.volume if residuals.volume else 0.0
    return 1.0


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
        Largest number of observations, from structures of all config_types.
    progress : callable
        Called as ``progress("uncertainty", done, total)`` in structures.
    observer : Observer, optional
        Takes note of the errors and standard deviations.
    """
    common, extra = representative(frames, n_rows, model.config.run.seed)
    chosen = np.concatenate([common, extra])
    target_frames = targets(frames, model.baseline, model.config.sigma, silent)
    tally = ScoreTally(model.calibration)
    selection = [target_frames[int(n)] for n in chosen]
    progress("uncertainty", 0, len(chosen))
    for done, part in enumerate(of_each(predicted_residuals, model, selection)):
        assert not isinstance(part, LeftOutError)
        for residuals in part:
            tally.add(residuals, common=done < len(common))
            if observer:
                n, std = int(chosen[done]), tally.std(residuals)
                observer.scored(n, selection[done], residuals, std)
        progress("uncertainty", done + 1, len(chosen))
    return tally.scores()


def format_scores(scores: Scores, title: str) -> str:
    """Return scores as a plain-text table of at most 100 columns.

    There is a line for each quantity and config_type with enough errors to say something;
    the metrics and the report have all of them, and more scores.
    """
    lines = [
        f"{title:<22} {'kind':<7}{'n':>7}{'in 68 %':>9}{'in 95 %':>9}{'rms z':>9}"
        f"{'rank':>6}{'std':>9}  {'intervals':<9}"
    ]
    few = 0
    for group in [TOTAL, *sorted(name for name in scores if name != TOTAL)]:
        for name, row in scores.get(group, {}).items():
            if group != TOTAL and row["n"] < _FEW:
                few += 1
                continue
            rank = row.get("rank_atoms") or row["rank"]
            lines.append(
                f"{abbreviation(group, 22):<22} {name:<7}{row['n']:>7}"
                f"{100 * row['coverage_68']:>9.0f}{100 * row['coverage_95']:>9.0f}"
                f"{_ratio(row['rms_z']):>9}{'-' if rank is None else f'{rank:.2f}':>6}"
                f"{row['sharpness']:>9.3g}  {_percent(row, 'interval_68'):>4}"
                f"{_percent(row, 'interval_95'):>5}"
            )
    legend = [_LEGEND]
    if few:
        legend.append(f"{few} lines of fewer than {_FEW} errors are left out.")
    return "\n".join([*lines, "", *legend])


def _ratio(value: float) -> str:
    """Return two decimals of a number near 1, or two digits of a large one.

    Examples
    --------
    >>> _ratio(0.987), _ratio(28737.3)
    ('0.99', '2.9e+04')
    """
    return f"{value:.2f}" if value < 1000 else f"{value:.1e}"


def _percent(row: dict[str, Any], key: str) -> str:
    return f"{100 * row[key]:.0f}" if key in row else "-"
