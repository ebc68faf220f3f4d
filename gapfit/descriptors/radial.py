"""Radial functions of SOAP: their interface and table, and the weight of a neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

__all__ = ["RadialDensity", "Weighting", "reach", "table"]


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
