"""The functions of a cluster expansion: invariant polynomials of the density."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, product
from math import comb
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr

from gapfit.descriptors.ace_counts import largest_n_max, number_of_functions
from gapfit.descriptors.ace_coupling import invariant_tensors
from gapfit.errors import GapfitError

__all__ = [
    "MOST_FUNCTIONS",
    "Expansion",
    "Factor",
    "Function",
    "Order",
    "Place",
    "expansion",
    "number_of_sets",
]

#: More functions than this are refused.
MOST_FUNCTIONS = 5000
# Of functions with equal factors, those that others give to within this are left out.
_DEPENDENT = 1e-9
_MOST_FACTORS = 4


class Order(NamedTuple):
    """A correlation order: number of factors, radial functions, highest degree."""

    n_factors: int
    n_max: int
    l_max: int


class Factor(NamedTuple):
    """A density coefficient without its m: degree, channel, radial function."""

    degree: int
    channel: int
    n: int


class Place(NamedTuple):
    """A density coefficient: channel, l² + l + m, radial function."""

    channel: int
    lm: int
    n: int


@dataclass(frozen=True)
class Function:
    """An invariant polynomial.

    Attributes
    ----------
    factors : tuple of (l, channel, n)
        The densities that are multiplied.
    products : dict of tuple of (channel, lm, n) to float
        Factor of each product of density coefficients.
    """

    factors: tuple[Factor, ...]
    products: dict[tuple[Place, ...], float]

    @property
    def degree(self) -> int:
        """1 + Σ (l + n), n from 0: how fast the function varies."""
        return 1 + sum(factor.degree + factor.n for factor in self.factors)


@dataclass(frozen=True, eq=False)
class Expansion:
    """Functions, and the arrays by which the core evaluates them.

    Attributes
    ----------
    functions : tuple of Function
        In the order of the features.
    coefficients : (n_coefficients, 3) int32
        Channel, lm and n of the density coefficients that are used, by channel.
    products : (n_products, 4) int32
        Products of coefficients; -1 for no further factor.
    summands : (n_summands, 2) int32
        Number of a function and of a product in it.
    factors : (n_summands,) float64
        Its factor.
    """

    functions: tuple[Function, ...]
    coefficients: np.ndarray
    products: np.ndarray
    summands: np.ndarray
    factors: np.ndarray

    @property
    def degrees(self) -> np.ndarray:
        """Degrees of the functions, (n_functions,) float64."""
        return np.array([function.degree for function in self.functions], dtype=float)


@cache
def expansion(orders: tuple[Order, ...], n_channels: int) -> Expansion:
    """Return the functions of some orders, and the arrays for the core.

    Parameters
    ----------
    orders : tuple of Order
        Correlation orders.
    n_channels : int
        Densities, such as one for each species.

    Raises
    ------
    GapfitError
        There are more functions than `MOST_FUNCTIONS`.
    """
    _require_few(orders, n_channels)
    functions = [f for order in orders for f in _functions(order, n_channels)]
    return _for_core(tuple(functions))


def _require_few(orders: Sequence[Order], n_channels: int) -> None:
    """Refuse more functions than `MOST_FUNCTIONS`, and name sizes that have fewer."""
    counts = [number_of_functions(*order, n_channels) for order in orders]
    if sum(counts) <= MOST_FUNCTIONS:
        return
    sizes = largest_n_max(orders, n_channels, MOST_FUNCTIONS)
    parts = " and ".join(
        f"{count} of order {order.n_factors} (n_max = {order.n_max}, l_max = "
        f"{order.l_max})"
        for order, count in zip(orders, counts, strict=True)
    )
    advice = (
        f"lower n_max to {sizes}, or l_max"
        if sizes
        else "lower n_max and l_max, or leave out an order"
    )
    raise GapfitError(
        f"ace: more than {MOST_FUNCTIONS} functions for {n_channels} species: {parts}; "
        f"{advice}"
    )


def number_of_sets(order: Order, n_channels: int) -> int:
    """Return the number of sets of factors, before any rule."""
    n = n_channels * order.n_max * (order.l_max + 1)
    return comb(n + order.n_factors - 1, order.n_factors)


def _functions(order: Order, n_channels: int) -> Iterator[Function]:
    """Yield the linearly independent functions of one order."""
    densities = [
        Factor(*indices)
        for indices in product(
            range(order.l_max + 1), range(n_channels), range(order.n_max)
        )
    ]
    for factors in combinations_with_replacement(densities, order.n_factors):
        tensors = invariant_tensors(tuple(factor.degree for factor in factors))
        polynomials = [_polynomial(factors, tensor) for tensor in tensors]
        for products in _independent(polynomials):
            yield Function(factors, products)


def _polynomial(
    factors: Sequence[Factor], tensor: np.ndarray
) -> dict[tuple[Place, ...], float]:
    """Return products of density coefficients and their factors in an invariant."""
    out: dict[tuple[Place, ...], float] = {}
    for index in np.argwhere(tensor):
        places = (
            Place(channel, degree * degree + int(m), n)
            for (degree, channel, n), m in zip(factors, index, strict=True)
        )
        key = tuple(sorted(places))
        out[key] = out.get(key, 0.0) + float(tensor[tuple(index)])
    return out


def _independent(
    polynomials: Sequence[dict[tuple[Place, ...], float]],
) -> Iterator[dict[tuple[Place, ...], float]]:
    """Yield polynomials that are linearly independent and not zero.

    Equal factors make some invariants equal, or zero: which ones a QR factorisation with
    pivots tells.
    """
    if not polynomials:
        return
    places = sorted({place for polynomial in polynomials for place in polynomial})
    matrix = np.array(
        [[polynomial.get(p, 0.0) for p in places] for polynomial in polynomials]
    )
    R, order = qr(matrix.T, mode="r", pivoting=True)
    n = int((np.abs(np.diag(R)) > _DEPENDENT).sum())
    for k in sorted(order[:n]):
        yield {p: x for p, x in polynomials[k].items() if abs(x) > _DEPENDENT}


def _for_core(functions: tuple[Function, ...]) -> Expansion:
    """Return the arrays of functions."""
    places = sorted({p for f in functions for places in f.products for p in places})
    number = {place: n for n, place in enumerate(places)}
    rows: dict[tuple[int, ...], int] = {}
    summands, factors = [], []
    for n, function in enumerate(functions):
        for product_places, factor in function.products.items():
            row = sorted(number[place] for place in product_places)
            row += [-1] * (_MOST_FACTORS - len(row))
            summands.append((n, rows.setdefault(tuple(row), len(rows))))
            factors.append(factor)
    return Expansion(
        functions,
        np.array(places, dtype=np.int32).reshape(-1, 3),
        np.array(list(rows), dtype=np.int32).reshape(-1, _MOST_FACTORS),
        np.array(summands, dtype=np.int32).reshape(-1, 2),
        np.array(factors, dtype=float),
    )
