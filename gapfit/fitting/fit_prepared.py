"""From prepared data to a model: sparse points, sums over the rows, solution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import BaselineConfig, FitConfig
from gapfit.data.frame_file import frame_sizes
from gapfit.data.observations import count_rows, row_counts
from gapfit.execution.accumulate import RowBuilder, task_slices
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool
from gapfit.execution.plan import batch_atoms, enough_memory
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
    device: str = "cpu",
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
    device : str
        Who sums up the rows; see `RowBuilder`.
    """
    source = _Source(model, prepared, progress, pool, pairs_per_atom, device)
    assert model.training_sums is not None
    sums = source.sums(model.training_sums.method, folder)
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
    return solved(
        summed,
        prepared.frames,
        progress,
        by_qr=lambda: source.sums_by_qr(folder),
    )


@dataclass(frozen=True, eq=False)
class _Source:
    """The rows of a fit, which may be summed up in two ways; see `fitted`."""

    model: GAPModel
    prepared: Prepared
    progress: Progress
    pool: Pool | None
    pairs_per_atom: float | None
    device: str

    def sums(self, method: str, folder: CheckpointFolder | None) -> TrainingSums:
        """Return the sums over all rows, with checkpoints if there is a folder."""
        model, frames = self.model, self.prepared.frames
        config = self._config(method)
        summation = Summation(
            RowBuilder.of(model, method, self.device),
            frames,
            groups_of(self.prepared.given, config, self.prepared.e0),
            row_counts(frames).sum(axis=1),
            task_slices(frame_sizes(frames), model.n_sparse),
            batch_atoms(self.prepared.given, model.terms, config, self.pairs_per_atom),
        )
        total = int(summation.n_rows.sum())

        def report(n_rows: int) -> None:
            self.progress("rows", n_rows, total)

        report(0)
        if self.pool is None:
            return sum_here(summation, folder, report)
        assert folder is not None
        return sum_by_workers(summation, folder, self.pool, report)

    def sums_by_qr(self, folder: CheckpointFolder | None) -> TrainingSums | None:
        """Return the sums over all rows by QR; None where memory is too little.

        Workers share a folder beside that of the fit, which is deleted at the end.
        """
        model, config = self.model, self._config("qr")
        if not enough_memory(self.prepared.given, model.terms, config):
            return None
        if self.pool is None:
            return self.sums("qr", None)
        assert folder is not None
        assert model.training_sums is not None
        beside = CheckpointFolder(folder.path.with_name(f"{folder.path.name}-qr"))
        empty = TrainingSums(model.training_sums.whitening, "qr")
        with beside.held():
            beside.begin({**folder.identity, "sums": "qr"})
            try:
                beside.write_start(replace(model, config=config, training_sums=empty))
                return self.sums("qr", beside)
            finally:
                beside.remove()

    def _config(self, method: str) -> FitConfig:
        config = self.model.config
        solver = config.solver.model_copy(update={"method": method})
        return config.model_copy(update={"solver": solver})
