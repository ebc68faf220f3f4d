"""Find the calibration of a model from residuals, left out or of other data."""

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
from gapfit.data.digest import was_fitted
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types
from gapfit.data.observations import KINDS, row_counts
from gapfit.errors import GapfitError, LeftOutError
from gapfit.evaluation.residuals import (
    Residuals,
    left_out_residuals,
    predicted_residuals,
)
from gapfit.gp.conformal import conformal_quantiles
from gapfit.model.calibration import (
    OUTDATED,
    Calibration,
    KindCalibration,
    fitted_scale,
)
from gapfit.model.gap_model import GAPModel
from gapfit.threads import one_thread

__all__ = ["calibrate", "calibration_of", "representative", "with_calibration"]

_logger = logging.getLogger("gapfit")

# Fewest structures for which a config_type gets a scale of its own.
_LEAST_STRUCTURES = 3
# Of fewer structures scales have come out a thousand times too small.
_FEW_STRUCTURES = 10
# So many structures are looked at of a config_type that has them.
_FEW = 10
# Force components of a structure are not independent: they count as so many.
_INDEPENDENT = 15


def calibrate(
    model: GAPModel,
    frames: Any = None,
    *,
    fitted: bool | None = None,
    n_rows: int | None = None,
    progress: Progress | None = None,
    base: Path | None = None,
) -> GAPModel:
    """Return a model whose standard deviations are scaled to errors it makes.

    For each kind of observation, errors e are taken to be normal with the variance
    a² s² + b², s² being that of the subset of regressors; a and b are those that are
    most likely, of all structures and of each config_type.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        Labelled structures that were not fitted; or those that were (None reads
        ``config.data.train``): each is then predicted by the fit without it.
    fitted : bool, optional
        Whether `frames` were fitted; by default if they are exactly what `gapfit.fit`
        was given, and `gapfit.append` after it, in this order. Of only some of the
        training data it must be said.
    n_rows : int, optional
        So many observations at most, from structures drawn at random from all
        config_types; ``config.calibration.rows`` by default.
    progress : callable, optional
        Called as ``progress("calibrate", done, total)`` in structures.
    base : Path, optional
        Folder that relative data paths refer to.

    Returns
    -------
    GAPModel
        With `GAPModel.calibration`, and a warning in its ``info`` if there were few
        structures, or some that could not be left out; all else unchanged.

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
        fitted = was_fitted(dataset.frames, model.info)
    if frames is None and not fitted:
        raise GapfitError(
            "the training files are not all that was fitted: they have changed, or other "
            "data were appended; give all of what was fitted, or structures that were not"
        )
    some = representative(dataset.frames, n_rows, model.config.run.seed)
    report = progress or silent
    everything = targets(dataset.frames, model.baseline, model.config.sigma, report)
    new = _calibrated(model, everything, some, report, fitted=fitted)
    if new.calibration is None:
        raise GapfitError(
            "no structure has an energy, forces or stress to compare with, or its sigmas "
            "are too small to leave it out"
        )
    n = new.calibration.n_structures
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
    some = representative(frames, config.calibration.rows, config.run.seed)
    return _calibrated(model, frames, some, progress, fitted=True)


def _calibrated(
    model: GAPModel,
    frames: Sequence[Frame],
    some: tuple[np.ndarray, np.ndarray],
    progress: Progress,
    *,
    fitted: bool,
) -> GAPModel:
    """Return the calibrated model; without a calibration if there are no residuals."""
    of = left_out_residuals if fitted else predicted_residuals
    drawn: list[Residuals] = []
    further: list[Residuals] = []
    lost: list[LeftOutError] = []
    n_drawn, total = 0, len(some[0]) + len(some[1])
    progress("calibrate", 0, total)
    # On one thread the residuals are the same on any machine.
    with one_thread():
        for done, n in enumerate(np.concatenate(some)):
            try:
                found = list(of(model, frames[int(n)]))
            except LeftOutError as error:
                lost.append(error)
            else:
                (drawn if done < len(some[0]) else further).extend(found)
                n_drawn += done < len(some[0])
            progress("calibrate", done + 1, total)
    kept = [w for w in model.info.get("warnings", []) if not w.startswith(OUTDATED)]
    model = replace(model, info=model.info | {"warnings": kept})
    if lost:
        model = _warned(model, f"calibration without {len(lost)} structures: {lost[0]}")
    if not drawn:
        return replace(model, calibration=None)
    method = "leave one out" if fitted else "validation"
    calibration = calibration_of(drawn, method, n_drawn, further)
    return replace(model, calibration=calibration)


def _warned(model: GAPModel, text: str) -> GAPModel:
    _logger.warning(text)
    warnings = [*model.info.get("warnings", []), text]
    return replace(model, info=model.info | {"warnings": warnings})


def representative(
    frames: Sequence[Frame], n_rows: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return structures that hold about so many observations, and more of rare kinds.

    Parameters
    ----------
    frames : sequence of Frame
        With labels.
    n_rows : int
        How many observations.
    seed : int
        Of the random numbers.

    Returns
    -------
    drawn : (n,) int64
        Ascending indices: all structures with labels where they hold no more; otherwise
        drawn at random, so that they are like new ones.
    further : (k,) int64
        Ascending indices of others, of config_types with few structures among those:
        up to 10 of each, with at most `n_rows` observations in all.
    """
    rows = row_counts(frames).sum(axis=1)
    order = np.random.default_rng([seed, 6]).permutation(np.flatnonzero(rows))
    n_taken = int(np.searchsorted(np.cumsum(rows[order]), n_rows)) + 1
    drawn, rest = order[:n_taken], order[n_taken:]
    names, types = np.unique(config_types(frames), return_inverse=True)
    missing = _FEW - np.bincount(types[drawn], minlength=len(names))
    further = [
        rest[types[rest] == n][:more] for n, more in enumerate(missing) if more > 0
    ]
    extra = np.concatenate([np.zeros(0, dtype=np.int64), *further])
    extra = extra[np.cumsum(rows[extra]) <= n_rows]
    return np.sort(drawn), np.sort(extra)


