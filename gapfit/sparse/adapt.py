"""Descriptors whose basis comes from the environments of the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.model.terms import FittedTerm, build_term
from gapfit.sparse.choice_memory import BATCH_ATOMS

__all__ = ["adapted"]


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
    parts = (
        descriptor.environment_sums(
            pairs_of(frames[selection], cutoff).within(descriptor.cutoff)
        )
        for selection in batches(frame_sizes(frames), BATCH_ATOMS)
    )
    sums = sum(parts, start=np.zeros(()))
    basis = term.basis | descriptor.adapted_basis(sums)
    return build_term(term.config, term.species, basis)
