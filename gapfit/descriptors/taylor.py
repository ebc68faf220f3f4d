"""Values with their first two derivatives: arithmetic on arrays (3, ...)."""

from __future__ import annotations

import numpy as np

__all__ = ["chained", "divided", "power", "product", "shifted", "variable"]


def variable(x: np.ndarray) -> np.ndarray:
    """Return x with its derivatives with respect to itself."""
    return np.stack([x, np.ones_like(x), np.zeros_like(x)])


def shifted(u: np.ndarray, constant: float | np.ndarray) -> np.ndarray:
    """Return u + constant with its derivatives."""
    value = u[0] + constant
    return np.stack([value, *(np.broadcast_to(d, value.shape) for d in u[1:])])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a b with its derivatives; other axes than the first are broadcast."""
    return np.stack(
        [
            a[0] * b[0],
            a[1] * b[0] + a[0] * b[1],
            a[2] * b[0] + 2 * a[1] * b[1] + a[0] * b[2],
        ]
    )


def chained(f: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return f(u) with its derivatives.

    Parameters
    ----------
    f : (3, ...) float64
        f and its first two derivatives with respect to u.
    u : (3, ...) float64
        u with its derivatives.
    """
    return np.stack([f[0], f[1] * u[1], f[2] * u[1] ** 2 + f[1] * u[2]])


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a/b with its derivatives."""
    return product(a, power(b, -1))


def power(u: np.ndarray, p: float) -> np.ndarray:
    """Return u^p with its derivatives; where u = 0 all are 0 unless p is 0, 1 or 2."""
    base = u[0]
    if p == 0:
        return shifted(0 * u, 1.0)
    if p == 1:
        return u
    if p == 2:
        return product(u, u)
    safe = np.where(base == 0, 1.0, base)
    f = np.stack([safe**p, p * safe ** (p - 1), p * (p - 1) * safe ** (p - 2)])
    return chained(np.where(base == 0, 0.0, f), u)
