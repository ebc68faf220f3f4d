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
from gapfit.evaluation.residuals import left_out_residuals
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
# Fewer structures tell of themselves alone.
_LEAST = 4
# Atoms on which the errors of all fits are taken, at most.
_MOST_ATOMS = 20_000


@dataclass(frozen=True)
class LearningCurve:
    """Errors of fits to nested subsets of the training data.

    Attributes
    ----------
    n_frames : tuple of int
        Structures fitted, ascending; the last number is all of them.
    rmse, mae : tuple of dict of str to float
        Root mean square and mean absolute error of each fit by kind, meV/atom, eV/Å and
        GPa.
    judged : str
        ``"test"``: errors on the test data; ``"left out"``: on training structures that
        none of the subsets holds, for all data by leaving each out in turn.
    n_judged : int
        Structures that the errors are those of.
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

    Subsets are nested and drawn at random (``run.seed``). Each fit has the sparse points,
    the energies of isolated atoms and the sigmas of the model, so that all it takes is
    one pass over the rows of half the data and a solution for each subset.

    Parameters
    ----------
    model : GAPModel
        The fit to all data.
    train : sequence of Frame
        What it was fitted to.
    test : sequence of Frame, optional
        What errors are taken on; without it, training structures that are left out.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    LearningCurve or None
        None of data too few for two points.
    """
    seed = model.config.run.seed
    order = np.random.default_rng([seed, 8]).permutation(len(train))
    ends = [n for share in SHARES if (n := round(share * len(train))) >= _LEAST]
    if not ends:
        return None
    drawn = order[ends[-1] :]
    if test is not None:
        drawn = np.random.default_rng([seed, 9]).permutation(len(test))
    known = train if test is None else test
    drawn = _some(known, drawn)
    judged = [known[int(n)] for n in drawn]
    parts = [order[a:b] for a, b in pairwise([0, *ends])]
    found, n_frames = [], []
    models = subset_models(model, train, parts, progress)
    for n, part in enumerate(models):
        progress("learning curve", n, len(parts) + 1)
        found.append(evaluate(part, Dataset(judged), uncertainty=False))
        n_frames.append(ends[n])
    progress("learning curve", len(parts), len(parts) + 1)
    whole = (
        _left_out(model, train, drawn)
        if test is None
        else evaluate(model, Dataset(judged), uncertainty=False)
    )
    if whole:
        found.append(whole)
        n_frames.append(len(train))
    progress("learning curve", len(parts) + 1, len(parts) + 1)
    kind = "left out" if test is None else "test"
    rmse, mae = (
        tuple(
            {kind: own[name] for kind, own in metrics["all"].items()}
            for metrics in found
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
        Whose sparse points, isolated atoms and sigmas they all have.
    train : sequence of Frame
        What it was fitted to; sigmas that grow with energies are those among all of it.
    parts : sequence of (n,) int64
        Structures that each fit adds to those of the one before.
    progress : callable
        Called as ``progress("rows", done, total)``.
    """
    config = model.config
    everything = targets(train, model.baseline, config.sigma, silent)
    whitening = (
        whitened(model.terms, config, [])
        if model.posterior is None
        else model.posterior.whitening
    )
    rows = RowBuilder(
        model.terms, model.e0, config.sigma, whitening, config.solver.method
    )
    sums = TrainingSums(whitening, config.solver.method)
    # Files, so that half of the data need not fit into the memory.
    sets = [temporary_frames(everything[int(n)] for n in np.sort(own)) for own in parts]
    sizes = [row_counts(frames).sum() for frames in sets]
    done, total, out = 0, int(sum(sizes)), []
    progress("rows", 0, total)
    for frames, n_rows in zip(sets, sizes, strict=True):
        groups = [(ALL, ALL, ALL)] * len(frames)
        at_once = batch_atoms(frames, model.terms, config)
        sums.merge(rows.sum_up(frames, groups, at_once))
        done += int(n_rows)
        progress("rows", done, total)
        part = solved(replace(model, training_sums=sums), None, silent)
        out.append(replace(part, training_sums=None, posterior=None))
    return out


def _some(frames: Sequence[Frame], order: np.ndarray) -> np.ndarray:
    """Return the first structures of an order, with at most so many atoms."""
    atoms = np.cumsum(frame_sizes(frames)[order])
    return np.sort(order[: max(1, int(np.searchsorted(atoms, _MOST_ATOMS, "right")))])


def _left_out(model: GAPModel, train: Sequence[Frame], drawn: np.ndarray) -> Metrics:
    """Return the errors of some training structures, each for the fit without it."""
    if model.posterior is None:
        return {}
    tally = ErrorTally()
    everything = targets(train, model.baseline, model.config.sigma, silent)
    try:
        for n in drawn:
            for own in left_out_residuals(model, everything[int(n)]):
                tally.add_residuals(own)
    except LeftOutError:
        return {}
    return tally.metrics()
