"""Calibration of a model from residuals of left-out structures or of other data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.data.checks import refuse_species
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types
from gapfit.data.observations import row_counts
from gapfit.errors import GapfitError, LeftOutError
from gapfit.evaluation.residual_scales import (
    calibration_of,
    local_scale_of,
    with_logs,
)
from gapfit.evaluation.residuals import (
    Residuals,
    left_out_residuals,
    of_each,
    predicted_residuals,
)
from gapfit.evaluation.usual_deviations import with_usual_deviations
from gapfit.model.calibration import OUTDATED, Calibration
from gapfit.model.gap_model import GAPModel

__all__ = ["calibrate", "representative", "with_calibration"]

_logger = logging.getLogger("gapfit")

# Below this number, scales have come out a thousand times too small.
_FEW_STRUCTURES = 10
# Structures of each config_type that are looked at, where it has as many.
_PER_TYPE = 10
# Factors above this are worth advice.
_USUAL_FACTOR = 20.0


def calibrate(
    model: GAPModel,
    frames: Any = None,
    *,
    fitted: bool | None = None,
    n_rows: int | None = None,
    progress: Progress | None = None,
    base: Path | None = None,
) -> GAPModel:
    """Return a model whose standard deviations are scaled to its errors.

    For each quantity, errors e are taken to be normal with the variance a² s² + b²,
    where s² is the variance of the subset of regressors; a and b maximise the likelihood,
    for all structures together and for each config_type.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        Labelled structures that were not fitted; or those that were (None reads
        ``config.data.train``): each is then predicted by the fit without it.
    fitted : bool, optional
        Whether `frames` were fitted; by default, whether they are exactly what
        `gapfit.fit` and then `gapfit.append` were given, in this order. Set it if you
        give only part of the training data.
    n_rows : int, optional
        Largest number of observations, from structures drawn at random from all
        config_types; ``config.calibration.rows`` by default.
    progress : callable, optional
        Called as ``progress("calibrate", done, total)`` in structures.
    base : Path, optional
        Folder that relative data paths refer to.

    Returns
    -------
    GAPModel
        With `GAPModel.calibration`, and a warning in its record if there were few
        structures, or if some could not be left out. Extrapolation grades get their scale
        from fitted structures; from others only where there is none. All else unchanged.

    Raises
    ------
    GapfitError
        The model has no posterior, the structures have no labels, or none that can be
        left out, the training files have changed, or `n_rows` is not positive.
    DataError
        See `gapfit.fit`.
    """
    model.require_posterior()
    if n_rows is None:
        n_rows = model.config.calibration.rows
    if n_rows < 1:
        raise GapfitError(f"n_rows = {n_rows}: give a positive number of observations")
    dataset = as_dataset(frames, model.config, base)
    refuse_species(
        dataset.frames,
        model.species,
        "the structures contain {species}, which the model does not know ({places}): "
        "remove these",
    )
    if fitted is None:
        fitted = model.record.was_fitted_to(dataset.frames)
    if frames is None and not fitted:
        raise GapfitError(
            "the training files are not exactly what was fitted: they have changed, or "
            "other data were appended; give all fitted data, or structures that were not "
            "fitted"
        )
    chosen = representative(dataset.frames, n_rows, model.config.run.seed)
    report = progress or silent
    target_frames = targets(dataset.frames, model.baseline, model.config.sigma, report)
    new = _calibrated(model, target_frames, chosen, report, fitted=fitted)
    if new.calibration is None:
        raise GapfitError(
            "no structure has an energy, forces or stress to compare with, or its sigmas "
            "are too small to leave it out"
        )
    n = new.calibration.n_structures
    if fitted or not new.record.usual_deviations:
        new = with_usual_deviations(new, dataset.frames)
    if n < _FEW_STRUCTURES:
        text = f"calibration from {n} structures only: the scales may be far off; give "
        new = _warned(new, f"{OUTDATED}{text}{_FEW_STRUCTURES} or more")
    return new


def with_calibration(
    model: GAPModel, frames: Sequence[Frame], progress: Progress
) -> GAPModel:
    """Return a fitted model with the calibration that its configuration asks for.

    Parameters
    ----------
    model : GAPModel
        With or without its posterior.
    frames : sequence of Frame
        As they were fitted: without the baseline, with automatic sigmas.
    progress : callable
        As in `calibrate`.
    """
    config = model.config
    if config.calibration.method == "none" or model.posterior is None:
        return model
    chosen = representative(frames, config.calibration.rows, config.run.seed)
    return _calibrated(model, frames, chosen, progress, fitted=True)


def _calibrated(
    model: GAPModel,
    frames: Sequence[Frame],
    chosen: tuple[np.ndarray, np.ndarray],
    progress: Progress,
    *,
    fitted: bool,
) -> GAPModel:
    """Return the calibrated model; without a calibration if there are no residuals."""
    residuals_of = left_out_residuals if fitted else predicted_residuals
    model = replace(model, calibration=None)
    common: list[tuple[Frame, Residuals]] = []
    extra: list[tuple[Frame, Residuals]] = []
    errors: list[LeftOutError] = []
    n_common, total = 0, len(chosen[0]) + len(chosen[1])
    progress("calibrate", 0, total)
    selection = [frames[int(n)] for n in np.concatenate(chosen)]
    for done, residuals in enumerate(of_each(residuals_of, model, selection)):
        is_common = done < len(chosen[0])
        if isinstance(residuals, LeftOutError):
            errors.append(residuals)
        else:
            own = [(selection[done], part) for part in residuals]
            (common if is_common else extra).extend(own)
            n_common += is_common
        progress("calibrate", done + 1, total)
    kept = [w for w in model.record.warnings if not w.startswith(OUTDATED)]
    model = model.with_record(warnings=tuple(kept))
    if errors:
        text = f"calibration without {len(errors)} structures: {errors[0]}"
        model = _warned(model, text)
    if not common:
        return model
    method = "leave one out" if fitted else "validation"
    local = local_scale_of(model, common)
    first, others = (with_logs(model, local, parts) for parts in (common, extra))
    calibration = replace(calibration_of(first, method, n_common, others), local=local)
    text = _factor_advice(calibration)
    model = _warned(model, text) if text else model
    return replace(model, calibration=calibration)


def _factor_advice(calibration: Calibration) -> str:
    """Return advice where factors are unusually large; empty if they are not."""
    large = [
        f"{kind.scale.factor:.3g} for {quantity.reported}"
        for quantity, kind in calibration.kinds.items()
        if kind.scale.factor > _USUAL_FACTOR
    ]
    if not large:
        return ""
    return (
        f"{OUTDATED}their calibration factors are large ({', '.join(large)}; 5 to "
        f"{_USUAL_FACTOR:g} are usual), as sigmas are far below the errors: more sparse "
        "points, larger sigmas or gapfit tune help"
    )


def _warned(model: GAPModel, text: str) -> GAPModel:
    _logger.warning(text)
    warnings = [*model.record.warnings, text]
    return model.with_record(warnings=tuple(warnings))


def representative(
    frames: Sequence[Frame], n_rows: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return structures with about so many observations, and extra ones of rare types.

    Parameters
    ----------
    frames : sequence of Frame
        With labels.
    n_rows : int
        Number of observations.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    common : (n,) int64
        Ascending indices: all structures with labels where they have no more
        observations; otherwise drawn at random, so that they are like new ones.
    extra : (k,) int64
        Ascending indices of more structures, of config_types with few among those: up to
        10 of each, with at most `n_rows` observations in all.
    """
    rows = row_counts(frames).sum(axis=1)
    order = np.random.default_rng([seed, 6]).permutation(np.flatnonzero(rows))
    n_taken = int(np.searchsorted(np.cumsum(rows[order]), n_rows)) + 1
    common, unused = order[:n_taken], order[n_taken:]
    names, types = np.unique(config_types(frames), return_inverse=True)
    missing = _PER_TYPE - np.bincount(types[common], minlength=len(names))
    by_type = [
        unused[types[unused] == n][:count]
        for n, count in enumerate(missing)
        if count > 0
    ]
    extra = np.concatenate([np.zeros(0, dtype=np.int64), *by_type])
    extra = extra[np.cumsum(rows[extra]) <= n_rows]
    return np.sort(common), np.sort(extra)