def calibration_of(
    residuals: Sequence[Residuals],
    method: str,
    n_structures: int,
    further: Sequence[Residuals] = (),
) -> Calibration:
    """Return the calibration that residuals of some structures give.

    Parameters
    ----------
    residuals : sequence of Residuals
        Of structures like those to come.
    method : str
        See `Calibration`.
    n_structures : int
        Structures behind `residuals`.
    further : sequence of Residuals
        Of more structures of rare config_types: only these have use of them.
    """
    kinds = {}
    for kind in KINDS:
        of_kind = [own for own in residuals if own.kind == kind]
        more = [own for own in further if own.kind == kind]
        if found := _kind_calibration(of_kind, more):
            kinds[kind] = found
    return Calibration(kinds, method, n_structures)


def _kind_calibration(
    drawn: Sequence[Residuals], further: Sequence[Residuals]
) -> KindCalibration | None:
    if not any(own.informative.any() for own in drawn):
        return None
    residuals = [*drawn, *further]
    some = np.concatenate([own.informative for own in residuals])
    error = np.concatenate([own.error / own.root for own in residuals])
    std = np.concatenate([own.std / own.root for own in residuals])
    sizes = [len(own.error) for own in residuals]
    structure = np.repeat(np.arange(len(sizes)), sizes)
    common = some & (structure < len(drawn))
    scale = fitted_scale(error[common], std[common])
    types = np.repeat([own.config_type for own in residuals], sizes)
    by_type = {}
    for name in sorted(set(types[some].tolist())):
        own = some & (types == name)
        n_structures = len(np.unique(structure[own]))
        if n_structures >= _LEAST_STRUCTURES:
            independent = min(float(own.sum()), _INDEPENDENT * n_structures)
            by_type[name] = fitted_scale(error[own], std[own], scale, independent)
    scores = np.abs(error[common]) / scale.std(std[common])
    levels, quantiles = conformal_quantiles(scores, structure[common])
    return KindCalibration(scale, by_type, int(common.sum()), levels, quantiles)
