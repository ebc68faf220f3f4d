"""Radial functions of dscribe's GTO SOAP with the distance weighting folded in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["RadialBasis", "Weighting"]


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
    """Expansion of a Gaussian density in GTO functions, in closed form.

    c_nlm = Σ_j w(r) F_nl(r) r^l Y_lm with
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
        power = np.arange(self.l_max + 1)[:, None] + 1.5
        scale = (np.pi / eta) ** 1.5 * (1 + alphas / eta) ** -power
        self._exponents = alphas * eta / (alphas + eta)
        values = betas * scale[:, None, :]
        slopes = -2 * self._exponents[:, None, :] * values
        # One product per l gives F and F'/r: columns are n, then n again.
        self._table = np.concatenate([values, slopes], axis=1).transpose(0, 2, 1).copy()
        reach = r_cut + sigma * np.sqrt(-2 * np.log(1e-3))
        smooth_end = weighting.function == "poly" and weighting.r0 <= reach
        #: Range of the neighbours that count, Å.
        self.cutoff = float(weighting.r0 if smooth_end else reach)
        #: True where energies stay continuous as atoms cross the cutoff.
        self.is_smooth = bool(smooth_end)

    def __call__(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return G = w F and H = G'(r)/r, each (n_pairs, l_max + 1, n_max)."""
        both = np.matmul(
            np.exp(-(r**2) * self._exponents[:, :, None]).transpose(0, 2, 1),
            self._table,
        ).transpose(1, 0, 2)
        F, slope = both[:, :, : self.n_max], both[:, :, self.n_max :]
        w, w_slope = self.weighting(r)
        return (
            w[:, None, None] * F,
            w[:, None, None] * slope + w_slope[:, None, None] * F,
        )

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00, shape (n_max,)."""
        F = self._table[0, :, : self.n_max].sum(axis=0)
        return self.weighting.at_centre * F / np.sqrt(4 * np.pi)
