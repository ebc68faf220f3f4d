"""From data and configuration to a model: orchestration only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gapfit.assembly import count_rows, row_counts
from gapfit.calibrating import with_calibration
from gapfit.config import BaselineConfig, FitConfig, PredictionConfig
from gapfit.dataset import Dataset
from gapfit.executors import Pool, open_pool
from gapfit.factors import Factors
from gapfit.frame import Frame
from gapfit.frame_file import frame_sizes
from gapfit.groups import groups_of
from gapfit.model import GAPModel
from gapfit.planning import batch_atoms, plan
from gapfit.posterior import Posterior
from gapfit.preparing import (
    Prepared,
    Progress,
    as_config,
    as_dataset,
    data_digest,
    prepare,
    silent,
    sparse_terms,
    whitened,
)
from gapfit.rounding import ROUNDED, rounding_warning
from gapfit.row_sums import Rows, task_slices
from gapfit.shortcuts import Ranks, Shortcut, with_shortcut
from gapfit.summation import Work, sum_by_workers, sum_here
from gapfit.terms import FittedTerm
from gapfit.threads import one_thread, use_threads
from gapfit.work_folder import WorkFolder

__all__ = ["fit", "solved"]


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
        Folder for what has been summed up so far; removed when the fit is done. An
        unfinished fit in it is replaced unless `resume` is true.
    resume : bool
        Go on with the unfinished fit in `checkpoint`: same data and configuration.
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
) -> Iterator[WorkFolder | None]:
    """Give the folder of a fit; it is kept only where the fit does not end."""
    if path is None and pool is None:
        yield None
        return
    with TemporaryDirectory(prefix="gapfit-") as temporary:
        folder = WorkFolder(Path(path or Path(temporary) / "work").absolute())
        with folder.held():
            if resume:
                folder.require(identity)
            else:
                folder.begin(identity)
            yield folder
            folder.remove()


class _Fitter:
    """One fit: what its steps share."""

    def __init__(
        self,
        dataset: Dataset,
        progress: Progress,
        base: Path,
        folder: WorkFolder | None,
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
        begun = replace(begun, factors=self._summed(prepared, begun))
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
        if config.optimize is not None:
            from gapfit.tuning import tune

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
            factors=Factors(whitening, config.solver.method),
            info=info | {"warnings": self.notes},
        )
        if self.folder:
            begun.save(self.folder.start)
        return prepared, begun

    def _begun_before(self, settings: FitConfig) -> tuple[Prepared, GAPModel]:
        """Return the same as `_begin`, from the checkpoint."""
        from gapfit.storage import load

        assert self.folder is not None
        begun = load(self.folder.start, factors=True)
        config = begun.config.model_copy(update={"baseline": settings.baseline})
        prepared = prepare(self.dataset, config, self.notes, self.progress, self.base)
        self.notes += begun.info["warnings"]
        return prepared, begun

    def _summed(self, prepared: Prepared, begun: GAPModel) -> Factors:
        """Return the sums over all rows."""
        config, empty = begun.config, begun.factors
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


def solved(
    model: GAPModel,
    frames: Sequence[Frame] | None,
    progress: Progress,
    least: Sequence[Ranks] | None = None,
) -> GAPModel:
    """Return a model with the coefficients that its sums give.

    Parameters
    ----------
    model : GAPModel
        With `GAPModel.factors`; its coefficients and posterior are replaced, its
        calibration is left out.
    frames : sequence of Frame or None
        Structures on which `gapfit.shortcuts` are measured; without any there are none.
    progress : callable
        Called as ``progress(stage, done, total)``.
    least : sequence of dict of int to int, optional
        For each term, by block, fewest directions of a shortcut.
    """
    config, factors = model.config, model.factors
    assert factors is not None
    progress("solve", 0, 1)
    with one_thread():
        solution = factors.solve()
        spoilt = rounding_warning(factors.rounding(solution), config)
    progress("solve", 1, 1)
    terms = _with_coefficients(model.terms, solution.coefficients)
    terms, shortcuts = _with_shortcuts(
        terms, frames, config, progress, least or [{}] * len(terms)
    )
    whitening = factors.whitening
    info = {
        "n_sparse": whitening.n_sparse,
        "jitter": list(whitening.jitter),
        "log_marginal_likelihood": solution.log_marginal_likelihood,
        "shortcuts": shortcuts,
        "versions": _versions(),
        "warnings": _with_rounding(model.info.get("warnings", []), spoilt),
    }
    return replace(
        model,
        terms=tuple(terms),
        posterior=Posterior(whitening, solution.R)
        if config.run.store_posterior
        else None,
        factors=factors if config.run.store_factors else None,
        calibration=None,
        info=model.info | info,
    )


def _with_rounding(warnings: Sequence[str], spoilt: str | None) -> list[str]:
    """Return warnings with what rounding does now, without what it did before."""
    kept = [text for text in warnings if not text.startswith(ROUNDED)]
    return [*kept, spoilt] if spoilt else kept


def _with_coefficients(
    terms: Sequence[FittedTerm], coefficients: np.ndarray
) -> list[FittedTerm]:
    out, first = [], 0
    for term in terms:
        own = {}
        for block, points in term.sparse.items():
            own[block] = coefficients[first : first + len(points)].copy()
            first += len(points)
        out.append(replace(term, coefficients=own))
    return out


def _with_shortcuts(
    terms: Sequence[FittedTerm],
    frames: Sequence[Frame] | None,
    config: FitConfig,
    progress: Progress,
    least: Sequence[Ranks],
) -> tuple[list[FittedTerm], list[dict[str, Any]]]:
    """Return the terms with lossless projections, and what was measured of each."""
    quadratic = config.prediction.quadratic
    terms = [replace(term, quadratic=quadratic, shortcuts={}) for term in terms]
    if not config.prediction.project or frames is None:
        return terms, []
    # Changes by several terms add up.
    shared = PredictionConfig(
        energy_tolerance=config.prediction.energy_tolerance / len(terms),
        forces_tolerance=config.prediction.forces_tolerance / len(terms),
    )
    out, found = [], []
    for n, term in enumerate(terms):
        progress("shortcuts", n, len(terms))
        shortcut = Shortcut({}, 0.0, 0.0, 0)
        if getattr(term.config, "engine", None) == "native":
            term, shortcut = with_shortcut(term, frames, shared, least[n])
        found.append(asdict(shortcut))
        out.append(term)
    progress("shortcuts", len(terms), len(terms))
    return out, found


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        name: version(name) for name in ("gapfit", "numpy", "scipy", "dscribe", "ase")
    }
