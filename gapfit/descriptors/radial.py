"""Radial functions of dscribe's GTO SOAP with the distance weighting folded in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import BPoly, PPoly

__all__ = ["RadialBasis", "Weighting"]

#: Distance between the knots of the radial table, Å.
_SPACING = 0.025


@dataclass(frozen=True)
class Weighting:
    """Weight w(r) of a neighbour at distance r (dscribe's ``weighting``).

    poly: c (1 + 2 u³ - 3 u²)^m for u < 1, else 0; pow: c / (d + u^m);
    exp: c / (d + exp(-u)); none: 1; always with u = r / r0.
    """

    function: Literal["poly", "pow", "exp", "none"]
    r0: float
    c: float = 1.0
    d: float = 1.0
    m: float = 1.0
    w0: float | None = None

    @property
    def at_centre(self) -> float:
        """Weight of the central atom itself."""
        if self.w0 is not None:
            return self.w0
        return float(self(np.zeros(1))[0][0])

    def __call__(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return w(r) and w'(r)/r, each of the shape of `r`."""
        u = r / self.r0
        if self.function == "poly":
            inside = u < 1
            base = np.where(inside, 1 + 2 * u**3 - 3 * u**2, 0.0)
            slope = np.where(inside, 6 * (u - 1) / self.r0**2, 0.0)
            if self.m != 1:
                slope = slope * self.m * base ** (self.m - 1)
            return self.c * base**self.m, self.c * slope
        safe = np.maximum(r, 1e-12)
        if self.function == "pow":
            bottom = self.d + u**self.m
            return self.c / bottom, -self.c * self.m * u**self.m / (bottom * safe) ** 2
        if self.function == "exp":
            decay = np.exp(-u)
            bottom = self.d + decay
            return self.c / bottom, self.c * decay / (self.r0 * safe * bottom**2)
        return np.ones_like(r), np.zeros_like(r)


class RadialBasis:
    """Expansion of a Gaussian density in GTO functions.

    c_nlm = Σ_j w(r) f_nl(r) Y_lm with f_nl(r) = r^l F_nl(r),
    F_nl(r) = (π/η)^{3/2} Σ_k β^l_nk (1 + α_lk/η)^{-(l+3/2)} exp(-a_lk r²),
    a_lk = α_lk η / (α_lk + η), η = 1/(2 σ²)
    (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    The sum over k cancels up to eight digits, so f is tabulated once and interpolated
    by quintic Hermite polynomials (error 4e-12 of max|f|): forces are the exact
    gradient of an energy without that noise.

    Parameters
    ----------
    alphas : (l_max + 1, n_max) float64
        Exponents of the primitives, 1/Å².
    betas : (l_max + 1, n_max, n_max) float64
        Orthonormalising coefficients.
    sigma : float
        Width of an atom's Gaussian, Å.
    r_cut : float
        Cutoff of the basis, Å.
    weighting : Weighting
        Weight with distance.
    """

    def __init__(
        self,
        alphas: np.ndarray,
        betas: np.ndarray,
        *,
        sigma: float,
        r_cut: float,
        weighting: Weighting,
    ) -> None:
        self.n_max = alphas.shape[1]
        self.l_max = alphas.shape[0] - 1
        self.weighting = weighting
        eta = 0.5 / sigma**2
        self._degree = np.arange(self.l_max + 1)[:, None]
        scale = (np.pi / eta) ** 1.5 * (1 + alphas / eta) ** -(self._degree + 1.5)
        self._exponents = alphas * eta / (alphas + eta)
        self._coefficients = betas * scale[:, None, :]
        reach = r_cut + sigma * np.sqrt(-2 * np.log(1e-3))
        ends_before = weighting.function == "poly" and weighting.r0 <= reach
        #: Range of the neighbours that count, Å.
        self.cutoff = float(weighting.r0 if ends_before else reach)
        knots = np.linspace(0.0, self.cutoff, int(np.ceil(self.cutoff / _SPACING)) + 1)
        quintic = BPoly.from_derivatives(knots, self.exact(knots))
        self._table = PPoly.from_bernstein_basis(quintic)
        self._slope = self._table.derivative()

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' from the closed form, (n, 3, l_max + 1, n_max)."""
        decay = np.exp(-(r**2)[:, None, None] * self._exponents)

        def summed(weights: np.ndarray) -> np.ndarray:
            return np.einsum("plk,lnk->pln", decay * weights, self._coefficients)

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

    def __call__(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return R = w f, R / r and (R' - l R / r) / r, each (n, l_max + 1, n_max)."""
        w, w_slope = (part[:, None, None] for part in self.weighting(r))
        f, slope = self._table(r), self._slope(r)
        r = r[:, None, None]
        over = w * f / r
        return w * f, over, w_slope * f + (w * slope - self._degree * over) / r

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00, shape (n_max,)."""
        F = self._coefficients[0].sum(axis=1)
        return self.weighting.at_centre * F / np.sqrt(4 * np.pi)
