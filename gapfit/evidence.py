"""Log marginal likelihood of deltas and sigmas, and errors of held-out folds.

Both come from Gram matrices (`gapfit.grams`) at O(n_sparse³) for each trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.linalg.blas import dsymv

from gapfit.grams import Gram, GramSet

__all__ = ["Evidence", "HeldOut", "Scales", "held_out", "log_evidence"]


@dataclass(frozen=True, eq=False)
class Scales:
    """Factors on deltas and sigmas, relative to those of the Gram matrices.

    Attributes
    ----------
    delta : (n_terms,) float64
        By term.
    sigma : (n_groups,) float64
        By group, in the order of `GramSet.groups`.
    """

    delta: np.ndarray
    sigma: np.ndarray

    def column_scale(self, columns: Sequence[slice]) -> np.ndarray:
        """Return the factor of each sparse point, (n_sparse,)."""
        sizes = [own.stop - own.start for own in columns]
        return np.repeat(self.delta, sizes)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Log marginal likelihood and its gradient.

    Attributes
    ----------
    value : float
        log p(y).
    delta : (n_terms,) float64
        d/d log delta of each term.
    sigma : (n_groups,) float64
        d/d log sigma of each group.
    """

    value: float
    delta: np.ndarray
    sigma: np.ndarray


def _system(
    grams: Sequence[Gram | None], scales: Scales, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return D Σ_g G_g/s_g² D (upper triangle) and D Σ_g b_g/s_g²."""
    n = len(d)
    S, b = np.zeros((n, n), order="F"), np.zeros(n)
    for gram, factor in zip(grams, scales.sigma, strict=True):
        if gram is not None:
            S += gram.G / factor**2
            b += gram.b / factor**2
    S *= d[:, None]
    S *= d
    return S, b * d


def log_evidence(
    grams: Sequence[Gram], columns: Sequence[slice], scales: Scales
) -> Evidence:
    """Return the log marginal likelihood under the subset-of-regressors prior.

    log p(y) = -½ (|ỹ|² - b^T B^-1 b + log|B| + n log 2π) - Σ log sigma with
    B = I + Φ^T Φ and b = Φ^T ỹ (Quiñonero-Candela & Rasmussen, JMLR 6, 1939 (2005)).

    Parameters
    ----------
    grams : sequence of Gram
        One for each group.
    columns : sequence of slice
        Columns of each term.
    scales : Scales
        Factors on deltas and sigmas.

    Raises
    ------
    numpy.linalg.LinAlgError
        B is not positive definite to working precision.
    """
    d = scales.column_scale(columns)
    B, b = _system(grams, scales, d)
    B[np.diag_indices_from(B)] += 1.0
    R = cholesky(B, overwrite_a=True, check_finite=False)
    half = solve_triangular(R, b, trans="T", check_finite=False)
    z = solve_triangular(R, half, check_finite=False)
    log_det = 2 * float(np.log(np.diag(R)).sum())
    inverse, info = lapack.dpotri(R, lower=0, overwrite_c=1)
    if info:
        raise np.linalg.LinAlgError("the factor is singular")
    inverse = np.triu(inverse)
    unexplained = 1.0 - np.diag(inverse)  # diagonal of B^-1 Φ^T Φ
    slopes = [z[own] @ z[own] - unexplained[own].sum() for own in columns]
    weights = 1.0 / scales.sigma**2
    misfit, n_rows, log_sigma = -float(half @ half), 0, 0.0
    changes = []
    scaled_inverse = inverse * d[:, None] * d
    diagonal = np.diag(scaled_inverse).copy()
    for gram, weight, factor in zip(grams, weights, scales.sigma, strict=True):
        misfit += weight * gram.square
        n_rows += gram.n_rows
        log_sigma += gram.log_sigma + gram.n_rows * float(np.log(factor))
        dz = d * z
        residual = gram.square - 2 * dz @ gram.b + dz @ dsymv(1.0, gram.G, dz)
        trace = 2 * np.vdot(scaled_inverse, gram.G) - diagonal @ np.diag(gram.G)
        changes.append(weight * (residual + trace) - gram.n_rows)
    value = -0.5 * (misfit + log_det + n_rows * np.log(2 * np.pi)) - log_sigma
    return Evidence(float(value), np.array(slopes), np.array(changes))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Errors of frames that were left out of the fit that predicts them.

    Attributes
    ----------
    energies : (n_frames,) float64
        Errors of energies, eV per atom.
    forces_rmse : float
        Root mean square error of force components, eV/Å; NaN without forces.
    """

    energies: np.ndarray
    forces_rmse: float

    @property
    def energy_mae(self) -> float:
        """Mean absolute error of energies, eV per atom; NaN without energies."""
        return float(np.abs(self.energies).mean()) if len(self.energies) else np.nan

    @property
    def energy_rmse(self) -> float:
        """Root mean square error of energies, eV per atom; NaN without energies."""
        return (
            float(np.sqrt((self.energies**2).mean())) if len(self.energies) else np.nan
        )


def held_out(grams: GramSet, totals: Sequence[Gram], scales: Scales) -> HeldOut:
    """Fit without each fold in turn and return the errors of its frames.

    Parameters
    ----------
    grams : GramSet
        All groups, by fold.
    totals : sequence of Gram
        `GramSet.totals` of them.
    scales : Scales
        Factors on deltas and sigmas.
    """
    d = scales.column_scale(grams.columns)
    S, b = _system(totals, scales, d)
    S[np.diag_indices_from(S)] += 1.0
    energies, square, n_forces = [np.zeros(0)], 0.0, 0
    for fold in grams.folds:
        own = grams.of_fold(fold)
        S_own, b_own = _system(own, scales, d)
        R = cholesky(S - S_own, overwrite_a=True, check_finite=False)
        half = solve_triangular(R, b - b_own, trans="T", check_finite=False)
        z = d * solve_triangular(R, half, check_finite=False)
        for rows in grams.energies.get(fold, []):
            energies.append((rows.phi @ z - rows.y) * rows.per_atom)
        for group, gram in zip(grams.groups, own, strict=True):
            sigma = grams.sigmas.get(group, np.nan)
            if gram is None or not np.isfinite(sigma):
                continue
            residual = gram.square - 2 * z @ gram.b + z @ dsymv(1.0, gram.G, z)
            square += sigma**2 * float(residual)
            n_forces += gram.n_rows
    rmse = float(np.sqrt(max(square, 0.0) / n_forces)) if n_forces else float("nan")
    return HeldOut(np.concatenate(energies), rmse)
