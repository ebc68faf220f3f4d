"""Isolated atoms among the sparse points, so that the fit meets their energies."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.isolated import is_isolated
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.protocol import Sparse
from gapfit.model.terms import FittedTerm

__all__ = ["with_isolated_atoms"]

# Points closer than this are the same; descriptors of SOAP are unit vectors.
_SAME = 1e-6


def with_isolated_atoms(
    sparse: Sparse,
    term: FittedTerm,
    frames: Sequence[Frame],
    excluded: Collection[str] = (),
) -> Sparse:
    """Return sparse points that include the isolated atoms of the data.

    A single environment among thousands is rarely chosen, and no other is like it: without
    it the energy of an isolated atom, from which cohesive energies count, is left to
    chance. It takes the place of the last point of its block.

    Parameters
    ----------
    sparse : dict of int to (n_sparse, n_features) float64
        Chosen points by block.
    term : FittedTerm
        Their term.
    frames : sequence of Frame
        Training data.
    excluded : collection of str
        Config_types whose numbers of points are given.
    """
    sparse = dict(sparse)
    for n in np.flatnonzero(frame_sizes(frames) == 1):
        frame = frames[int(n)]
        if frame.energy is None or frame.config_type in excluded:
            continue
        if not is_isolated(frame):
            continue
        pairs = pairs_of([frame], term.descriptor.cutoff)
        for block, part in term.descriptor.environments(pairs).items():
            points = sparse.get(block, np.empty((0, 0)))
            if len(points) < 2 or not len(part.values) or not part.values[0].any():
                continue
            distances = np.abs(points - part.values[0]).max(axis=1)
            if distances.min() > _SAME:
                sparse[block] = np.concatenate([points[:-1], part.values[:1]])
    return sparse
