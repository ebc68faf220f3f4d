"""Groups of atoms with like environments, without names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import gapfit
from gapfit.data.frame import Frame
from gapfit.data.neighbours import pairs_of

_DIRECTIONS, _SEED = 6, 7


def geometry_groups(
    model: gapfit.GAPModel, frames: Sequence[Frame], n_groups: int = 6
) -> np.ndarray:
    """Return the group of each atom, (n_atoms,) int.

    k-means in the directions in which the unit power spectra of these atoms vary most.
    """
    from scipy.cluster.vq import kmeans2

    soap = next(t.descriptor for t in model.terms if t.descriptor.unit_vectors)
    parts = []
    for frame in frames:
        found = soap.environments(pairs_of([frame], soap.cutoff))
        values = np.zeros((frame.n_atoms, soap.n_features))
        for own in found.values():
            values[own.atoms, : own.values.shape[1]] = own.values
        parts.append(values)
    values = np.concatenate(parts)
    values -= values.mean(axis=0)
    _, vectors = np.linalg.eigh(values.T @ values)
    X = values @ vectors[:, -_DIRECTIONS:]
    _, groups = kmeans2(X, n_groups, minit="++", rng=np.random.default_rng(_SEED))
    return np.asarray(groups)
