"""Classes of frames that share a sigma, and folds of frames held out together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from gapfit._support.progress import Progress
from gapfit.config.sections import FitConfig, TuneConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, frame_sizes
from gapfit.data.isolated import is_isolated
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.fitting.prepare import Prepared
from gapfit.gp.columns import Columns, FallingPrior
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.observation_groups import class_of
from gapfit.model.rows import row_block
from gapfit.model.terms import FittedTerm

__all__ = [
    "MIN_FRAMES",
    "affordable_folds",
    "assign_folds",
    "fill",
    "separate_types",
]

_BATCH_ATOMS = 256
# Kernel rows smaller than this, relative to delta², are zero up to rounding.
_ZERO_ROW = 1e-8
#: Config_types with fewer frames share their sigmas with all others.
MIN_FRAMES = 3


def separate_types(frames: Sequence[Frame], options: TuneConfig) -> set[str]:
    """Return the config_types that get separate sigmas: those with enough frames."""
    if not options.by_config_type:
        return set()
    counts = Counter(config_types(frames))
    return {name for name, n in counts.items() if n >= MIN_FRAMES}


def assign_folds(frames: Sequence[Frame], options: TuneConfig, seed: int) -> np.ndarray:
    """Return the fold of each frame, (n_frames,) int64; every config_type is spread.

    Drawn at random (seeded); or, with ``consecutive``, runs of frames that follow each
    other in their files, so that neighbours on a trajectory stay together.
    """
    n_folds = min(options.folds, len(frames))
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(frames), dtype=np.int64)
    kinds = np.array(config_types(frames))
    dealt = 0
    for kind in sorted(set(kinds.tolist())):
        members = np.flatnonzero(kinds == kind)
        if options.consecutive:
            share = np.arange(len(members)) * n_folds // max(len(members), n_folds)
        else:
            share = rng.permutation(len(members))
        folds[members] = (share + dealt) % n_folds
        dealt += len(members)
    return folds


def affordable_folds(
    prepared: Prepared, config: FitConfig, options: TuneConfig, n_sparse: int
) -> int:
    """Return how many folds of Gram matrices fit into ``run.memory``, up to ``tune.folds``.

    Raises
    ------
    GapfitError
        Not even two folds fit.
    """
    frames = prepared.given
    classes = separate_types(frames, options)
    of = partial(class_of, classes=classes, config=config.sigma, e0=prepared.e0)
    n_groups = len({(q, of(f, q)) for f in frames for q in Quantity})
    size = 8 * n_groups * n_sparse**2
    rows = 8 * len(frames) * n_sparse + 24 * _BATCH_ATOMS * n_sparse * 4
    folds = min(options.folds, len(frames))
    # Two more copies are for totals, as the jitter may rise, two for the algebra.
    affordable = int((config.run.memory_bytes - rows) // size) - 4
    if affordable < min(2, folds):
        raise GapfitError(
            f"the Gram matrices of {n_sparse} sparse points and {n_groups} groups need "
            f"{(6 * size + rows) / 1e9:.2g} GB even with 2 folds, run.memory is "
            f"{config.run.memory}: raise it, or tune with fewer sparse points"
        )
    return min(folds, affordable)


def fill(
    prepared: Prepared,
    terms: Sequence[FittedTerm],
    whitening: Whitening,
    config: FitConfig,
    options: TuneConfig,
    progress: Progress,
) -> FoldGrams:
    """Return the Gram matrices of all groups and folds: one pass over the data.

    Parameters
    ----------
    prepared : Prepared
        Frames and baselines.
    terms : sequence of FittedTerm
        With sparse points.
    whitening : Whitening
        Cholesky factors of K_mm.
    config : FitConfig
        Sigmas at which rows are scaled.
    options : TuneConfig
        Classes and folds.
    progress : callable
        Called as ``progress("rows", done, total)``.
    """
    sigmas = {str(q): float(getattr(config.sigma, q)) for q in Quantity}
    grams = FoldGrams(TrainingSums(whitening, "cholesky"), _columns(terms), sigmas)
    frames, given = prepared.frames, prepared.given
    classes = separate_types(given, options)
    of = partial(class_of, classes=classes, config=config.sigma, e0=prepared.e0)
    folds = assign_folds(frames, options, config.run.seed)
    least = _ZERO_ROW * max(term.config.delta for term in terms) ** 2
    # Frames of one fold and type are consecutive, so that their rows add in blocks.
    types, sizes = config_types(frames), frame_sizes(frames)
    order = sorted(range(len(frames)), key=lambda n: (folds[n], types[n]))
    done, total = 0, int(sizes.sum())
    progress("rows", 0, total)
    for part in batches(sizes[order], _BATCH_ATOMS):
        batch = [frames[n] for n in order[part]]
        block = row_block(batch, terms, prepared.e0, config.sigma)
        groups = [
            [
                ((quantity, of(given[n], quantity)), int(folds[n]))
                for quantity in Quantity
            ]
            for n in order[part]
        ]
        # Rows that are zero by symmetry, such as forces in perfect crystals, do not depend
        # on the potential, but would make sigmas seem small: they are skipped.
        grams.sums.add_block(block, groups, np.abs(block.K).max(axis=1) >= least)
        scored_atoms = np.array([0 if is_isolated(f) else f.n_atoms for f in batch])
        grams.keep_energies(block, folds[order[part]], scored_atoms)
        done += int(sizes[order[part]].sum())
        progress("rows", done, total)
    grams.sums.close()
    return grams


def _columns(terms: Sequence[FittedTerm]) -> Columns:
    """Return the columns of terms, and which of them have priors that fall."""
    ends = np.cumsum([0] + [term.n_sparse for term in terms]).tolist()
    falling = []
    for n, term in enumerate(terms):
        start = ends[n]
        for block, points in term.sparse.items():
            power = term.descriptor.smoothness
            if power is not None and len(points):
                degrees = term.descriptor.degrees(block)
                columns = slice(start, start + len(points))
                falling.append(FallingPrior(n, columns, degrees, power))
            start += len(points)
    return Columns([slice(a, b) for a, b in pairwise(ends)], falling)
