"""Sparse points within the directions that they span: fewer operations for kernel rows.

Power spectra have more features than atoms can vary: radial functions overlap, and no atom
comes close to another. Sparse points of the same channels and degree l lie, to working
precision, in a space of fewer dimensions. Dot products q·q_s are taken within it: the
directions V of a degree give U^T q · U^T q_s with the block-diagonal matrix U of all V.
What is left of q_s beside them is so small that rows of data like the sparse points keep
11 digits or more, and all others eight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gapfit.descriptors.soap_features import FeatureList
from gapfit.threads import one_thread

__all__ = ["RowPoints", "SparsePoints", "directions_nbytes", "spanned"]

#: Singular values below this share of the largest are left out. Half the digits are enough
#: where q has no more beside the directions than the sparse points: errors are products.
_LEAST = 1e-8
#: Share of the operations that directions must save.
_WORTH_WHILE = 0.1
#: Numbers in the largest matrix U that is made, 34 MB.
_MOST_IN_U = 1 << 22
#: Numbers of a row of U that take memory: one page; nothing is written to the others.
_IN_A_ROW = 512


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Sparse points of one central species.

    Attributes
    ----------
    values : (n_sparse, n_features) float64
        Unit power spectra, or their projections (n_sparse, width).
    projection : (n_features, width) float64 or None
        Matrix U; dot products are those of U^T p̂.
    """

    values: np.ndarray
    projection: np.ndarray | None = None


class RowPoints:
    """Finds the directions of sparse points, and keeps the last ones of each species.

    Parameters
    ----------
    features : FeatureList
        Order of the features.
    """

    def __init__(self, features: FeatureList) -> None:
        self._features = features
        self._known: dict[int, tuple[np.ndarray, SparsePoints]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_known": {}}

    def of(self, species: int, points: SparsePoints) -> SparsePoints:
        """Return sparse points that give the same rows.

        Parameters
        ----------
        species : int
            Number of the central species.
        points : SparsePoints
            As they are; projected ones are returned unchanged.
        """
        if points.projection is not None or not len(points.values):
            return points
        values, known = self._known.get(species, (None, points))
        if values is not points.values:
            with one_thread():
                known = spanned(points.values, self._parts())
            self._known[species] = points.values, known
        return known

    def _parts(self) -> list[slice]:
        """Return the features of each pair of channels and degree."""
        changes = np.diff(self._features.labels[:, :3], axis=0).any(axis=1)
        ends = [0, *(np.flatnonzero(changes) + 1).tolist(), len(self._features)]
        return [slice(a, b) for a, b in pairwise(ends)]


def spanned(values: np.ndarray, parts: Sequence[slice]) -> SparsePoints:
    """Return sparse points within the directions of each part of the features.

    Parameters
    ----------
    values : (n_sparse, n_features) float64
        Sparse points.
    parts : sequence of slice
        Consecutive parts of the features.

    Returns
    -------
    SparsePoints
        Not projected where that would not save enough operations.
    """
    # The singular values and directions of the triangle R are those of the points.
    triangles = [np.linalg.qr(values[:, part], mode="r") for part in parts]
    spectra = [np.linalg.svd(R, full_matrices=False)[1:] for R in triangles]
    least = _LEAST * max(singular[0] for singular, _ in spectra)
    directions = [Vt[singular > least].T for singular, Vt in spectra]
    n_sparse, n_features = values.shape
    width = sum(V.shape[1] for V in directions)
    operations = n_sparse * width + sum(V.size for V in directions)
    is_less = operations < (1 - _WORTH_WHILE) * n_sparse * n_features
    if not width or not is_less or n_features * width > _MOST_IN_U:
        return SparsePoints(values)
    U, first = np.zeros((n_features, width)), 0
    for part, V in zip(parts, directions, strict=True):
        U[part, first : first + V.shape[1]] = V
        first += V.shape[1]
    return SparsePoints(values @ U, U)


def directions_nbytes(n_blocks: int, n_features: int, n_sparse: float) -> float:
    """Return the most memory that the directions of some species take, bytes.

    Parameters
    ----------
    n_blocks, n_features : int
        Central species; features.
    n_sparse : float
        Sparse points of all of them.
    """
    in_a_row = min(n_features, _IN_A_ROW)
    return 8 * (n_blocks * n_features * in_a_row + n_sparse * n_features)
