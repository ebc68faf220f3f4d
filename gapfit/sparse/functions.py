"""Functions of linear kernels in place of sparse points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gapfit.data.frame import Frame
from gapfit.model.terms import FittedTerm, build_term
from gapfit.sparse.adapt import near_pairs

__all__ = ["with_functions"]


@dataclass
class _Moments:
    """Number of environments, sums of their features and of the squares of these."""

    n: int
    sums: np.ndarray
    squares: np.ndarray

    def add(self, values: np.ndarray) -> None:
        """Count the environments (n, n_features)."""
        self.n += len(values)
        self.sums += values.sum(axis=0)
        self.squares += np.einsum("nf,nf->f", values, values)


def with_functions(
    term: FittedTerm, frames: Sequence[Frame], cutoff: float
) -> FittedTerm:
    """Return a term whose sparse points are the features of its linear kernel.

    They are scaled by what they are in the environments of the data, see
    `gapfit.descriptors.protocol.Descriptor.scaling`.

    Parameters
    ----------
    term : FittedTerm
        Without sparse points.
    frames : sequence of Frame
        Training data.
    cutoff : float
        Range in which neighbours are searched, Å; at least that of the term.
    """
    descriptor = term.descriptor
    zeros = np.zeros(descriptor.n_features)
    moments = {
        block: _Moments(0, zeros.copy(), zeros.copy()) for block in descriptor.blocks
    }
    for pairs in near_pairs(term, frames, cutoff):
        for block, part in descriptor.environments(pairs).items():
            moments[block].add(part.values)
    scalings = {
        block: descriptor.scaling(found.sums / found.n, found.squares / found.n)
        for block, found in moments.items()
        if found.n
    }
    scaled = build_term(term.config, term.species, term.basis, scalings)
    points = {
        block: np.eye(scaled.descriptor.width(block))
        for block in scaled.descriptor.blocks
    }
    return replace(scaled, sparse=points)
