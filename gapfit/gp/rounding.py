"""Changes that rounding to 16 digits makes in the values a model gives for its data.

Two estimates, the larger counts. Rounding of all numbers that are summed up,
eps Σ_j |column j of R| (|U| |c|)_j, is carried through R (column-wise backward errors, see
Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 20). Normal equations
lose more where sigmas differ much: the next step of iterative refinement shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.observations import Group
from gapfit.gp.streaming_qr import StreamingQR
from gapfit.gp.whitening import Whitening

__all__ = ["Loss", "Rounding", "rounding_of"]

_EPS = 2.0**-53
_ROWS = 256


@dataclass(frozen=True)
class Loss:
    """Rounding in the fitted values of one group of observations.

    Attributes
    ----------
    change : float
        Root mean square of the rounding, eV or eV/Å.
    size : float
        Root mean square of the targets.
    sigma : float
        Geometric mean of their standard deviations.
    """

    change: float
    size: float
    sigma: float

    @property
    def share(self) -> float:
        """Rounding relative to the targets; to 1 eV or 1 eV/Å where they are smaller."""
        return self.change / max(self.size, 1.0)


@dataclass(frozen=True)
class Rounding:
    """Rounding in the values of a model.

    Attributes
    ----------
    groups : mapping of Group to Loss
        Rounding in the fitted values.
    local : float
        Rounding in the energies of atoms at the sparse points, root mean square, eV:
        shows directions that few data determine.
    """

    groups: Mapping[Group, Loss]
    local: float

    @property
    def worst(self) -> Group | None:
        """The group with the largest share of rounding; None without observations."""
        return max(
            self.groups, key=lambda group: self.groups[group].share, default=None
        )


def rounding_of(
    whitening: Whitening,
    R: np.ndarray,
    coefficients: np.ndarray,
    groups: Mapping[Group, NormalEquations | StreamingQR],
) -> Rounding:
    """Return the changes that rounding makes in the values of a model.

    Parameters
    ----------
    whitening : Whitening
        Factors U of K_mm + jitter.
    R : (n_sparse, n_sparse) float64
        Upper factor of I + Φ^T Φ.
    coefficients : (n_sparse,) float64
        The solution c.
    groups : mapping of Group to NormalEquations or StreamingQR
        Sums over the rows that were fitted.
    """
    changes = [_of_sums(whitening, R, coefficients)]
    grams = [sums for sums in groups.values() if isinstance(sums, NormalEquations)]
    if grams:
        changes.append(_of_refinement(whitening.redo(coefficients), R, grams))
    losses = {}
    for group, sums in groups.items():
        # The triangle of a StreamingQR has rows that are not whitened.
        lengths = [
            sums.length(dz if isinstance(sums, NormalEquations) else whitening.undo(dz))
            for dz in changes
        ]
        sigma = float(np.exp(sums.log_sigma / sums.n_rows))
        scale = sigma / np.sqrt(sums.n_rows)
        size = float(scale * np.sqrt(sums.square))
        losses[group] = Loss(float(scale * max(lengths)), size, sigma)
    local = max(float(np.linalg.norm(whitening.at_points(dz))) for dz in changes)
    return Rounding(losses, float(local / np.sqrt(max(len(coefficients), 1))))


def _of_sums(whitening: Whitening, R: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return a change of U c that rounding of the rows may cause, (n_sparse,)."""
    sizes = [
        np.abs(U[first : first + _ROWS]) @ np.abs(c[block])
        for U, block in zip(whitening.cholesky, whitening.blocks, strict=True)
        for first in range(0, len(U), _ROWS)
    ]
    columns = np.sqrt(np.einsum("ij,ij->j", R, R))
    errors = np.random.default_rng(0).normal(size=len(c)) / np.sqrt(len(c))
    errors *= _EPS * float(columns @ np.concatenate(sizes))
    return np.asarray(solve_triangular(R, errors, check_finite=False))


def _of_refinement(
    z: np.ndarray, R: np.ndarray, grams: Sequence[NormalEquations]
) -> np.ndarray:
    """Return the step of iterative refinement of the normal equations, (n_sparse,)."""
    remainder = -z
    for gram in grams:
        remainder += gram.b - gram.times(z)
    half = solve_triangular(R, remainder, trans="T", check_finite=False)
    return np.asarray(solve_triangular(R, half, check_finite=False))
