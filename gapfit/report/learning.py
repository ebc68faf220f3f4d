"""Errors against the number of training structures, for one choice of sparse points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.baseline.baseline import targets
from gapfit.data.dataset import Dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes, temporary_frames
from gapfit.data.observations import row_counts
from gapfit.errors import LeftOutError
from gapfit.evaluation.evaluate import ErrorTally, Metrics, evaluate
from gapfit.evaluation.residuals import left_out_residuals, of_each
from gapfit.execution.accumulate import RowBuilder
from gapfit.execution.plan import batch_atoms
from gapfit.fitting.prepare import whitened
from gapfit.fitting.solve import solved
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.gap_model import GAPModel
from gapfit.model.observation_groups import ALL

__all__ = ["LearningCurve", "learning_curve", "subset_models"]

#: Shares of the training structures that are fitted.
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
# Least number of structures in a subset.
_LEAST = 4
# Largest number of atoms in structures on which errors are computed.
_MOST_ATOMS = 20_000


@dataclass(frozen=True)
class LearningCurve:
    """Errors of fits to nested subsets of the training data.

    Attributes
    ----------
    n_frames : tuple of int
        Numbers of structures fitted, ascending to all of them.
    rmse, mae : tuple of dict of str to float
        Root mean square and mean absolute error of each fit by quantity, meV/atom, eV/Å and
        GPa.
    judged : str
        ``"test"``: errors on the test data; ``"left out"``: on training structures in
        none of the subsets; for the fit to all data by leaving each out in turn.
    n_judged : int
        Number of structures on which errors are computed.
    """

    n_frames: tuple[int, ...]
    rmse: tuple[dict[str, float], ...]
    mae: tuple[dict[str, float], ...]
    judged: str
    n_judged: int


def learning_curve(
    model: GAPModel,
    train: Sequence[Frame],
    test: Sequence[Frame] | None = None,
    *,
    progress: Progress = silent,
) -> LearningCurve | None:
    """Return errors against the number of training structures.

    Subsets are nested and random (``run.seed``). All fits have the sparse points, the
    energies of isolated atoms and the sigmas of the model, so they need only one pass over
    the rows of half the data and a solution for each subset.

    Parameters
    ----------
    model : GAPModel
        The fit to all data.
    train : sequence of Frame
        Training data of the model.
    test : sequence of Frame, optional
        Structures for the errors; by default training structures that are left out.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    LearningCurve or None
        None if the data are too few for two points.
    """
    seed = model.config.run.seed
    order = np.random.default_rng([seed, 8]).permutation(len(train))
    ends = [n for share in SHARES if (n := round(share * len(train))) >= _LEAST]
    if not ends:
        return None
    indices = order[ends[-1] :]
    if test is not None:
        indices = np.random.default_rng([seed, 9]).permutation(len(test))
    source = train if test is None else test
    indices = _first(source, indices)
    judged = [source[int(n)] for n in indices]
    parts = [order[a:b] for a, b in pairwise([0, *ends])]
    results, n_frames = [], []
    models = subset_models(model, train, parts, progress)
    for n, subset_model in enumerate(models):
        progress("learning curve", n, len(parts) + 1)
        results.append(evaluate(subset_model, Dataset(judged), uncertainty=False))
        n_frames.append(ends[n])
    progress("learning curve", len(parts), len(parts) + 1)
    last = (
        _left_out(model, train, indices)
        if test is None
        else evaluate(model, Dataset(judged), uncertainty=False)
    )
    if last:
        results.append(last)
        n_frames.append(len(train))
    progress("learning curve", len(parts) + 1, len(parts) + 1)
    kind = "left out" if test is None else "test"
    rmse, mae = (
        tuple(
            {kind: errors[name] for kind, errors in metrics["all"].items()}
            for metrics in results
        )
        for name in ("rmse", "mae")
    )
    return LearningCurve(tuple(n_frames), rmse, mae, kind, len(judged))


def subset_models(
    model: GAPModel,
    train: Sequence[Frame],
    parts: Sequence[np.ndarray],
    progress: Progress = silent,
) -> list[GAPModel]:
    """Return the fits to the first part of the data, the first two parts, and so on.

    Parameters
    ----------
    model : GAPModel
        Model with the sparse points, isolated atoms and sigmas of all fits.
    train : sequence of Frame
        Its training data; automatic sigmas are computed from all of them.
    parts : sequence of (n,) int64
        Indices of the structures that each fit adds to the one before.
    progress : callable
        Called as ``progress("rows", done, total)``.
    """
    config = model.config
    target_frames = targets(train, model.baseline, config.sigma, silent)
    whitening = (
        whitened(model.terms, config, [])
        if model.posterior is None
        else model.posterior.whitening
    )
    rows = RowBuilder(
        model.terms, model.e0, config.sigma, whitening, config.solver.method
    )
    sums = TrainingSums(whitening, config.solver.method)
    # Files, so that half of the data need not fit into memory.
    sets = [
        temporary_frames(target_frames[int(n)] for n in np.sort(part)) for part in parts
    ]
    sizes = [row_counts(frames).sum() for frames in sets]
    done, total, out = 0, int(sum(sizes)), []
    progress("rows", 0, total)
    for frames, n_rows in zip(sets, sizes, strict=True):
        groups = [(ALL, ALL, ALL)] * len(frames)
        at_once = batch_atoms(frames, model.terms, config)
        sums.merge(rows.sum_up(frames, groups, at_once))
        done += int(n_rows)
        progress("rows", done, total)
        fitted = solved(replace(model, training_sums=sums), None, silent)
        out.append(replace(fitted, training_sums=None, posterior=None))
    return out


def _first(frames: Sequence[Frame], order: np.ndarray) -> np.ndarray:
    """Return the first structures of an order, with at most `_MOST_ATOMS` atoms, sorted."""
    atoms = np.cumsum(frame_sizes(frames)[order])
    return np.sort(order[: max(1, int(np.searchsorted(atoms, _MOST_ATOMS, "right")))])


def _left_out(model: GAPModel, train: Sequence[Frame], indices: np.ndarray) -> Metrics:
    """Return the errors of training structures, each by the fit without it."""
    if model.posterior is None:
        return Metrics()
    tally = ErrorTally()
    frames = targets(train, model.baseline, model.config.sigma, silent)
    for part in of_each(left_out_residuals, model, [frames[int(n)] for n in indices]):
        if isinstance(part, LeftOutError):
            return Metrics()
        for residuals in part:
            tally.add_residuals(residuals)
    return tally.metrics()
