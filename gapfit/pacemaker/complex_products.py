"""Products of densities with real harmonics as products with complex ones, and back.

In gapfit A_nlm = Σ_j g_n(r) Y_lm with real harmonics. In pacemaker 𝒜_nlm = √(4π) Σ_j g_n(r)
Y_lm with complex ones and Condon-Shortley phase; energies are sums of c Re(𝒜 𝒜 ...)
(Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021)). With V of
`gapfit.descriptors.ace_coupling.real_from_complex`, A = V 𝒜 / √(4π).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from math import isqrt, pi, prod, sqrt
from typing import NamedTuple

import numpy as np

from gapfit.descriptors.ace_coupling import real_from_complex
from gapfit.descriptors.ace_functions import Place

__all__ = [
    "ComplexPlace",
    "complex_products",
    "ordered",
    "real_products",
]

_NORM = sqrt(4 * pi)


class ComplexPlace(NamedTuple):
    """A density with a complex harmonic; n from 0."""

    channel: int
    n: int
    degree: int
    m: int


def complex_products(
    polynomial: Mapping[tuple[Place, ...], float],
) -> dict[tuple[ComplexPlace, ...], float]:
    """Return an invariant polynomial as Σ c Re(𝒜 𝒜 ...).

    Parameters
    ----------
    polynomial : mapping of tuple of Place to float
        Invariant under rotation and inversion: then only products with Σ m = 0 stay, and
        only their real parts.

    Returns
    -------
    dict of tuple of ComplexPlace to float
        Factors c; of a product and its complex conjugate only the first in order.
    """
    out: dict[tuple[ComplexPlace, ...], float] = defaultdict(float)
    for places, factor in polynomial.items():
        for choice in product(*(_in_complex(*place) for place in places)):
            if sum(place.m for place, _ in choice) == 0:
                value = factor * prod(weight for _, weight in choice)
                out[ordered(place for place, _ in choice)] += value.real
    return dict(out)


def real_products(
    polynomial: Mapping[tuple[ComplexPlace, ...], float],
) -> dict[tuple[Place, ...], float]:
    """Return Σ c Re(𝒜 𝒜 ...) as a polynomial of the densities A.

    Parameters
    ----------
    polynomial : mapping of tuple of ComplexPlace to float
        Factors c.

    Returns
    -------
    dict of tuple of Place to float
        Factors of products of real densities, each with its factors in order.
    """
    out: dict[tuple[Place, ...], float] = defaultdict(float)
    for places, factor in polynomial.items():
        for choice in product(*(_in_real(place) for place in places)):
            value = factor * prod(weight for _, weight in choice)
            out[tuple(sorted(place for place, _ in choice))] += value.real
    return dict(out)


def ordered(places: Iterable[ComplexPlace]) -> tuple[ComplexPlace, ...]:
    """Return a product or its complex conjugate, which have the same real part."""
    given = sorted(places)
    conjugate = sorted(place._replace(m=-place.m) for place in given)
    return tuple(min(given, conjugate))


@cache
def _in_complex(
    channel: int, lm: int, n: int
) -> tuple[tuple[ComplexPlace, complex], ...]:
    degree = isqrt(lm)
    row = real_from_complex(degree)[lm - degree * degree] / _NORM
    return tuple(
        (ComplexPlace(channel, n, degree, int(k) - degree), complex(row[k]))
        for k in np.flatnonzero(row)
    )


@cache
def _in_real(place: ComplexPlace) -> tuple[tuple[Place, complex], ...]:
    degree = place.degree
    column = real_from_complex(degree)[:, degree + place.m].conj() * _NORM
    return tuple(
        (
            Place(place.channel, degree * degree + int(k), place.n),
            complex(column[k]),
        )
        for k in np.flatnonzero(column)
    )
