"""Radial functions of SOAP with GTOs, their table, and the weight of a neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

__all__ = ["GtoDensity", "RadialDensity", "Weighting", "reach", "table"]

# Distance of the knots of the radial table, Å and in widths of a Gaussian.
_SPACING, _SPACING_IN_WIDTHS = 0.025, 0.05


@dataclass(frozen=True)
class Weighting:
    """Weight w(r) of a neighbour at distance r (dscribe's ``weighting``).

    poly: c (1 + 2 u³ - 3 u²)^m for u < 1, else 0; pow: c / (d + u^m);
    exp: c / (d + exp(-u)); none: 1; always with u = r / r0. QUIP's is cosine: c until d
    before r0, then c (1 + cos(π (r - r0 + d) / d)) / 2 to r0.
    """

    function: Literal["poly", "pow", "exp", "none", "cosine"]
    r0: float
    c: float = 1.0
    d: float = 1.0
    m: float = 1.0
    w0: float | None = None

    @property
    def at_centre(self) -> float:
        """Weight of the central atom itself: w(0) unless given."""
        if self.w0 is not None:
            return self.w0
        at_zero = {
            "poly": self.c,
            "pow": self.c / self.d,
            "exp": self.c / (self.d + 1),
            "none": 1.0,
            "cosine": self.c,
        }
        return at_zero[self.function]


class RadialDensity(Protocol):
    """Radial part of the density of one neighbour in a basis."""

    n_max: int
    l_max: int
    spacing: float  # of knots between which quintic polynomials interpolate, Å

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' at distances r, (n, 3, l_max + 1, n_max)."""

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00 for unit weight, (n_max,)."""


class GtoDensity:
    """Expansion of a Gaussian density in GTO functions.

    c_nlm = Σ_j w(r) f_nl(r) Y_lm with f_nl(r) = r^l F_nl(r),
    F_nl(r) = (π/η)^{3/2} Σ_k β^l_nk (1 + α_lk/η)^{-(l+3/2)} exp(-a_lk r²),
    a_lk = α_lk η / (α_lk + η), η = 1/(2 σ²)
    (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    Parameters
    ----------
    alphas : (l_max + 1, n_max) float64
        Exponents of the primitives, 1/Å².
    betas : (l_max + 1, n_max, n_max) float64
        Orthonormalising coefficients.
    sigma : float
        Width of an atom's Gaussian, Å.
    """

    def __init__(self, alphas: np.ndarray, betas: np.ndarray, sigma: float) -> None:
        self.n_max = alphas.shape[1]
        self.l_max = alphas.shape[0] - 1
        self.spacing = min(_SPACING, _SPACING_IN_WIDTHS * sigma)
        eta = 0.5 / sigma**2
        self._degree = np.arange(self.l_max + 1)[:, None]
        scale = (np.pi / eta) ** 1.5 * (1 + alphas / eta) ** -(self._degree + 1.5)
        self._exponents = alphas * eta / (alphas + eta)
        self._coefficients = betas * scale[:, None, :]

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' from the closed form, (n, 3, l_max + 1, n_max)."""
        decay = np.exp(-(r**2)[:, None, None] * self._exponents)

        def summed(weights: np.ndarray) -> np.ndarray:
            sums: np.ndarray = np.einsum(
                "plk,lnk->pln", decay * weights, self._coefficients
            )
            return sums

        a, degree, r = self._exponents, self._degree, r[:, None, None]
        F, F1, F2 = summed(np.ones_like(a)), summed(-2 * a), summed(4 * a**2)
        # With F' = r F1 and F'' = F1 + r² F2; max() keeps powers of r at 0 finite,
        # where their factors vanish.
        f = r**degree * F
        first = degree * r ** np.maximum(degree - 1, 0) * F + r ** (degree + 1) * F1
        second = (
            degree * (degree - 1) * r ** np.maximum(degree - 2, 0) * F
            + (2 * degree + 1) * r**degree * F1
            + r ** (degree + 2) * F2
        )
        return np.stack([f, first, second], axis=1)

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00 for unit weight, (n_max,)."""
        contribution: np.ndarray = self._coefficients[0].sum(axis=1) / np.sqrt(
            4 * np.pi
        )
        return contribution


def reach(r_cut: float, sigma: float, weighting: Weighting) -> float:
    """Return the range of the neighbours that contribute, Å.

    In dscribe neighbours contribute until their Gaussian has fallen to 1e-3 at r_cut; a
    ``poly`` weight can end before, and a ``cosine`` ends at r0.
    """
    end = r_cut + sigma * np.sqrt(-2 * np.log(1e-3))
    if weighting.function == "cosine":
        return weighting.r0
    ends_before = weighting.function == "poly" and weighting.r0 <= end
    return float(weighting.r0 if ends_before else end)


def table(density: RadialDensity, cutoff: float) -> tuple[np.ndarray, float]:
    """Return f, f' and f'' at equidistant knots from 0 to the cutoff.

    The sum of a GTO expansion cancels up to eight digits, so the core interpolates f by
    quintic Hermite polynomials (error 4e-12 of max|f|): forces are the exact gradient
    of an energy without that noise.

    Returns
    -------
    values : (n_knots, 3, l_max + 1, n_max) float64
        Functions and derivatives.
    spacing : float
        Distance of the knots, Å.
    """
    knots = np.linspace(0.0, cutoff, int(np.ceil(cutoff / density.spacing)) + 1)
    return density.exact(knots), float(knots[1])
