"""From sums to a model: coefficients, posterior, projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from gapfit._support.progress import Progress
from gapfit.config.sections import FitConfig, PredictionConfig
from gapfit.data.frame import Frame
from gapfit.fitting.misfit_warning import MISFIT, misfit_warning
from gapfit.fitting.rounding_warning import ROUNDED, rounding_warning
from gapfit.fitting.sound_fit import SPOILT, sound_fit
from gapfit.gp.posterior import Posterior
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.gap_model import GAPModel
from gapfit.model.projection import LosslessProjection, Ranks, with_lossless_projection
from gapfit.model.record import FitRecord
from gapfit.model.terms import FittedTerm, with_coefficients
from gapfit.threads import one_thread

__all__ = [
    "solved",
    "with_lossless",
]


def solved(
    model: GAPModel,
    frames: Sequence[Frame] | None,
    progress: Progress,
    least: Sequence[Ranks] | None = None,
    by_qr: Callable[[], TrainingSums | None] | None = None,
) -> GAPModel:
    """Return a model with the coefficients that its sums give.

    Parameters
    ----------
    model : GAPModel
        With `GAPModel.training_sums`; its coefficients and posterior are replaced, its
        calibration and the usual deviations of its record are dropped.
    frames : sequence of Frame or None
        Structures on which projections (`gapfit.model.projection`) are measured; without
        any there are none.
    progress : callable
        Called as ``progress(stage, done, total)``.
    least : sequence of dict of int to int, optional
        For each term, by block, fewest directions of its lossless projection.
    by_qr : callable, optional
        Sums over the same rows by QR, which replace those that spoil the posterior; None
        where memory is too little for them.

    Raises
    ------
    PosteriorError
        Rounding spoils the posterior, and nothing helps.
    """
    config, sums = model.config, model.training_sums
    assert sums is not None
    progress("solve", 0, 1)
    notes: list[str] = []
    with one_thread():
        sums, solution = sound_fit(
            sums, by_qr, notes, with_posterior=config.run.store_posterior
        )
        solver = config.solver.model_copy(update={"method": sums.method})
        config = config.model_copy(update={"solver": solver})
        warnings = [
            rounding_warning(sums.rounding(solution), config),
            misfit_warning(sums, solution, _atoms_per_frame(model.record)),
        ]
    progress("solve", 1, 1)
    terms = with_coefficients(model.terms, solution.coefficients)
    terms, projections = with_lossless(
        terms, frames, config, progress, least or [{}] * len(terms)
    )
    whitening = sums.whitening
    record = replace(
        model.record,
        n_sparse=whitening.n_sparse,
        jitter=whitening.jitter,
        log_marginal_likelihood=solution.log_marginal_likelihood,
        projections=tuple(projections),
        versions=_versions(config),
        usual_deviations={},
        warnings=tuple(_renewed(model.record.warnings, [*notes, *warnings])),
    )
    return replace(
        model,
        config=config,
        terms=tuple(terms),
        posterior=Posterior(whitening, solution.R)
        if config.run.store_posterior
        else None,
        training_sums=sums if config.run.store_sums else None,
        calibration=None,
        record=record,
    )


def _atoms_per_frame(record: FitRecord) -> float:
    return (record.n_atoms or 1) / (record.n_frames or 1)


def _renewed(warnings: Sequence[str], new: Sequence[str | None]) -> list[str]:
    """Return warnings with those of this solution, without those of earlier ones."""
    earlier = (ROUNDED, SPOILT, MISFIT)
    kept = [text for text in warnings if not text.startswith(earlier)]
    return [*kept, *filter(None, new)]


def with_lossless(
    terms: Sequence[FittedTerm],
    frames: Sequence[Frame] | None,
    config: FitConfig,
    progress: Progress,
    least: Sequence[Ranks],
) -> tuple[list[FittedTerm], list[dict[str, Any]]]:
    """Return the terms with lossless projections, and what was measured of each.

    Parameters
    ----------
    terms : sequence of FittedTerm
        With coefficients.
    frames : sequence of Frame or None
        Structures on which projections are measured; without any there are none.
    config : FitConfig
        Its table ``[prediction]``.
    progress : callable
        Called as ``progress("projections", done, total)``.
    least : sequence of dict of int to int
        For each term, by block, fewest directions.
    """
    quadratic = config.prediction.quadratic
    terms = [replace(term, quadratic=quadratic, lossless={}) for term in terms]
    if not config.prediction.project or frames is None:
        return terms, []
    # Changes by several terms add up.
    shared = PredictionConfig(
        energy_tolerance=config.prediction.energy_tolerance / len(terms),
        forces_tolerance=config.prediction.forces_tolerance / len(terms),
    )
    out, projections = [], []
    for n, term in enumerate(terms):
        progress("projections", n, len(terms))
        projection = LosslessProjection({}, 0.0, 0.0, 0)
        if term.descriptor.lossless:
            term, projection = with_lossless_projection(term, frames, shared, least[n])
        projections.append(asdict(projection))
        out.append(term)
    progress("projections", len(terms), len(terms))
    return out, projections


def _versions(config: FitConfig) -> dict[str, str]:
    from importlib.metadata import version

    names = ["gapfit", "numpy", "scipy", "dscribe", "ase"]
    if config.baseline.d3:
        names.append("dftd3")
    return {name: version(name) for name in names}
