"""Kernels between environments with their derivatives: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

__all__ = [
    "DotProductKernel",
    "PermutedKernel",
    "PiecewisePolynomial",
    "ProductKernel",
    "SquaredExponential",
]


def _power(base: np.ndarray, exponent: float) -> np.ndarray:
    """Return base**exponent; by multiplication if integer, otherwise base clipped at 0."""
    if exponent != int(exponent):
        power: np.ndarray = np.maximum(base, 0.0) ** exponent
        return power
    result, square, bits = np.ones_like(base), base, int(exponent)
    while bits:
        if bits & 1:
            result *= square
        bits >>= 1
        if bits:
            # `base` belongs to the caller and must not change.
            square = np.multiply(square, square, out=None if square is base else square)
    return result


@dataclass(frozen=True)
class DotProductKernel:
    """k(p̂, p̂') = delta² (p̂·p̂')^zeta (Eq. 3; Bartók et al., PRB 87, 184115, 2013).

    Attributes
    ----------
    delta : float
        Prior standard deviation of a local energy, eV.
    zeta : float
        Power; a larger one distinguishes environments more sharply.
    """

    delta: float
    zeta: float

    def value(self, dot: np.ndarray) -> np.ndarray:
        """Return k (eV²) from the dot products of unit vectors."""
        k = _power(dot, self.zeta)
        k *= self.delta**2
        return k

    def value_and_slope(self, dot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return k and dk/d(dot), eV², each of the shape of `dot`."""
        lower = self.delta**2 * _power(dot, self.zeta - 1)
        return lower * np.maximum(dot, 0) if self.zeta % 1 else lower * dot, (
            self.zeta * lower
        )

    def curvature(self, dot: np.ndarray) -> np.ndarray:
        """Return d²k/d(dot)², eV², of the shape of `dot`.

        For 1 < zeta < 2 it diverges as the dot product falls to 0; from there on it is 0,
        like the kernel.
        """
        factor = self.delta**2 * self.zeta * (self.zeta - 1)
        if self.zeta >= 2:
            return factor * _power(dot, self.zeta - 2)
        out = np.zeros_like(dot)
        if factor:
            np.power(dot, self.zeta - 2, out=out, where=dot > 0)
        return factor * out

    def matrix(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return k between unit vectors, (n, n_features), (m, n_features) -> (n, m)."""
        return self.value(left @ right.T)


@dataclass(frozen=True)
class SquaredExponential:
    """k(x, x') = delta² exp(-(x - x')² / (2 theta²)) (Eq. 4).

    Attributes
    ----------
    delta : float
        Prior standard deviation, eV.
    theta : float
        Length over which the function varies, in the unit of x.
    """

    delta: float
    theta: float

    def derivatives(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return k and its first two derivatives with x, (n,), (m,) -> (3, n, m)."""
        u = (x[:, None] - y[None, :]) / self.theta
        k = self.delta**2 * np.exp(-0.5 * u**2)
        return np.stack([k, -u / self.theta * k, (u**2 - 1) / self.theta**2 * k])


@dataclass(frozen=True)
class PiecewisePolynomial:
    """k(x, x') = delta² (1 - u)³ (3 u + 1) of u = |x - x'| / theta < 1, beyond it 0.

    Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), eq. 4.21 with
    q = 1 in one dimension.

    Attributes
    ----------
    delta : float
        Prior standard deviation, eV.
    theta : float
        Length beyond which values are independent, in the unit of x.
    """

    delta: float
    theta: float

    def derivatives(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return k and its first two derivatives with x, (n,), (m,) -> (3, n, m)."""
        d = (x[:, None] - y[None, :]) / self.theta
        u = np.abs(d)
        left = np.maximum(1 - u, 0)
        variance = self.delta**2
        return np.stack(
            [
                variance * left**3 * (3 * u + 1),
                -12 * variance / self.theta * d * left**2,
                -12 * variance / self.theta**2 * left * (1 - 3 * u),
            ]
        )


@dataclass(frozen=True)
class ProductKernel:
    """k(q, q') = delta² e(u), u² = Σ_d (q_d - q'_d)² / theta_d².

    e is exp(-½ u²), or for three directions the piecewise polynomial (1 - u)⁴ (4 u + 1) of
    u < 1, beyond which it is 0 (Rasmussen & Williams, Gaussian Processes for Machine
    Learning (2006), eq. 4.21 with q = 1).

    Attributes
    ----------
    delta : float
        Prior standard deviation, eV.
    theta : tuple of float
        Lengths over which the function varies, in the units of q.
    polynomial : bool
        Whether e is the polynomial.
    """

    delta: float
    theta: tuple[float, ...]
    polynomial: bool = False

    def of_square(self, square: np.ndarray) -> np.ndarray:
        """Return e from u²."""
        if not self.polynomial:
            exponential: np.ndarray = np.exp(-0.5 * square)
            return exponential
        u = np.sqrt(square)
        polynomial: np.ndarray = np.maximum(1 - u, 0) ** 4 * (4 * u + 1)
        return polynomial

    def matrix(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return k between points, (n, n_features), (m, n_features) -> (n, m), eV²."""
        square = np.zeros((len(left), len(right)))
        for x, y, length in zip(left.T, right.T, self.theta, strict=True):
            square += ((x[:, None] - y[None, :]) / length) ** 2
        return self.delta**2 * self.of_square(square)


@dataclass(frozen=True)
class PermutedKernel(ProductKernel):
    """k(x, x') = delta² Σ_P e(P x, x') / (n(x) n(x'))^½, the same for all orders of x.

    e is that of `ProductKernel`, P are the permutations and n(x) = Σ_P e(P x, x), so that
    k(x, x) = delta².
    """

    def matrix(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return k between points, (n, n_features), (m, n_features) -> (n, m), eV²."""
        orders = [list(order) for order in permutations(range(len(self.theta)))]
        plain = ProductKernel(self.delta, self.theta, self.polynomial)
        total = sum(plain.matrix(left[:, p], right) for p in orders)
        norm = np.sqrt(np.outer(self._norms(left, orders), self._norms(right, orders)))
        return np.asarray(total / norm)

    def _norms(self, points: np.ndarray, orders: list[list[int]]) -> np.ndarray:
        theta = np.array(self.theta)
        norms = np.zeros(len(points))
        for p in orders:
            square = np.sum(((points[:, p] - points) / theta) ** 2, axis=1)
            norms += self.of_square(square)
        return norms
