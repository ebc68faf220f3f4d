"""Coupling of real spherical harmonics to invariants under rotation.

Products of spherical harmonics of degrees l_1, ..., l_ν are combined to functions that no
rotation changes, by Wigner's 3j symbols: two degrees to an intermediate one, and so on
(Drautz, Phys. Rev. B 99, 014104 (2019); Dusson et al., J. Comput. Phys. 454, 110946
(2022)). Only combinations without a sign change under inversion are kept.
"""

from __future__ import annotations

from functools import cache
from math import factorial

import numpy as np

__all__ = ["invariant_tensors", "real_from_complex"]

# Elements smaller than this are zeros with rounding errors.
_ZERO = 1e-12


@cache
def invariant_tensors(degrees: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return tensors T such that Σ T[m1, ..., mν] Y_{l1 m1} ... Y_{lν mν} is invariant.

    Each Y has its own direction. The harmonics are real, as in the core: m = -l..l in
    this order, no Condon-Shortley phase.

    Parameters
    ----------
    degrees : tuple of int
        l of each factor, 1 to 4 of them.

    Returns
    -------
    tuple of (2 l1 + 1, ..., 2 lν + 1) float64
        All linearly independent ones; empty where there are none, and where inversion
        changes the sign.
    """
    if sum(degrees) % 2:
        return ()
    if len(degrees) == 1:
        return (np.ones(1),) if degrees == (0,) else ()
    if len(degrees) == 2:
        l1, l2 = degrees
        return (np.eye(2 * l1 + 1) / np.sqrt(2 * l1 + 1),) if l1 == l2 else ()
    if len(degrees) == 3:
        l1, l2, l3 = degrees
        return (_real_3j(l1, l2, l3),) if abs(l1 - l2) <= l3 <= l1 + l2 else ()
    l1, l2, l3, l4 = degrees
    least, most = max(abs(l1 - l2), abs(l3 - l4)), min(l1 + l2, l3 + l4)
    return tuple(
        np.sqrt(2 * L + 1)
        * np.einsum("abM,Mcd->abcd", _real_3j(l1, l2, L), _real_3j(L, l3, l4))
        for L in range(least, most + 1)
    )


@cache
def _real_3j(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return the 3j symbols in the basis of real harmonics.

    For an odd sum of degrees they are imaginary; the imaginary part is as invariant.
    """
    to_real = [real_from_complex(degree).conj() for degree in (l1, l2, l3)]
    symbols = np.einsum("abc,xa,yb,zc->xyz", _wigner_3j(l1, l2, l3), *to_real)
    out: np.ndarray = symbols.imag if (l1 + l2 + l3) % 2 else symbols.real
    return np.where(np.abs(out) > _ZERO, out, 0.0)


@cache
def real_from_complex(degree: int) -> np.ndarray:
    """Return V: real harmonics are V times complex ones with Condon-Shortley phase."""
    V = np.zeros((2 * degree + 1, 2 * degree + 1), dtype=complex)
    V[degree, degree] = 1.0
    for m in range(1, degree + 1):
        sign = (-1) ** m / np.sqrt(2)
        V[degree + m, degree + m], V[degree + m, degree - m] = sign, 1 / np.sqrt(2)
        V[degree - m, degree + m], V[degree - m, degree - m] = (
            -1j * sign,
            1j / np.sqrt(2),
        )
    return V


@cache
def _wigner_3j(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return Wigner's 3j symbols by Racah's formula, (2 l1 + 1, 2 l2 + 1, 2 l3 + 1)."""
    out = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    f = factorial
    triangle = f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(l2 + l3 - l1) / f(l1 + l2 + l3 + 1)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            m3 = -m1 - m2
            norm = triangle
            for degree, m in ((l1, m1), (l2, m2), (l3, m3)):
                norm *= f(degree + m) * f(degree - m)
            first = max(0, l2 - l3 - m1, l1 - l3 + m2)
            last = min(l1 + l2 - l3, l1 - m1, l2 + m2)
            total = sum(
                (-1) ** k
                / (
                    f(k)
                    * f(l1 + l2 - l3 - k)
                    * f(l1 - m1 - k)
                    * f(l2 + m2 - k)
                    * f(l3 - l2 + m1 + k)
                    * f(l3 - l1 - m2 + k)
                )
                for k in range(first, last + 1)
            )
            out[l1 + m1, l2 + m2, l3 + m3] = (-1) ** (l1 - l2 - m3) * norm**0.5 * total
    return out
