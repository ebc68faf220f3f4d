"""Greedy choice of structures, one at a time, as if each had been labelled at once.

Every score falls when something is observed, so that what was once computed of a
candidate is a bound of its score from above: only those are computed again whose bound
reaches the top (Minoux, Lect. Notes Control Inf. Sci. 7, 234 (1978)).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gapfit.active.candidates import LEAST, Candidate, Outside, Space

__all__ = [
    "By",
    "Criterion",
    "Novelty",
    "Per",
    "Uncertainty",
    "Volume",
    "criterion",
    "greedy",
]

#: What is looked for.
By = Literal["std", "novelty", "d-optimal"]
#: What a score is of.
Per = Literal["atom", "structure"]


class _Growing:
    """Rows of a matrix that come one after the other."""

    def __init__(self, width: int) -> None:
        self._store = np.empty((0, width))
        self._used = 0

    @property
    def rows(self) -> np.ndarray:
        return self._store[: self._used]

    def append(self, rows: np.ndarray) -> None:
        total = self._used + len(rows)
        if total > len(self._store):
            larger = np.empty((2 * total, rows.shape[1]))
            larger[: self._used] = self.rows
            self._store = larger
        self._store[self._used : total] = rows
        self._used = total


class _Posterior:
    """Covariance Σ = I - Q^T Q of the coefficients, given what was observed.

    Rows D with unit noise turn Σ into Σ - Σ D^T (I + D Σ D^T)^-1 D Σ: rows
    L^-1 D Σ are added to Q, with L L^T = I + D Σ D^T.
    """

    def __init__(self, n_sparse: int) -> None:
        self._sigma = np.eye(n_sparse)
        # The last rows of Q, and how many there were before them.
        self._Q, self._gone = np.zeros((0, n_sparse)), 0
        # By candidate: B Σ B^T, and how many rows of Q it knows of.
        self._known: dict[int, tuple[np.ndarray, int]] = {}

    def covariance(self, candidate: Candidate) -> np.ndarray:
        """Return B Σ B^T, (r, r), of the candidate's rows."""
        assert candidate.rows is not None
        B, total = candidate.rows.basis, self._gone + len(self._Q)
        G, seen = self._known.get(candidate.index, (None, 0))
        if G is not None and seen == total:
            return G
        if total == 0:
            return B @ B.T
        if G is None or seen < self._gone:
            G = B @ self._sigma @ B.T
        else:
            T = B @ self._Q[seen - self._gone :].T
            G = G - T @ T.T
        self._known[candidate.index] = G, total
        return G

    def observe(self, candidate: Candidate) -> None:
        """Take in the labels of a candidate."""
        assert candidate.rows is not None
        rows = candidate.rows
        S = _with_noise(rows.labels, self.covariance(candidate))
        L = cholesky(S, lower=True, check_finite=False)
        D = (rows.labels @ rows.basis) @ self._sigma
        new = solve_triangular(L, D, lower=True, check_finite=False)
        self._sigma -= new.T @ new
        # With as many rows as coefficients Σ itself is the shorter way.
        self._gone += max(len(self._Q) + len(new) - self._sigma.shape[1], 0)
        self._Q = np.concatenate([self._Q, new])[-self._sigma.shape[1] :]


