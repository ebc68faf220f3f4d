"""Memory for the choice of sparse points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.config.sections import SparseTermConfig
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import PAIR_BYTES, Pairs
from gapfit.model.terms import FittedTerm

__all__ = [
    "BATCH_ATOMS",
    "SHARE_OF_MEMORY",
    "choice_config",
    "choice_memory",
    "held_at_most",
    "held_bytes",
    "is_wide",
]

#: Share of ``run.memory`` that the choice may use.
SHARE_OF_MEMORY = 0.25
#: Atoms whose environments are computed together: bounds the memory of their pair lists.
BATCH_ATOMS = 1024

# Bytes of descriptors above which a further pass over the data is worthwhile.
_LITTLE = 128e6
# Copies of the descriptors in memory where all are gathered: in pieces, joined, distinct
# ones, and those of the methods.
_COPIES = 4
# A hash takes as much memory as a shorter descriptor.
_NARROW = 8
# Memory for key, hash and kind of a descriptor, bytes.
_BESIDES = 24


def choice_memory(
    term: FittedTerm,
    frames: Sequence[Frame],
    sample: Pairs,
    granted: float = np.inf,
) -> int:
    """Return the approximate memory for the choice of a term's sparse points, bytes.

    Parameters
    ----------
    term : FittedTerm
        Term without sparse points.
    frames : sequence of Frame
        Training data.
    sample : Pairs
        Neighbours in a sample of the frames, within the cutoff of the term or a longer
        one; numbers of pairs and environments are estimated from them.
    granted : float
        All of ``run.memory``, bytes.
    """
    config, n_features = term.config, term.descriptor.n_features
    if not isinstance(config, SparseTermConfig):
        return int(BATCH_ATOMS * 2 * 8 * n_features)
    if config.sparse_file is not None and term.descriptor.components == "all":
        return 0
    n_atoms = int(frame_sizes(frames).sum())
    pairs, environments = _densities(term, sample)
    batch = min(max(BATCH_ATOMS, int(frame_sizes(frames).max())), n_atoms)
    each = environments * held_bytes(config, n_features)
    held = min(each * n_atoms, held_at_most(term, SHARE_OF_MEMORY * granted))
    return int(batch * (PAIR_BYTES * pairs + each) + held)


def held_at_most(term: FittedTerm, memory: float) -> float:
    """Return the memory for descriptors that could be computed again instead, bytes."""
    method = choice_config(term).sparse_method
    lossless = method == "random" or (method == "cur" and is_wide(term))
    return min(memory, _LITTLE) if lossless else memory


def choice_config(term: FittedTerm) -> SparseTermConfig:
    """Return the configuration of a term whose sparse points are chosen."""
    assert isinstance(term.config, SparseTermConfig)
    return term.config


def is_wide(term: FittedTerm) -> bool:
    """Return whether descriptors take more memory than their hashes."""
    descriptor = term.descriptor
    return min(map(descriptor.width, descriptor.blocks), default=0) > _NARROW


def held_bytes(config: SparseTermConfig, width: int) -> int:
    """Return the memory for each environment in a choice among gathered ones, bytes."""
    row = 8 * width + _BESIDES
    # SciPy's k-means keeps the product of all rows with all centres.
    clusters = 8 * config.n_sparse if config.sparse_method == "kmeans" else 0
    return _COPIES * row + clusters


def _densities(term: FittedTerm, sample: Pairs) -> tuple[float, float]:
    """Return pairs and environments per atom."""
    pairs = sample.within(term.descriptor.cutoff)
    if term.descriptor.atomic:
        count = pairs.n_atoms
    else:
        environments = term.descriptor.environments(pairs)
        count = sum(len(part.atoms) for part in environments.values())
    return pairs.n_pairs / pairs.n_atoms, count / pairs.n_atoms
