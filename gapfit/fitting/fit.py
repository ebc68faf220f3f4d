"""From data and configuration to a model: orchestration only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import BaselineConfig, FitConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import Dataset, as_dataset
from gapfit.data.digest import data_digest
from gapfit.data.frame_file import frame_sizes
from gapfit.data.observations import count_rows, row_counts
from gapfit.evaluation.calibrate import with_calibration
from gapfit.execution.accumulate import Rows, task_slices
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool, open_pool
from gapfit.execution.plan import batch_atoms, plan
from gapfit.execution.tasks import Work, sum_by_workers, sum_here
from gapfit.fitting.prepare import Prepared, prepare, sparse_terms, whitened
from gapfit.fitting.solve import _with_coefficients, solved
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.gap_model import GAPModel
from gapfit.model.observation_groups import groups_of
from gapfit.threads import use_threads

__all__ = [
    "fit",
]


def fit(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
    checkpoint: Path | str | None = None,
    resume: bool = False,
    executor: Executor | None = None,
) -> GAPModel:
    """Fit a potential.

    Parameters
    ----------
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        Training data; None reads ``config.data.train``.
    config : FitConfig, dict, or path of a TOML file
        What to fit and how. ``data.train`` may be left out if `frames` are given.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to; that of the TOML file by itself.
    checkpoint : path, optional
        Folder for what has been summed up so far. It stays, so that no model is lost that
        could not be saved: `gapfit.remove_checkpoint` deletes it. An earlier fit in it is
        replaced unless `resume` is true.
    resume : bool
        Go on with the fit in `checkpoint`: same data and configuration. One that was done
        gives the same model again without new sums.
    executor : concurrent.futures.Executor, optional
        Takes the place of the one that ``run.executor`` names. Its workers must see
        `checkpoint`, or the folder for temporary files when there is none.

    Returns
    -------
    GAPModel
        The fitted potential; it does not depend on who computed the rows.

    Raises
    ------
    ConfigError, DataError
        What is wrong, where, and what to do.
    GapfitError
        run.memory is too little for the sparse points; the checkpoint belongs to another
        fit; workers died: says how much it takes, or lists differences or frames.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.fit("train.extxyz", {"terms": [{"n_sparse": 500}]})  # doctest: +SKIP
    """
    from threadpoolctl import threadpool_limits

    settings = as_config(config, frames)
    if base is None and isinstance(config, str | Path):
        base = Path(config).parent
    with open_pool(settings.run, executor) as pool, ExitStack() as stack:
        dataset = as_dataset(frames, settings, base)
        digest = data_digest(dataset.frames)
        identity = _identity(dataset, digest, settings, base or Path())
        folder = stack.enter_context(_work_folder(checkpoint, resume, identity, pool))
        n_threads = settings.run.threads * (settings.run.workers if pool else 1) or None
        with threadpool_limits(limits=n_threads), use_threads(n_threads):
            fitter = _Fitter(dataset, progress or silent, base or Path(), folder, pool)
            model = fitter.run(settings, resume=resume)
    return replace(model, info=model.info | {"data_digest": digest})


def _identity(
    dataset: Dataset, digest: str, config: FitConfig, base: Path
) -> dict[str, Any]:
    """Return what a checkpoint and the fit that goes on from it must share."""
    from importlib.metadata import version

    files = [config.baseline.table, *(term.sparse_file for term in config.terms)]
    settings = config.model_dump(mode="json", exclude={"data"})
    for name in ("executor", "workers", "scheduler", "threads", "memory"):
        settings["run"].pop(name)
    return {
        "gapfit": version("gapfit"),
        "frames": len(dataset.frames),
        "SHA-256 of the data": digest,
        "SHA-256 of": {name: _file_digest(base, name) for name in files if name},
        **settings,
    }


def _file_digest(base: Path, name: str) -> str | None:
    """Return a SHA-256 of a file; None of one that is not there, as is said later."""
    try:
        content = (base / Path(name).expanduser()).read_bytes()
    except OSError:
        return None
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _work_folder(
    path: Path | str | None, resume: bool, identity: dict[str, Any], pool: Pool | None
) -> Iterator[CheckpointFolder | None]:
    """Give the folder of a fit; without a path, one that lives as long as the fit."""
    if path is None and pool is None:
        yield None
        return
    with ExitStack() as stack:
        if path is None:
            temporary = stack.enter_context(TemporaryDirectory(prefix="gapfit-"))
            path = Path(temporary) / "work"
        folder = CheckpointFolder(Path(path).absolute())
        with folder.held():
            if resume:
                folder.require(identity)
            else:
                folder.begin(identity)
            yield folder


class _Fitter:
    """One fit: what its steps share."""

    def __init__(
        self,
        dataset: Dataset,
        progress: Progress,
        base: Path,
        folder: CheckpointFolder | None,
        pool: Pool | None,
    ) -> None:
        self.dataset = dataset
        self.progress = progress
        self.base = base
        self.folder = folder
        self.pool = pool
        self.notes: list[str] = []

    def run(self, settings: FitConfig, *, resume: bool) -> GAPModel:
        """Do all steps."""
        plan(self.dataset, settings, self.base).sizes.require()
        if resume and self.folder and self.folder.start.exists():
            prepared, begun = self._begun_before(settings)
        else:
            prepared, begun = self._begin(settings)
        begun = replace(begun, training_sums=self._summed(prepared, begun))
        config = begun.config.model_copy(update={"baseline": settings.baseline})
        facts = {
            "n_frames": len(prepared.frames),
            "n_atoms": int(frame_sizes(prepared.frames).sum()),
            "n_rows": count_rows(prepared.frames),
            "warnings": list(dict.fromkeys([*self.dataset.warnings, *self.notes])),
        }
        whole = replace(begun, config=config, baseline=prepared.baseline)
        model = solved(
            replace(whole, info=whole.info | facts), prepared.frames, self.progress
        )
        return with_calibration(model, prepared.frames, self.progress)

    def _begin(self, config: FitConfig) -> tuple[Prepared, GAPModel]:
        """Return the data, and the model before its fit; write the latter."""
        info: dict[str, Any] = {}
        if config.tune is not None:
            from gapfit.fitting.tune import tune

            result = tune(self.dataset, config, progress=self.progress, base=self.base)
            config, info["tuning"] = result.config, result.summary()
            self.notes += [t for t in result.warnings if t not in self.dataset.warnings]
        prepared = prepare(self.dataset, config, self.notes, self.progress, self.base)
        terms = sparse_terms(prepared, config, self.notes, self.progress)
        whitening = whitened(terms, config, self.notes)
        begun = GAPModel(
            # Workers need no baseline: it has been subtracted.
            config=config.model_copy(update={"baseline": BaselineConfig()}),
            species=self.dataset.species,
            e0=prepared.e0,
            terms=tuple(_with_coefficients(terms, np.zeros(whitening.n_sparse))),
            training_sums=TrainingSums(whitening, config.solver.method),
            info=info | {"warnings": self.notes},
        )
        if self.folder:
            begun.save(self.folder.start)
        return prepared, begun

    def _begun_before(self, settings: FitConfig) -> tuple[Prepared, GAPModel]:
        """Return the same as `_begin`, from the checkpoint."""
        from gapfit.model.storage import load

        assert self.folder is not None
        begun = load(self.folder.start, training_sums=True)
        config = begun.config.model_copy(update={"baseline": settings.baseline})
        prepared = prepare(self.dataset, config, self.notes, self.progress, self.base)
        self.notes += begun.info["warnings"]
        return prepared, begun

    def _summed(self, prepared: Prepared, begun: GAPModel) -> TrainingSums:
        """Return the sums over all rows."""
        config, empty = begun.config, begun.training_sums
        assert empty is not None
        rows = Rows(begun.terms, begun.e0, config.sigma, empty.whitening, empty.method)
        work = Work(
            rows,
            prepared.frames,
            groups_of(prepared.given, config),
            row_counts(prepared.frames).sum(axis=1),
            task_slices(frame_sizes(prepared.frames), begun.n_sparse),
            batch_atoms(prepared.given, begun.terms, config),
        )
        total = int(work.n_rows.sum())

        def report(n_rows: int) -> None:
            self.progress("rows", n_rows, total)

        report(0)
        if self.pool is None:
            return sum_here(work, self.folder, report)
        assert self.folder is not None
        return sum_by_workers(work, self.folder, self.pool, report)