def _with_noise(labels: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Return the covariance of observations, in units of their variances."""
    return np.eye(len(labels)) + labels @ G @ labels.T


class _Surroundings:
    """Environments of one space outside the sparse points, and those observed of them.

    What the sparse points leave of the kernel matrix is conditioned on the energies of
    the observed environments, with the noise of the space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._values = _Growing(space.points.shape[1])
        self._W = _Growing(len(space.points))
        self._L = np.zeros((0, 0))

    def left(self, own: Outside) -> np.ndarray:
        """Return the prior variance that is left of a candidate's environments, eV².

        That of environments of which no covariance is kept shrinks as the others' does.
        """
        if not len(own.kept):
            return own.left
        before = own.left[own.kept]
        now = np.maximum(before - _columns(self._projected(own)), 0.0)
        left = own.left * (now.sum() / before.sum())
        left[own.kept] = now
        return left

    def _projected(self, own: Outside) -> np.ndarray:
        """Return L^-1 times the covariances with those chosen, (n_chosen, k)."""
        if not len(self._L):
            return np.zeros((0, len(own.kept)))
        cross = self._space.descriptor.kernel(self._values.rows, own.values)
        cross -= self._W.rows @ own.W
        return solve_triangular(self._L, cross, lower=True, check_finite=False)

    def observe(self, own: Outside) -> None:
        """Choose the environments of a candidate of which something is left."""
        if not len(own.kept):
            return
        values, kernel = own.values, self._space.descriptor.kernel
        projected = self._projected(own)
        rest = kernel(values, values) - own.W.T @ own.W - projected.T @ projected
        chosen, factor = _pivots(rest, self._space.noise)
        n, m = len(self._L), len(chosen)
        L = np.zeros((n + m, n + m))
        L[:n, :n], L[n:, :n], L[n:, n:] = self._L, projected[:, chosen].T, factor
        self._L = L
        self._values.append(values[chosen])
        self._W.append(own.W.T[chosen])


def _columns(matrix: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->k", matrix, matrix)


def _pivots(rest: np.ndarray, noise: float) -> tuple[list[int], np.ndarray]:
    """Return which environments are worth observing, and the factor of their matrix.

    One after the other, that of which most is left, until it is a small share of the
    noise.
    """
    now, chosen = rest.copy(), list[int]()
    while len(chosen) < len(rest):
        left = np.diag(now).copy()
        left[chosen] = 0.0
        pivot = int(np.argmax(left))
        if left[pivot] <= LEAST * noise:
            break
        chosen.append(pivot)
        column = now[:, pivot].copy()
        now -= np.outer(column, column) / (left[pivot] + noise)
    matrix = rest[np.ix_(chosen, chosen)] + noise * np.eye(len(chosen))
    return chosen, cholesky(matrix, lower=True, check_finite=False)


class Criterion(Protocol):
    """A score of candidates that falls as more is observed."""

    unit: str
    rows: bool

    def score(self, candidate: Candidate) -> float:
        """Return the score of a candidate, given what was observed."""

    def observe(self, candidate: Candidate) -> None:
        """Take in a candidate as if it had been labelled."""


class _Common:
    """What the criteria share: the posterior, and what lies outside."""

    def __init__(self, n_sparse: int, spaces: Sequence[Space], per: Per) -> None:
        self._posterior = _Posterior(n_sparse)
        self._spaces = spaces
        self._surroundings = [_Surroundings(space) for space in spaces]
        self._per = per

    def _left(
        self, candidate: Candidate, weight: Callable[[Space], float]
    ) -> np.ndarray:
        """Return the weighted prior variance left of each atom, (n_atoms,)."""
        total = np.zeros(candidate.n_atoms)
        for space, near, own in zip(
            self._spaces, self._surroundings, candidate.outside, strict=True
        ):
            total[own.atoms] += weight(space) * near.left(own)
        return total

    def _of_atoms(self, squares: np.ndarray) -> float:
        """Return the root of the largest square, or of the sum of all."""
        value = squares.max() if self._per == "atom" else squares.sum()
        return float(np.sqrt(max(value, 0.0)))

    def observe(self, candidate: Candidate) -> None:
        """Take in a candidate as if it had been labelled."""
        if candidate.rows is not None:
            self._posterior.observe(candidate)
        for near, own in zip(self._surroundings, candidate.outside, strict=True):
            near.observe(own)


def _as_forces(space: Space) -> float:
    """Return what turns the variance of an energy into that of a force, 1/Å²."""
    return space.length**-2


class Uncertainty(_Common):
    """Standard deviation of the forces, eV/Å.

    That of the vector on an atom is the root of the variances of its components in the
    subset of regressors, and of what is left of the prior variance of its energy over the
    square of the width of the atoms, a length over which energies change.
    """

    unit, rows = "eV/Å", True

    def score(self, candidate: Candidate) -> float:
        """Return that of the worst atom, or of the forces on all taken together."""
        assert candidate.rows is not None
        G, forces = self._posterior.covariance(candidate), candidate.rows.forces
        squares = np.einsum("nir,nir->n", forces @ G, forces)
        return self._of_atoms(squares + self._left(candidate, _as_forces))


class Volume(_Common):
    """Logarithm of the ratio by which labels shrink the posterior's volume, nats.

    log det (I + Ψ Σ Ψ^T)/2 for the rows Ψ of all labels (D-optimality; Krause, Singh &
    Guestrin, JMLR 9, 235 (2008)), with the same for what is left of each atom's prior
    variance.
    """

    unit, rows = "nats", True

    def score(self, candidate: Candidate) -> float:
        """Return that of a structure, or of it by atom."""
        assert candidate.rows is not None
        G = self._posterior.covariance(candidate)
        S = _with_noise(candidate.rows.labels, G)
        gain = float(np.log(np.diag(cholesky(S, check_finite=False))).sum())
        left = self._left(candidate, _as_forces) / candidate.sigma_forces**2
        gain += 0.5 * float(np.log1p(left).sum())
        return gain / candidate.n_atoms if self._per == "atom" else gain


class Novelty(_Common):
    """Distance to the sparse points and to what was chosen: 0 in their span, 1 far away.

    Root of the share of the prior variance of an atom's energy that is left.
    """

    unit, rows = "", False

    def score(self, candidate: Candidate) -> float:
        """Return that of the most novel atom, or the root of the sum of squares."""
        prior = np.zeros(candidate.n_atoms)
        for own in candidate.outside:
            prior[own.atoms] += own.prior
        left = self._left(candidate, lambda space: 1.0)
        return self._of_atoms(left / np.where(prior > 0.0, prior, 1.0))


_CRITERIA: dict[By, type[Uncertainty | Volume | Novelty]] = {
    "std": Uncertainty,
    "novelty": Novelty,
    "d-optimal": Volume,
}


def criterion(by: By, per: Per, n_sparse: int, spaces: Sequence[Space]) -> Criterion:
    """Return a criterion that has observed nothing yet.

    Parameters
    ----------
    by : {"std", "novelty", "d-optimal"}
        See `Uncertainty`, `Novelty` and `Volume`.
    per : {"atom", "structure"}
        The worst atom or all of a structure; for D-optimality, the gain by atom or of
        the structure.
    n_sparse : int
        Sparse points of the model.
    spaces : sequence of Space
        From `gapfit.active.candidates.spaces_of`.
    """
    return _CRITERIA[by](n_sparse, spaces, per)


@dataclass(frozen=True)
class Pick:
    """A candidate and its score when it was picked."""

    candidate: Candidate
    score: float


def greedy(
    found: Sequence[Candidate], bounds: Sequence[float], judge: Criterion
) -> Iterator[Pick]:
    """Yield candidates, that of the highest score first; each is observed.

    Of equal scores the first in the pool comes first.

    Parameters
    ----------
    found : sequence of Candidate
        To choose from.
    bounds : sequence of float
        Their scores when nothing was observed.
    judge : Criterion
        Observes what is yielded.
    """
    # Score, number in the pool, place in `found`, picks that the score knows of.
    heap = [
        (-bound, own.index, n, 0)
        for n, (own, bound) in enumerate(zip(found, bounds, strict=True))
    ]
    heapq.heapify(heap)
    n_picked = 0
    while heap:
        negative, index, n, known = heapq.heappop(heap)
        if known < n_picked:
            heapq.heappush(heap, (-judge.score(found[n]), index, n, n_picked))
            continue
        judge.observe(found[n])
        n_picked += 1
        yield Pick(found[n], -negative)
