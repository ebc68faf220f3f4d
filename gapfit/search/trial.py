"""One trial: a configuration and a part of the data give errors and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import FitConfig, TuneConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.frame import Frame
from gapfit.errors import GapfitError
from gapfit.evaluation.speed import measured_microseconds
from gapfit.fitting.prepare import Prepared
from gapfit.fitting.quick_fit import sample
from gapfit.fitting.solve import with_lossless
from gapfit.fitting.trial_sums import TrialSums
from gapfit.gp.evidence import HeldOut, system
from gapfit.gp.hyperparameters import Ratios, ScoredScales, score
from gapfit.gp.normal_equations import solve_normal
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import with_coefficients

__all__ = ["TrialResult", "tried"]

# Atoms on which projections are chosen before the time is measured.
_PROJECTED_ATOMS = 2000


@dataclass(frozen=True)
class TrialResult:
    """What a trial found.

    Attributes
    ----------
    config : FitConfig
        As it was tried, with the deltas and sigmas chosen for it.
    error : float
        Error that decides, see `gapfit.gp.hyperparameters.score`; of forces it takes
        `HeldOut.forces_typical`.
    held_out : HeldOut
        Errors of held-out frames.
    operations : float
        Estimated cost, multiplications per atom.
    microseconds : float or None
        Measured cost, µs per atom; None for the smallest part of the data.
    notes : tuple of str
        Warnings about deltas and sigmas.
    """

    config: FitConfig
    error: float
    held_out: HeldOut
    operations: float
    microseconds: float | None
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "config": self.config.model_dump(mode="json", exclude_none=True),
            "error": self.error,
            "held_out": {
                name: None if np.isnan(value) else value
                for name, value in asdict(self.held_out).items()
            },
            "operations": self.operations,
            "microseconds": self.microseconds,
            "notes": list(self.notes),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> TrialResult:
        """Return the result that `plain` gave."""
        errors = {
            name: np.nan if value is None else value
            for name, value in values["held_out"].items()
        }
        return cls(
            config_from_dict(values["config"], "the state of the search"),
            values["error"],
            HeldOut(**errors),
            values["operations"],
            values["microseconds"],
            tuple(values["notes"]),
        )


def tried(
    prepared: Prepared,
    config: FitConfig,
    options: TuneConfig,
    *,
    ratios: Ratios,
    operations: float,
    reduced: float,
    cell: Frame | None,
    progress: Progress,
) -> TrialResult:
    """Choose deltas and sigmas of a configuration and return its errors and cost.

    Parameters
    ----------
    prepared : Prepared
        The part of the data.
    config : FitConfig
        Terms and sigmas to start from, without ``[tune]``.
    options : TuneConfig
        What is chosen, folds, and the error that decides.
    ratios : Ratios
        Those of sigma.energy that are tried.
    operations, reduced : float
        Estimated cost of the potential, and with the sparse points of this trial: by
        their ratio the time of the latter is scaled.
    cell : Frame or None
        Structure whose prediction is timed; None: the cost is not measured.
    progress : callable
        Called as ``progress(stage, done, total)``.
    """
    prepared = prepared.with_sigmas(config.sigma)
    notes: list[str] = []
    sums = TrialSums(prepared, config, options, notes, progress)
    tuned, choice = sums.chosen(ratios)
    microseconds = None
    if cell is not None:
        model = _fitted(prepared, sums, tuned, choice)
        microseconds = operations / reduced * measured_microseconds(model, cell)
    errors = choice.held_out
    # Parts of the data have frames that are like no other of them.
    error = score(options.score, replace(errors, forces_rmse=errors.forces_typical))
    if np.isnan(error):
        raise GapfitError(
            f'[tune] score = "{options.score}": the data have no such targets to hold '
            "out; choose another score"
        )
    return TrialResult(tuned, error, errors, operations, microseconds, tuple(notes))


def _fitted(
    prepared: Prepared, sums: TrialSums, config: FitConfig, choice: ScoredScales
) -> GAPModel:
    """Return the model that the sums give: coefficients and projections alone."""
    grams, totals = sums.trials.grams, sums.trials.totals
    d = choice.scales.column_scale(grams.columns)
    S, b = system(totals, choice.scales, d)
    S[np.diag_indices_from(S)] += 1.0
    z = d * solve_normal(S, b).z
    terms = with_coefficients(sums.terms, grams.sums.whitening.undo(z))
    frames = prepared.frames
    some = sample(frames, range(len(frames)), len(frames), _PROJECTED_ATOMS)
    terms, _ = with_lossless(
        terms, [frames[n] for n in some], config, silent, [{}] * len(terms)
    )
    # Without the baseline, which all candidates have.
    return GAPModel(config, prepared.species, prepared.e0, tuple(terms))
