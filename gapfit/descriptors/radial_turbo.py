"""Radial functions of soap_turbo: polynomials, and Gaussian atoms of varying width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from gapfit.descriptors.radial_shells import bessel_slope, scaled_bessel
from gapfit.descriptors.taylor import (
    chained,
    divided,
    power,
    product,
    shifted,
    variable,
)
from gapfit.descriptors.turbo_polynomials import (
    gaussian_norm,
    lacking,
    nodes,
    polynomials,
)

__all__ = ["TurboAtom", "TurboDensity", "TurboShape"]

# Distance of the knots of the radial table in widths of a Gaussian, and at most.
_SPACING, _SPACING_IN_WIDTHS = 0.025, 0.04
# A Gaussian does not reach what is so many of its widths away.
_REACH = 4.0


@dataclass(frozen=True)
class TurboAtom:
    """Gaussian of the atoms of one species; widths are σ + scaling · r.

    Attributes
    ----------
    n_max : int
        Number of radial functions.
    sigma_r, sigma_t : float
        Width along the distance r and across it at r = 0, Å.
    scaling_r, scaling_t : float
        Change of the widths with r.
    amplitude_scaling : float
        Power of the polynomial that the height falls with, 1 - 3 u² + 2 u³, u = r/r_cut.
    central_weight : float
        Weight of the central atom.
    """

    n_max: int
    sigma_r: float
    sigma_t: float
    scaling_r: float = 0.0
    scaling_t: float = 0.0
    amplitude_scaling: float = 0.0
    central_weight: float = 1.0


@dataclass(frozen=True)
class TurboShape:
    """What all species have in common.

    Attributes
    ----------
    r_cut, r_soft : float
        Cutoff of the neighbours, and where the filter begins, Å.
    steepness : float
        The filter is exp(-(steepness (r - r_soft) / (r_cut - r_soft))² / 2).
    gaussian : bool
        Whether the last radial function is a Gaussian at the centre.
    enhancement : {0, 1, 2}
        Power of the distance that the heights grow with.
    l_max : int
        Highest angular momentum.
    """

    r_cut: float
    r_soft: float
    steepness: float
    gaussian: bool
    enhancement: int
    l_max: int

    @property
    def soft_width(self) -> float:
        """Width of the filter, Å."""
        return (self.r_cut - self.r_soft) / self.steepness


class TurboDensity:
    """Expansion of the Gaussian of a species' atom in the radial functions.

    The Gaussian of a neighbour at R is a product of a function of the distance and one of
    the direction, so c_nlm = Σ_j f_nl(r_j) Y_lm with

    f_nl(r) = h(r) exp(-z) i_l(z) Σ_a W_na ∫_0^r_cut φ_a(x) exp(-(x - r)²/(2 σ_r²)) F(x) dx,
    z = (r/σ_t)², h = (1 - 3 u² + 2 u³)^amplitude_scaling e(r) / (σ_r σ_t²), u = r/r_cut,

    i_l the modified spherical Bessel functions, F the filter; e = 1, r + s or
    r² + 2 s r + σ_r², s = (2/π)^(1/2) σ_r, for enhancement 0, 1, 2 (M. A. Caro, Phys.
    Rev. B 100, 024112 (2019)). QUIP deviates from this as it does here, too:

    - a Gaussian more than 4 σ_r before r_soft is integrated to r_soft; a little is
      added where it comes closer, so f has a step there;
    - where it does, the boundary term of the integral at r_cut is left out, as in the
      overlap of a Gaussian among the radial functions with the others;
    - with a Gaussian among the radial functions, its integral extends to infinity
      without the filter and is 0 where r exceeds 4 σ_r of the centre and 4 σ_r of the
      neighbour together; the integrals of the central atom extend to r_cut without it.

    Parameters
    ----------
    shape : TurboShape
        What all species have in common.
    atom : TurboAtom
        The species.
    transform : (n, n) float64
        W of `turbo_transform` in its first rows and columns; the others are not used.

    Attributes
    ----------
    n_max, l_max : int
        Radial functions, n, of which those beyond `TurboAtom.n_max` are 0; highest
        angular momentum.
    spacing : float
        Largest distance of knots between which quintic polynomials interpolate, Å.
    starts : tuple of float
        Distances, ascending from 0, at which another smooth piece of f begins, Å.
    """

    def __init__(
        self, shape: TurboShape, atom: TurboAtom, transform: np.ndarray
    ) -> None:
        self.n_max, self.l_max = len(transform), shape.l_max
        self.spacing = min(
            _SPACING, _SPACING_IN_WIDTHS * min(atom.sigma_r, atom.sigma_t)
        )
        self._shape, self._atom = shape, atom
        self._transform = transform[: atom.n_max, : atom.n_max]
        self._soft_from = (shape.r_soft - _REACH * atom.sigma_r) / (
            1 + _REACH * atom.scaling_r
        )
        ahead = 1 - _REACH * atom.scaling_r
        self._apart_from = np.inf
        if shape.gaussian and ahead > 0:
            self._apart_from = 2 * _REACH * atom.sigma_r / ahead
        ends = {self._soft_from, self._apart_from}
        self.starts = (0.0, *sorted(r for r in ends if 0 < r < shape.r_cut))

    def piece(self, start: float, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' of the piece that begins at `start`, for any distances.

        Parameters
        ----------
        start : float
            One of `starts`.
        r : (n,) float64
            Distances from the centre, r >= 0, Å.

        Returns
        -------
        (n, 3, l_max + 1, n_max) float64
            Values, and the same per Å and per Å².
        """
        x = variable(np.asarray(r, dtype=float))
        sigma = shifted(self._atom.scaling_r * x, self._atom.sigma_r)
        integrals = self._powers(x, sigma, soft=start >= self._soft_from)
        if self._shape.gaussian:
            overlap = self._overlap(x, sigma)
            overlap *= start < self._apart_from
            integrals = np.concatenate([integrals, overlap[..., None]], axis=-1)
        radial = integrals @ self._transform
        out = np.zeros((3, len(x[0]), self.l_max + 1, self.n_max))
        out[..., : self._atom.n_max] = product(
            self._angular(x, sigma)[..., None], radial[:, :, None, :]
        )
        return np.ascontiguousarray(np.swapaxes(out, 0, 1))

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00, shape (n_max,)."""
        shape, atom = self._shape, self._atom
        x, sigma = variable(np.zeros(1)), np.array([[atom.sigma_r], [0.0], [0.0]])
        if shape.gaussian:
            integrals = self._powers(x, sigma, soft=False, end=shape.r_cut)
            integrals[0] += self._boundary(x, sigma, filtered=False)[0]
            integrals = np.append(integrals[0, 0], self._overlap(x, sigma)[0, 0])
        else:
            integrals = self._powers(x, sigma, soft=self._soft_from <= 0)[0, 0]
        out = np.zeros(self.n_max)
        out[: atom.n_max] = (
            atom.central_weight
            * self._angular(x, sigma)[0, 0, 0]
            / np.sqrt(4 * np.pi)
            * (integrals @ self._transform)
        )
        return out

    def _angular(self, x: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return h exp(-z) i_l(z), (3, n, l_max + 1)."""
        shape, atom = self._shape, self._atom
        across = shifted(atom.scaling_t * x, atom.sigma_t)
        z = power(divided(x, across), 2)
        A = np.moveaxis(scaled_bessel(z[0], shape.l_max + 3), 0, -1)[..., None]
        first = bessel_slope(A) - A[:, :-1]
        second = bessel_slope(first) - first[:, :-1]
        degrees = slice(shape.l_max + 1)
        bessel = chained(
            np.stack([A[:, degrees, 0], first[:, degrees, 0], second[:, degrees, 0]]),
            z[..., None],
        )
        height = divided(_enhanced(x, sigma, shape.enhancement), sigma)
        height = divided(height, power(across, 2))
        if atom.amplitude_scaling:
            height = product(height, self._decay(x))
        return product(bessel, height[..., None])

    def _decay(self, x: np.ndarray) -> np.ndarray:
        """Return (1 - 3 u² + 2 u³)^amplitude_scaling, u = r/r_cut, (3, n)."""
        u, p = x / self._shape.r_cut, self._atom.amplitude_scaling
        return product(power(shifted(-u, 1.0), 2 * p), power(shifted(2 * u, 1.0), p))

    def _powers(
        self, x: np.ndarray, sigma: np.ndarray, *, soft: bool, end: float | None = None
    ) -> np.ndarray:
        """Return the integrals of the polynomials, (3, n, number of them)."""
        shape = self._shape
        ends, widths = [0.0, end or shape.r_soft], [self._atom.sigma_r]
        if soft:
            ends.append(shape.r_cut)
            widths.append(min(self._atom.sigma_r, shape.soft_width))
        x_k, weights = nodes(ends, widths)
        beyond = np.maximum(x_k - shape.r_soft, 0) if soft else 0 * x_k
        weights = weights * np.exp(-0.5 * (beyond / shape.soft_width) ** 2)
        functions = polynomials(x_k, shape.r_cut, self._n_powers)
        away = divided(shifted(-x[..., None], x_k), sigma[..., None])
        out: np.ndarray = (_decayed(power(away, 2)) * weights) @ functions.T
        if soft:
            out += self._boundary(x, sigma, filtered=True)
        return out

    def _boundary(
        self, x: np.ndarray, sigma: np.ndarray, *, filtered: bool
    ) -> np.ndarray:
        """Return what leaving out the boundary term at r_cut adds to the integrals."""
        shape = self._shape
        variance = power(sigma, 2)
        edge = _decayed(divided(power(shifted(-x, shape.r_cut), 2), variance))
        middle = x
        if filtered:
            soft = shape.soft_width**2
            share = soft * power(shifted(variance, soft), -1)
            middle = shifted(product(shifted(x, -shape.r_soft), share), shape.r_soft)
            variance = product(variance, share)
            edge = edge * np.exp(-0.5 * shape.steepness**2)
        return lacking(variance, middle, edge, shape.r_cut, self._n_powers)

    def _overlap(self, x: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return the integral of the Gaussian at the centre, (3, n)."""
        own = self._atom.sigma_r
        total = shifted(power(sigma, 2), own**2)
        # A product of Gaussians is one at the middle m, of width w.
        height = _decayed(divided(power(x, 2), total))
        w = own * divided(sigma, power(total, 0.5))
        m = divided(own * x, product(sigma, power(total, 0.5)))  # in units of w
        slope = np.exp(-0.5 * m[0] ** 2)
        integral = chained(
            np.stack(
                [
                    np.sqrt(0.5 * np.pi) * (1 + erf(m[0] / np.sqrt(2))),
                    slope,
                    -m[0] * slope,
                ]
            ),
            m,
        )
        return gaussian_norm(own) * product(product(height, w), integral)

    @property
    def _n_powers(self) -> int:
        return self._atom.n_max - (1 if self._shape.gaussian else 0)


def _decayed(square: np.ndarray) -> np.ndarray:
    """Return exp(-square/2), (3, ...)."""
    decay = np.exp(-0.5 * square[0])
    return chained(np.stack([decay, -0.5 * decay, 0.25 * decay]), square)


def _enhanced(x: np.ndarray, sigma: np.ndarray, enhancement: int) -> np.ndarray:
    """Return the mean of x^enhancement over a Gaussian, roughly, (3, n)."""
    if enhancement == 0:
        return shifted(0 * x, 1.0)
    s = np.sqrt(2 / np.pi) * sigma
    mean: np.ndarray = x + s
    if enhancement == 2:
        mean = power(x, 2) + power(sigma, 2) + 2 * product(s, x)
    return mean
