"""Uncertainty of the fitted potential from the factors of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gapfit.solver import Whitening

__all__ = ["Posterior"]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Predictive variance (DTC; Quiñonero-Candela & Rasmussen, JMLR 6, 1939 (2005)).

    Attributes
    ----------
    whitening : Whitening
        Factors U of K_mm + jitter.
    R : (n_sparse, n_sparse) float64
        Upper factor of I + Φ^T Φ.
    """

    whitening: Whitening
    R: np.ndarray

    def variance(self, k_m: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Return k(L, L) - |U^-T k_m|² + |R^-T U^-T k_m|², never negative.

        Parameters
        ----------
        k_m : (n, n_sparse) float64
            Covariance of each quantity with the sparse local energies.
        prior : (n,) float64
            Its prior variance k(L, L).

        Returns
        -------
        (n,) float64
            Variance of the function, without noise, in the quantity's unit squared.
        """
        v = self.whitening.apply(k_m).T
        w = solve_triangular(self.R, v, trans="T", check_finite=False)
        unexplained = prior - np.einsum("mn,mn->n", v, v)
        # Rounding leaves about 1e-16 of the prior where nothing is unexplained.
        return np.maximum(unexplained, 0.0) + np.einsum("mn,mn->n", w, w)
