"""From prepared data to a model: sparse points, sums over the rows, solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import BaselineConfig, FitConfig
from gapfit.data.frame_file import frame_sizes
from gapfit.data.observations import count_rows, row_counts
from gapfit.execution.accumulate import RowBuilder, task_slices
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool
from gapfit.execution.plan import batch_atoms
from gapfit.execution.tasks import Summation, sum_by_workers, sum_here
from gapfit.fitting.prepare import Prepared, sparse_terms, whitened
from gapfit.fitting.solve import solved
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.gap_model import GAPModel
from gapfit.model.observation_groups import groups_of
from gapfit.model.record import FitRecord
from gapfit.model.terms import with_coefficients

__all__ = ["fit_prepared", "fitted", "unfitted"]


def fit_prepared(
    prepared: Prepared,
    config: FitConfig,
    notes: list[str],
    progress: Progress = silent,
) -> GAPModel:
    """Fit prepared data in this process, without checkpoints and calibration.

    Parameters
    ----------
    prepared : Prepared
        From `gapfit.fitting.prepare`.
    config : FitConfig
        Configuration of the fit.
    notes : list of str
        Warnings are added to it.
    progress : callable
        Called as ``progress(stage, done, total)``.
    """
    return fitted(unfitted(prepared, config, notes, progress), prepared, progress)


def unfitted(
    prepared: Prepared, config: FitConfig, notes: list[str], progress: Progress
) -> GAPModel:
    """Return the model with its sparse points, zero coefficients and empty sums."""
    terms = sparse_terms(prepared, config, notes, progress)
    whitening = whitened(terms, config, notes)
    return GAPModel(
        # Workers need no baseline: it has been subtracted.
        config=config.model_copy(update={"baseline": BaselineConfig()}),
        species=prepared.species,
        e0=prepared.e0,
        terms=tuple(with_coefficients(terms, np.zeros(whitening.n_sparse))),
        training_sums=TrainingSums(whitening, config.solver.method),
        record=FitRecord(warnings=tuple(notes), without_atom=prepared.without_atom),
    )


def fitted(
    model: GAPModel,
    prepared: Prepared,
    progress: Progress,
    *,
    folder: CheckpointFolder | None = None,
    pool: Pool | None = None,
    pairs_per_atom: float | None = None,
) -> GAPModel:
    """Return an unfitted model with the coefficients that prepared data give.

    Parameters
    ----------
    model : GAPModel
        From `unfitted`, or from the checkpoint.
    prepared : Prepared
        The data.
    progress : callable
        Called as ``progress(stage, done, total)``.
    folder : CheckpointFolder, optional
        Folder for the sums; workers need one.
    pool : Pool, optional
        Workers that sum up the rows.
    pairs_per_atom : float, optional
        Neighbours within the longest cutoff; counted on a sample when absent.
    """
    sums = _sums(model, prepared, progress, folder, pool, pairs_per_atom)
    record = replace(
        model.record,
        n_frames=len(prepared.frames),
        n_atoms=int(frame_sizes(prepared.frames).sum()),
        n_rows=count_rows(prepared.frames),
    )
    summed = replace(
        model,
        config=model.config.model_copy(update={"baseline": prepared.baseline_config}),
        baseline=prepared.baseline,
        training_sums=sums,
        record=record,
    )
    return solved(summed, prepared.frames, progress)


def _sums(
    model: GAPModel,
    prepared: Prepared,
    progress: Progress,
    folder: CheckpointFolder | None,
    pool: Pool | None,
    pairs_per_atom: float | None,
) -> TrainingSums:
    """Return the sums over all rows."""
    config, empty = model.config, model.training_sums
    assert empty is not None
    rows = RowBuilder(
        model.terms, model.e0, config.sigma, empty.whitening, empty.method
    )
    summation = Summation(
        rows,
        prepared.frames,
        groups_of(prepared.given, config, prepared.e0),
        row_counts(prepared.frames).sum(axis=1),
        task_slices(frame_sizes(prepared.frames), model.n_sparse),
        batch_atoms(prepared.given, model.terms, config, pairs_per_atom),
    )
    total = int(summation.n_rows.sum())

    def report(n_rows: int) -> None:
        progress("rows", n_rows, total)

    report(0)
    if pool is None:
        return sum_here(summation, folder, report)
    assert folder is not None
    return sum_by_workers(summation, folder, pool, report)
