"""From data and configuration to a model: orchestration only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gapfit._support.leftovers import temporary_folder
from gapfit._support.progress import Progress, silent
from gapfit.config.sections import FitConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import Dataset, as_dataset
from gapfit.data.pair_data import pair_data
from gapfit.evaluation.calibrate import with_calibration
from gapfit.evaluation.usual_deviations import with_usual_deviations
from gapfit.execution.accumulate import require_device
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool, open_pool
from gapfit.execution.plan import Plan
from gapfit.execution.plan import plan as planned
from gapfit.fitting.fit_prepared import fitted, unfitted
from gapfit.fitting.identity import fit_identity
from gapfit.fitting.prepare import Prepared
from gapfit.fitting.review import review
from gapfit.fitting.tune import tune_prepared
from gapfit.model.gap_model import GAPModel
from gapfit.threads import limited

__all__ = [
    "fit",
]


def fit(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
    checkpoint: Path | str | CheckpointFolder | None = None,
    resume: bool = False,
    executor: Executor | None = None,
    plan: Plan | None = None,
) -> GAPModel:
    """Fit a potential.

    Parameters
    ----------
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        Training data; None reads ``config.data.train``.
    config : FitConfig, dict, or path of a TOML file
        Configuration of the fit. ``data.train`` may be missing if `frames` are given.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to; by default that of the TOML file.
    checkpoint : path or CheckpointFolder, optional
        Folder for the sums so far, or one that is held already. It stays after the fit,
        in case the model cannot be saved: `gapfit.remove_checkpoint` deletes it. An
        earlier fit in it is replaced unless `resume` is true.
    resume : bool
        Continue the fit in `checkpoint`, if there is one: same data and configuration. A
        finished one gives the same model again without new sums.
    executor : concurrent.futures.Executor, optional
        Used instead of the one that ``run.executor`` names. Its workers must see
        `checkpoint`, or the folder for temporary files if there is none.
    plan : Plan, optional
        The size of this fit, if it has been computed; see `gapfit.execution.plan`.

    Returns
    -------
    GAPModel
        The fitted potential; it does not depend on where the rows were computed.

    Raises
    ------
    ConfigError, DataError
        Mistakes in the configuration or the data, with their places.
    GapfitError
        run.memory is too little for the sparse points; run.device is not there; the
        checkpoint belongs to another fit; workers died. The message states the memory
        needed, the differences or the frames.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.fit("train.extxyz", {"terms": [{"n_sparse": 500}]})  # doctest: +SKIP
    """
    settings = as_config(config, frames)
    require_device(settings.run.device)
    if base is None:
        base = Path(config).parent if isinstance(config, str | Path) else Path()
    with open_pool(settings.run, executor) as pool, ExitStack() as stack:
        dataset = as_dataset(frames, settings, base)
        identity = fit_identity(dataset, settings, base)
        folder = stack.enter_context(_work_folder(checkpoint, resume, identity, pool))
        if pool:
            stack.push(pool.stop_after_error)  # or they write to the folder as it goes
        n_threads = settings.run.threads * (settings.run.workers if pool else 1) or None
        stack.enter_context(limited(n_threads))
        plan = plan or planned(dataset, settings, base)
        plan.sizes.require()
        fitter = _Fitter(dataset, settings, progress or silent, folder, base)
        prepared, begun = fitter.begun(resume=resume)
        model = fitted(
            begun,
            prepared,
            fitter.progress,
            folder=folder,
            pool=pool,
            pairs_per_atom=plan.sizes.batch.pairs_per_atom,
            device=settings.run.device,
        )
        model = with_calibration(model, prepared.frames, fitter.progress)
        model = with_usual_deviations(model, prepared.frames)
    return model.with_record(
        data_digest=identity["SHA-256 of the data"],
        pairs=pair_data(dataset.frames, model.species, model.cutoff),
    )


@contextmanager
def _work_folder(
    path: Path | str | CheckpointFolder | None,
    resume: bool,
    identity: dict[str, Any],
    pool: Pool | None,
) -> Iterator[CheckpointFolder | None]:
    """Yield the folder of a fit; without a path, one that is deleted after the fit."""
    if path is None and pool is None:
        yield None
        return
    with ExitStack() as stack:
        if isinstance(path, CheckpointFolder):
            folder = path
        else:
            if path is None:
                path = stack.enter_context(temporary_folder()) / "work"
            folder = CheckpointFolder(Path(path).absolute())
            stack.enter_context(folder.held())
        if resume and folder.exists:
            folder.require(identity)
        else:
            folder.begin(identity)
        yield folder


class _Fitter:
    """The start of a fit: data, tuned settings, sparse points."""

    def __init__(
        self,
        dataset: Dataset,
        settings: FitConfig,
        progress: Progress,
        folder: CheckpointFolder | None,
        base: Path,
    ) -> None:
        self.dataset = dataset
        self.settings = settings
        self.progress = progress
        self.folder = folder
        self.base = base
        self.notes: list[str] = []

    def begun(self, *, resume: bool) -> tuple[Prepared, GAPModel]:
        """Return the data and the model before its fit, with all warnings so far."""
        prepared = review(
            self.dataset,
            self.settings,
            self.notes,
            base=self.base,
            progress=self.progress,
        )
        if resume and self.folder and self.folder.start.exists():
            model = self.folder.read_start()
            prepared = prepared.with_sigmas(model.config.sigma)
            self.notes += model.record.warnings
        else:
            prepared, model = self._begin(prepared)
        warnings = list(dict.fromkeys([*self.dataset.warnings, *self.notes]))
        return prepared, model.with_record(warnings=tuple(warnings))

    def _begin(self, prepared: Prepared) -> tuple[Prepared, GAPModel]:
        """Return the data and the model before its fit; write the latter."""
        config, tuning = self.settings, None
        if config.tune is not None:
            with limited(config.run.threads or None):
                result = tune_prepared(prepared, config, self.progress)
            config, tuning = result.config, result.summary()
            self.notes += result.warnings
            prepared = prepared.with_sigmas(config.sigma)
        model = unfitted(prepared, config, self.notes, self.progress)
        model = model.with_record(tuning=tuning)
        if self.folder:
            self.folder.write_start(model)
        return prepared, model
