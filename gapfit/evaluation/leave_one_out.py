"""Errors of each training structure, predicted by the fit without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.data.dataset import as_dataset
from gapfit.data.frame_file import frame_sizes
from gapfit.errors import GapfitError, LeftOutError
from gapfit.evaluation.evaluate import ErrorTally, Metrics, with_scores
from gapfit.evaluation.residuals import left_out_residuals, of_each
from gapfit.evaluation.scores import ScoreTally
from gapfit.model.gap_model import GAPModel

__all__ = ["leave_one_out"]


def leave_one_out(
    model: GAPModel,
    frames: Any = None,
    *,
    uncertainty: bool = True,
    progress: Progress | None = None,
    base: Path | None = None,
) -> Metrics:
    """Return the errors of a model on its own training structures, each left out.

    They are those of real refits with the same sparse points, see
    `gapfit.evaluation.residuals.left_out_residuals`. One pass over the data.

    Parameters
    ----------
    model : GAPModel
        Saved with its posterior.
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        All data it was fitted to; None reads ``config.data.train``.
    uncertainty : bool
        Also compare standard deviations with the errors.
    progress : callable, optional
        Called as ``progress("leave one out", done, total)`` in atoms.
    base : Path, optional
        Folder that relative data paths refer to.

    Returns
    -------
    dict
        As `gapfit.evaluate`. Only targets that were fitted have errors.

    Raises
    ------
    GapfitError
        The model has no posterior, the structures are not those it was fitted to, or
        `gapfit.append` has added sparse points.
    LeftOutError
        See `gapfit.evaluation.residuals.left_out_residuals`.
    """
    model.require_posterior()
    report = progress or silent
    dataset = as_dataset(frames, model.config, base)
    if not model.record.was_fitted_to(dataset.frames):
        raise GapfitError(
            "the structures are not those that the model was fitted to: leave-one-out "
            "errors need exactly its training data, appended ones after those of the fit"
        )
    if any(addition.sparse_points for addition in model.record.appended):
        raise GapfitError(
            "sparse points were appended, and the sums over the earlier data do not have "
            "them: no structure can be left out; fit all data together"
        )
    target_frames = targets(dataset.frames, model.baseline, model.config.sigma, report)
    errors, scores = ErrorTally(), ScoreTally(model.calibration)
    done, total = 0, int(frame_sizes(target_frames).sum())
    report("leave one out", 0, total)
    parts = of_each(left_out_residuals, model, target_frames)
    for frame, part in zip(target_frames, parts, strict=True):
        if isinstance(part, LeftOutError):
            raise part
        for residuals in part:
            errors.add_residuals(residuals)
            if uncertainty:
                scores.add(residuals)
        done += frame.n_atoms
        report("leave one out", done, total)
    metrics = errors.metrics()
    return with_scores(metrics, scores.scores()) if uncertainty else metrics
