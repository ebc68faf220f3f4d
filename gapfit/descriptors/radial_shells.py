"""Densities as sums over spherical shells: the radial part of a neighbour's Gaussian."""

from __future__ import annotations

import numpy as np
from scipy.special import ive

__all__ = ["ShellDensity", "bessel_slope", "scaled_bessel"]

# Distance of the knots of the radial table: slopes are accurate to 2e-10 of the largest.
_SPACING, _SPACING_IN_WIDTHS = 0.025, 0.04


def scaled_bessel(x: np.ndarray, orders: int) -> np.ndarray:
    """Return exp(-x) i_l(x) for l < `orders`, shape (orders, *x.shape).

    i_l is the modified spherical Bessel function of the first kind.
    """
    degree = np.arange(orders).reshape(-1, *[1] * x.ndim)
    # Below 1e-8 the first term of the series is exact in double precision, and it
    # stays finite where the quotient is 0/0.
    small = x < 1e-8
    safe = np.where(small, 1.0, x)
    double_factorial = np.cumprod(2.0 * degree + 1, axis=0)
    scaled: np.ndarray = np.where(
        small,
        np.exp(-x) * x**degree / double_factorial,
        np.sqrt(0.5 * np.pi / safe) * ive(degree + 0.5, safe),
    )
    return scaled


def bessel_slope(A: np.ndarray) -> np.ndarray:
    """Return (l A_{l-1} + (l + 1) A_{l+1}) / (2 l + 1), one degree less than `A`.

    The recurrence i_l' = (l i_{l-1} + (l + 1) i_{l+1}) / (2 l + 1) has no division by
    x, hence no cancellation at small distances. The degree is the last axis but one.
    """
    degree = np.arange(A.shape[-2] - 1)[:, None]
    below = np.concatenate([np.zeros_like(A[..., :1, :]), A[..., :-2, :]], axis=-2)
    above = A[..., 1:, :]
    slope: np.ndarray = (degree * below + (degree + 1) * above) / (2 * degree + 1)
    return slope


class ShellDensity:
    """f_nl(r) = Σ_k W_kn exp(-η (r² + r_k²)) i_l(2 η r r_k), η = 1/(2 σ²).

    exp(-η |r - r'|²) averaged over the directions of r' with a harmonic of degree l is
    4 π exp(-η (r² + r'²)) i_l(2 η r r'), i_l being the modified spherical Bessel function
    (Bartók, Kondor and Csányi, Phys. Rev. B 87, 184115 (2013)).

    Parameters
    ----------
    nodes : (n_nodes,) float64
        r_k, Å.
    weighted : (n_nodes, n_max) float64
        W.
    l_max : int
        Highest angular momentum.
    sigma : float
        Width of an atom's Gaussian, Å.
    """

    def __init__(
        self, nodes: np.ndarray, weighted: np.ndarray, l_max: int, sigma: float
    ) -> None:
        self.l_max = l_max
        self.n_max = weighted.shape[1]
        self.spacing = min(_SPACING, _SPACING_IN_WIDTHS * sigma)
        self._eta = 0.5 / sigma**2
        self._nodes = np.asarray(nodes, dtype=float)
        self._weighted = weighted

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' at the distances `r`.

        Parameters
        ----------
        r : (n,) float64
            Distances from the centre, r >= 0, Å.

        Returns
        -------
        (n, 3, l_max + 1, n_max) float64
            Values in the unit of W, and the same per Å and per Å².
        """
        r = np.asarray(r, dtype=float)[:, None]
        slope, nodes = 2 * self._eta, self._nodes
        # exp(-η (r - r')²) exp(-x) i_l(x) does not overflow.
        G = np.exp(-self._eta * (r - nodes) ** 2)
        G = G * scaled_bessel(slope * r * nodes, self.l_max + 3)
        # A_k = Σ_r' r'^k W G_l, shape (n, l_max + 3, n_max), so that
        # A_k' = -2 η r A_k + 2 η bessel_slope(A_{k+1}).
        A0, A1, A2 = (
            np.swapaxes(G @ (nodes[:, None] ** k * self._weighted), 0, 1)
            for k in range(3)
        )
        r = r[..., None]
        first = slope * (bessel_slope(A1) - r * A0[:, :-1])
        first_A1 = slope * (bessel_slope(A2) - r * A1[:, :-1])
        second = slope * (
            bessel_slope(first_A1) - r * first[:, :-1] - A0[:, : self.l_max + 1]
        )
        kept = slice(self.l_max + 1)
        return np.stack([A0[:, kept], first[:, kept], second], axis=1)

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00 for unit weight, shape (n_max,)."""
        contribution: np.ndarray = self.exact(np.zeros(1))[0, 0, 0] / np.sqrt(4 * np.pi)
        return contribution
