"""Uncertainty of the fitted potential from the factors of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gapfit.gp.whitening import Whitening

__all__ = ["ROUNDING", "Posterior", "unexplained"]

#: Share of a prior variance that rounding may leave where nothing is unexplained.
ROUNDING = 1e-9


def unexplained(
    prior: np.ndarray, explained: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return prior - explained, never negative, and where it was.

    Parameters
    ----------
    prior, explained : (n,) float64
        Prior variances, and the parts of them that observations or sparse points explain.

    Returns
    -------
    (n,) float64
        The difference; 0 where it was negative.
    (n,) bool
        Where it was negative by more than 1e-9 of the prior: more than rounding.
    """
    difference = prior - explained
    return np.maximum(difference, 0.0), difference < -ROUNDING * prior


@dataclass(frozen=True, eq=False)
class Posterior:
    """Predictive variances (Quiñonero-Candela & Rasmussen, JMLR 6, 1939 (2005)).

    With U^T U = K_mm + jitter, v = U^-T k_m and w = R^-T v, the variance of a quantity L
    that is linear in the energy is |w|² for the subset of regressors (SoR, Eq. 9), the
    function being k_m·c with c as uncertain as the data leave it; the deterministic
    training conditional (DTC, Eq. 10) adds the unexplained part, k(L, L) - |v|².

    Attributes
    ----------
    whitening : Whitening
        Cholesky factors U of K_mm + jitter.
    R : (n_sparse, n_sparse) float64
        Upper factor of I + Φ^T Φ: the covariance of c is U^-1 R^-1 R^-T U^-T.
    """

    whitening: Whitening
    R: np.ndarray

    def shares(self, k_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return |v|² and |w|² of some quantities.

        Parameters
        ----------
        k_m : (n, n_sparse) float64
            Covariance of each with the sparse local energies.

        Returns
        -------
        explained : (n,) float64
            Prior variance that the sparse points describe, in the quantity's unit squared.
        uncertain : (n,) float64
            The part of it that the data leave open: the variance of the subset of
            regressors.
        """
        v = self.whitening.apply(k_m).T
        explained = np.einsum("mn,mn->n", v, v)
        w = self._uncertain(v)
        return explained, np.einsum("mn,mn->n", w, w)

    def _uncertain(self, v: np.ndarray) -> np.ndarray:
        """Return w of the columns of v, in whose place it may be."""
        return np.asarray(
            solve_triangular(self.R, v, trans="T", check_finite=False, overwrite_b=True)
        )

    def rows(self, k_m: np.ndarray) -> np.ndarray:
        """Return w by row, (n, n_sparse), of quantities with the covariances `k_m`.

        |w|² is their variance (subset of regressors), in the quantity's unit squared.
        """
        return self._uncertain(self.whitening.apply(k_m).T).T

    def coefficients(self, directions: np.ndarray) -> np.ndarray:
        """Return U^-1 R^-1 ξ of each row ξ, (n, n_sparse), 1/eV.

        A potential with these coefficients gives w·ξ for a quantity; standard normal ξ
        are samples of the posterior without its mean.
        """
        z = solve_triangular(self.R, directions.T, check_finite=False)
        return np.stack([self.whitening.undo(column) for column in z.T])

    def variance(
        self, k_m: np.ndarray, prior: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the variance of the function, without noise: SoR, or DTC with a prior.

        Parameters
        ----------
        k_m : (n, n_sparse) float64
            Covariance of each quantity with the sparse local energies.
        prior : (n,) float64, optional
            Its prior variance k(L, L).

        Returns
        -------
        (n,) float64
            Never negative, in the quantity's unit squared.
        (n,) bool
            Where the prior was less than the explained part; see `unexplained`.
        """
        explained, uncertain = self.shares(k_m)
        if prior is None:
            return uncertain, np.zeros(len(k_m), dtype=bool)
        variance, negative = unexplained(prior, explained)
        return variance + uncertain, negative
