"""Descriptors whose basis comes from the environments of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.model.terms import FittedTerm, build_term
from gapfit.sparse.choice_memory import BATCH_ATOMS

__all__ = ["adapted", "near_pairs"]


def near_pairs(
    term: FittedTerm, frames: Sequence[Frame], cutoff: float
) -> Iterator[Pairs]:
    """Yield the pairs of batches of frames within the cutoff of a term.

    Neighbours are searched within a cutoff that other terms share, Å.
    """
    for selection in batches(frame_sizes(frames), BATCH_ATOMS):
        yield pairs_of(frames[selection], cutoff).within(term.descriptor.cutoff)


def adapted(term: FittedTerm, frames: Sequence[Frame], cutoff: float) -> FittedTerm:
    """Return a term with the basis that its descriptor finds in the data.

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
    if not descriptor.adaptive:
        return term
    parts = map(descriptor.environment_sums, near_pairs(term, frames, cutoff))
    sums = sum(parts, start=np.zeros(()))
    basis = term.basis | descriptor.adapted_basis(sums)
    return build_term(term.config, term.species, basis)
