"""Which frames share a sigma, and which are held out together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gapfit._support.progress import Progress
from gapfit.config.sections import FitConfig, TuneConfig
from gapfit.data.batching import batches
from gapfit.data.e0 import is_isolated
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, frame_sizes
from gapfit.data.observations import KINDS
from gapfit.errors import GapfitError
from gapfit.fitting.prepare import Prepared
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.observations import Group, RowBlock
from gapfit.gp.whitening import Whitening
from gapfit.model.observation_groups import class_of
from gapfit.model.rows import row_block
from gapfit.model.terms import FittedTerm

__all__ = [
    "MIN_FRAMES",
    "affordable_folds",
    "assign_folds",
    "fill",
    "own_classes",
]

_BATCH_ATOMS = 256
# Kernel rows smaller than this, relative to delta², are zero but for rounding.
_NOTHING = 1e-8
#: Config_types with fewer frames share their sigmas with all others.
MIN_FRAMES = 3


def own_classes(frames: Sequence[Frame], options: TuneConfig) -> set[str]:
    """Return the config_types with sigmas of their own, those that are not too few."""
    if not options.by_config_type:
        return set()
    counts = Counter(config_types(frames))
    return {kind for kind, n in counts.items() if n >= MIN_FRAMES}


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
        own = np.flatnonzero(kinds == kind)
        if options.consecutive:
            share = np.arange(len(own)) * n_folds // max(len(own), n_folds)
        else:
            share = rng.permutation(len(own))
        folds[own] = (share + dealt) % n_folds
        dealt += len(own)
    return folds


def affordable_folds(
    prepared: Prepared, config: FitConfig, options: TuneConfig, n_sparse: int
) -> int:
    """Return how many folds of Gram matrices fit into ``run.memory``, at most those wanted.

    Raises
    ------
    GapfitError
        Not even two folds fit.
    """
    frames = prepared.given
    apart = own_classes(frames, options)
    n_groups = len({(k, class_of(f, k, apart)) for f in frames for k in KINDS})
    size = 8 * n_groups * n_sparse**2
    rows = 8 * len(frames) * n_sparse + 24 * _BATCH_ATOMS * n_sparse * 4
    folds = min(options.folds, len(frames))
    # One more copy holds the totals, two serve the algebra.
    affordable = int((config.run.memory_bytes - rows) // size) - 3
    if affordable < min(2, folds):
        raise GapfitError(
            f"the Gram matrices of {n_sparse} sparse points and {n_groups} groups need "
            f"{(5 * size + rows) / 1e9:.2g} GB even with 2 folds, run.memory is "
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
    ends = np.cumsum([0] + [term.n_sparse for term in terms])
    columns = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    sigmas = {kind: float(getattr(config.sigma, kind)) for kind in KINDS}
    grams = FoldGrams(whitening, columns, sigmas)
    frames, given = prepared.frames, prepared.given
    apart = own_classes(given, options)
    folds = assign_folds(frames, options, config.run.seed)
    least = _NOTHING * max(term.config.delta for term in terms) ** 2
    # Frames of one fold and type follow each other, so that their rows add in blocks.
    types, sizes = config_types(frames), frame_sizes(frames)
    order = sorted(range(len(frames)), key=lambda n: (folds[n], types[n]))
    done, total = 0, int(sizes.sum())
    progress("rows", 0, total)
    for part in batches(sizes[order], _BATCH_ATOMS):
        some = [frames[n] for n in order[part]]
        block = row_block(some, terms, prepared.e0, config.sigma)
        places = [
            [((kind, class_of(frame, kind, apart)), int(folds[n])) for kind in KINDS]
            for n, frame in ((n, given[n]) for n in order[part])
        ]
        judged = np.array([0 if is_isolated(f) else f.n_atoms for f in some])
        _add(grams, block, places, judged, least)
        done += sum(frame.n_atoms for frame in some)
        progress("rows", done, total)
    return grams


def _add(
    grams: FoldGrams,
    block: RowBlock,
    places: Sequence[Sequence[tuple[Group, int]]],
    judged: np.ndarray,
    least: float,
) -> None:
    """Add rows where they belong: `places` by frame and kind.

    Rows that are zero (below `least`) by symmetry, as forces in perfect crystals are, say
    nothing about the potential, but would make sigmas seem small: they are left out.
    """
    names = sorted({place for own in places for place in own})
    where = np.array([[names.index(place) for place in own] for own in places])
    group = where[block.frame, block.kind]
    group[np.abs(block.K).max(axis=1) < least] = -1
    for n, (name, fold) in enumerate(names):
        own = group == n
        grams.add(
            name,
            fold,
            block.K[own],
            block.y[own],
            block.sigma[own],
            judged[block.frame[own]],
        )
