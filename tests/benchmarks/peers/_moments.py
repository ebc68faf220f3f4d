"""The functions of moment tensor potentials, as the table that motep reads.

A moment has a radial index mu and a rank nu, and the level 2 + 4 mu + nu; a product of
them has the sum of their levels (Shapeev, Multiscale Model. Simul. 14, 1153, 2016). A
function is a product of at most four moments whose indices are summed over in pairs: a
graph with a moment at each vertex and an edge for each pair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations, combinations_with_replacement, permutations, product
from math import comb, factorial, prod

MAX_MOMENTS = 4
Integers = tuple[int, ...]
#: Radial index of each vertex, and edges of each pair of vertices.
Graph = tuple[Integers, Integers]
#: How many of some indices are x, y and z.
Counts = tuple[int, int, int]


class Moments:
    """Numbers that follow from each other by products and sums.

    Each has a place. Those without edges to other vertices are the functions; those with
    some are components of a tensor, told apart by the indices of these edges.

    Parameters
    ----------
    level : int
        Of the functions, at most.

    Attributes
    ----------
    basic : dict of (mu, x, y, z) to int
        Places of the components of single moments.
    times : list of (int, int, int, int)
        Places of two factors, a coefficient, and the place that the product is added to.
    scalars : list of int
        Places of the functions.
    """

    def __init__(self, level: int) -> None:
        found = list(graphs(level))
        self.basic: dict[Integers, int] = {}
        for mu, rank in sorted(_ranks(found).items()):
            for counts in (counts for n in range(rank + 1) for counts in _shares(n)):
                self.basic[mu, *counts] = len(self.basic)
        self.times: list[tuple[int, int, int, int]] = []
        self._places: dict[tuple[Integers, Integers, tuple[Counts, ...]], int] = {}
        self.scalars = [
            self._place(mu, edges, ((0, 0, 0),) * len(mu)) for mu, edges in found
        ]

    def __len__(self) -> int:
        return len(self.basic) + len(self._places)

    def _place(self, mu: Integers, edges: Integers, open_: tuple[Counts, ...]) -> int:
        """Return the place of a component, with the indices of open edges by vertex."""
        if len(mu) == 1:
            return self.basic[mu[0], *open_[0]]
        key = _first(mu, edges, open_)
        if key not in self._places:
            terms = self._terms(*key)
            place = self._places[key] = len(self)
            self.times += [(*pair, times, place) for pair, times in terms.items()]
        return self._places[key]

    def _terms(
        self, mu: Integers, edges: Integers, open_: tuple[Counts, ...]
    ) -> Counter[tuple[int, int]]:
        """Return pairs of factors: sums over the indices between two parts."""
        of = _by_pair(len(mu), edges)
        parts = _cheapest(edges, tuple(map(sum, open_)))[1]
        between = _between(of, parts[0])
        out: Counter[tuple[int, int]] = Counter()
        for shares in product(*(_shares(of[pair]) for pair in between)):
            counts = list(open_)
            for pair, share in zip(between, shares, strict=True):
                for v in pair:
                    counts[v] = tuple(map(sum, zip(counts[v], share, strict=True)))
            factors = (
                self._place(
                    tuple(mu[v] for v in part),
                    _inside(of, part),
                    tuple(counts[v] for v in part),
                )
                for part in parts
            )
            first, second = sorted(factors)
            out[first, second] += prod(map(_orders, shares))
        return out


def graphs(level: int) -> Iterator[Graph]:
    """Yield all graphs up to a level, each with one order of its vertices."""
    for n_vertices in range(1, min(MAX_MOMENTS, level // 2) + 1):
        rest = level // 2 - n_vertices
        for mu in combinations_with_replacement(range(rest // 2 + 1), n_vertices):
            left = rest - 2 * sum(mu)
            for edges in product(range(left + 1), repeat=comb(n_vertices, 2)):
                open_ = ((0, 0, 0),) * n_vertices
                if sum(edges) <= left and (mu, edges, open_) == _first(
                    mu, edges, open_
                ):
                    yield mu, edges


@cache
def _first(
    mu: Integers, edges: Integers, open_: tuple[Counts, ...]
) -> tuple[Integers, Integers, tuple[Counts, ...]]:
    """Return the same for all orders of the vertices: the first of them."""
    of = _by_pair(len(mu), edges)
    return min(
        (
            tuple(mu[v] for v in order),
            _inside(of, order),
            tuple(open_[v] for v in order),
        )
        for order in permutations(range(len(mu)))
    )


def _ranks(found: list[Graph]) -> dict[int, int]:
    """Return the highest rank of each radial index."""
    out: dict[int, int] = {}
    for mu, edges in found:
        of = _by_pair(len(mu), edges)
        for v, one in enumerate(mu):
            rank = sum(n for pair, n in of.items() if v in pair)
            out[one] = max(out.get(one, 0), rank)
    return out


@cache
def _cheapest(
    edges: Integers, n_open: Integers
) -> tuple[int, tuple[Integers, Integers]]:
    """Return the number of products of all components, and the parts that need fewest."""
    n_vertices = len(n_open)
    of = _by_pair(n_vertices, edges)
    best = []
    for size in range(1, n_vertices // 2 + 1):
        for part in combinations(range(n_vertices), size):
            parts = part, tuple(v for v in range(n_vertices) if v not in part)
            between = _between(of, part)
            n_all = [
                n + sum(of[pair] for pair in between if v in pair)
                for v, n in enumerate(n_open)
            ]
            cost = prod(_n_shares(n) for n in n_open)
            cost *= prod(_n_shares(of[pair]) for pair in between)
            cost += sum(
                _cheapest(_inside(of, one), tuple(n_all[v] for v in one))[0]
                for one in parts
                if len(one) > 1
            )
            best.append((cost, parts))
    return min(best)


def _by_pair(n_vertices: int, edges: Integers) -> dict[tuple[int, int], int]:
    return dict(zip(combinations(range(n_vertices), 2), edges, strict=True))


def _inside(of: dict[tuple[int, int], int], order: Integers) -> Integers:
    """Return the edges of some vertices, in an order."""
    return tuple(of[min(pair), max(pair)] for pair in combinations(order, 2))


def _between(of: dict[tuple[int, int], int], part: Integers) -> list[tuple[int, int]]:
    """Return the pairs with edges between a part and the other vertices."""
    return [
        pair for pair, n in of.items() if n and (pair[0] in part) != (pair[1] in part)
    ]


def _shares(n: int) -> list[Counts]:
    return [(x, y, n - x - y) for x in range(n, -1, -1) for y in range(n - x, -1, -1)]


def _n_shares(n: int) -> int:
    return comb(n + 2, 2)


def _orders(counts: Counts) -> int:
    """Return in how many orders the indices come."""
    return factorial(sum(counts)) // prod(map(factorial, counts))
