"""Greedy choice of structures, one at a time, as if each were labelled immediately.

Every score falls with each observation, so an earlier score of a candidate is an upper
bound: a score is computed again only when its bound is the highest (Minoux, Lect. Notes
Control Inf. Sci. 7, 234 (1978)).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gapfit.active.candidates import Candidate, Outside, Space

__all__ = [
    "By",
    "Criterion",
    "ForceUncertainty",
    "Novelty",
    "Per",
    "Volume",
    "criterion",
    "greedy",
]

#: Criterion of the choice.
By = Literal["std", "novelty", "d-optimal"]
#: Whether a score is that of an atom or of a structure.
Per = Literal["atom", "structure"]


class _Growing:
    """Matrix that grows by rows."""

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
        # The last rows of Q, and the number of rows dropped before them.
        self._Q, self._n_dropped = np.zeros((0, n_sparse)), 0
        # By candidate: B Σ B^T, and the number of rows of Q that it includes.
        self._covariances: dict[int, tuple[np.ndarray, int]] = {}

    def covariance(self, candidate: Candidate) -> np.ndarray:
        """Return the covariance B Σ B^T of a candidate's rows, (r, r)."""
        assert candidate.rows is not None
        B, total = candidate.rows.basis, self._n_dropped + len(self._Q)
        G, seen = self._covariances.get(candidate.index, (None, 0))
        if G is not None and seen == total:
            return G
        if total == 0:
            return B @ B.T
        if G is None or seen < self._n_dropped:
            G = B @ self._sigma @ B.T
        else:
            T = B @ self._Q[seen - self._n_dropped :].T
            G = G - T @ T.T
        self._covariances[candidate.index] = G, total
        return G

    def observe(self, candidate: Candidate) -> None:
        """Condition on the labels of a candidate."""
        assert candidate.rows is not None
        rows = candidate.rows
        S = _with_noise(rows.labels, self.covariance(candidate))
        L = cholesky(S, lower=True, check_finite=False)
        D = (rows.labels @ rows.basis) @ self._sigma
        new = solve_triangular(L, D, lower=True, check_finite=False)
        self._sigma -= new.T @ new
        # More rows of Q than coefficients cost more than Σ itself.
        self._n_dropped += max(len(self._Q) + len(new) - self._sigma.shape[1], 0)
        self._Q = np.concatenate([self._Q, new])[-self._sigma.shape[1] :]


def _with_noise(labels: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Return the covariance of observations, in units of their variances."""
    return np.eye(len(labels)) + labels @ G @ labels.T


class _Surroundings:
    """Observed environments of one space outside the span of the sparse points.

    The part of the kernel matrix that the sparse points do not explain is conditioned on
    the energies of the observed environments, with the noise of the space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._values = _Growing(space.points.shape[1])
        self._W = _Growing(len(space.points))
        self._L = np.zeros((0, 0))

    def unexplained(self, outside: Outside) -> np.ndarray:
        """Return the unexplained variances of a candidate's environments, (n,), eV².

        Environments without stored covariances are scaled by the mean shrinkage of the
        others.
        """
        if not len(outside.kept):
            return outside.unexplained
        before = outside.unexplained[outside.kept]
        now = np.maximum(before - _columns(self._projected(outside)), 0.0)
        unexplained = outside.unexplained * (now.sum() / before.sum())
        unexplained[outside.kept] = now
        return unexplained

    def _projected(self, outside: Outside) -> np.ndarray:
        """Return L^-1 times the covariances with the observed ones, (n_observed, k)."""
        if not len(self._L):
            return np.zeros((0, len(outside.kept)))
        cross = self._space.descriptor.kernel(self._values.rows, outside.values)
        cross -= self._W.rows @ outside.W
        return solve_triangular(self._L, cross, lower=True, check_finite=False)

    def observe(self, outside: Outside) -> None:
        """Observe the environments of a candidate that are not explained yet."""
        if not len(outside.kept):
            return
        values, W, kernel = outside.values, outside.W, self._space.descriptor.kernel
        projected = self._projected(outside)
        covariance = kernel(values, values) - W.T @ W - projected.T @ projected
        chosen, factor = _pivots(covariance, self._space.noise, self._space.negligible)
        n, m = len(self._L), len(chosen)
        L = np.zeros((n + m, n + m))
        L[:n, :n], L[n:, :n], L[n:, n:] = self._L, projected[:, chosen].T, factor
        self._L = L
        self._values.append(values[chosen])
        self._W.append(W.T[chosen])


def _columns(matrix: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->k", matrix, matrix)


def _pivots(
    covariance: np.ndarray, noise: float, negligible: float
) -> tuple[list[int], np.ndarray]:
    """Return environments worth observing, and the Cholesky factor of their matrix.

    The environment with the largest variance is next, until that is a negligible share of
    the noise.
    """
    now, chosen = covariance.copy(), list[int]()
    while len(chosen) < len(covariance):
        variances = np.diag(now).copy()
        variances[chosen] = 0.0
        pivot = int(np.argmax(variances))
        if variances[pivot] <= negligible * noise:
            break
        chosen.append(pivot)
        column = now[:, pivot].copy()
        now -= np.outer(column, column) / (variances[pivot] + noise)
    matrix = covariance[np.ix_(chosen, chosen)] + noise * np.eye(len(chosen))
    return chosen, cholesky(matrix, lower=True, check_finite=False)


class Criterion(Protocol):
    """A score of candidates that falls with each observation."""

    unit: str
    rows: bool

    def score(self, candidate: Candidate) -> float:
        """Return the score of a candidate, given the observations."""

    def observe(self, candidate: Candidate) -> None:
        """Observe a candidate as if it were labelled."""


class _Common:
    """Base of the criteria: the posterior, and environments outside the sparse points."""

    def __init__(self, n_sparse: int, spaces: Sequence[Space], per: Per) -> None:
        self._posterior = _Posterior(n_sparse)
        self._spaces = spaces
        self._surroundings = [_Surroundings(space) for space in spaces]
        self._per = per

    def _unexplained(
        self, candidate: Candidate, weight: Callable[[Space], float]
    ) -> np.ndarray:
        """Return the weighted unexplained variance of each atom, (n_atoms,)."""
        total = np.zeros(candidate.n_atoms)
        for space, observed, outside in zip(
            self._spaces, self._surroundings, candidate.outside, strict=True
        ):
            total[outside.atoms] += weight(space) * observed.unexplained(outside)
        return total

    def _of_atoms(self, squares: np.ndarray) -> float:
        """Return the root of the largest square, or of the sum of all."""
        value = squares.max() if self._per == "atom" else squares.sum()
        return float(np.sqrt(max(value, 0.0)))

    def observe(self, candidate: Candidate) -> None:
        """Observe a candidate as if it were labelled."""
        if candidate.rows is not None:
            self._posterior.observe(candidate)
        for observed, outside in zip(
            self._surroundings, candidate.outside, strict=True
        ):
            observed.observe(outside)


def _as_forces(space: Space) -> float:
    """Return the factor from the variance of an energy to that of a force, 1/Å²."""
    return space.length**-2


class ForceUncertainty(_Common):
    """Standard deviation of the forces, eV/Å.

    That of the vector on an atom is the root of a sum: the variances of its components in
    the subset of regressors, and the unexplained variance of its energy over the square of
    the width of the atoms, a length over which energies change.
    """

    unit, rows = "eV/Å", True

    def score(self, candidate: Candidate) -> float:
        """Return that of the worst atom, or the root of the sum over all atoms."""
        assert candidate.rows is not None
        G, forces = self._posterior.covariance(candidate), candidate.rows.forces
        squares = np.einsum("nir,nir->n", forces @ G, forces)
        return self._of_atoms(squares + self._unexplained(candidate, _as_forces))


class Volume(_Common):
    """Logarithm of the ratio by which labels shrink the posterior's volume, nats.

    log det (I + Ψ Σ Ψ^T)/2 for the rows Ψ of all labels (D-optimality; Krause, Singh &
    Guestrin, JMLR 9, 235 (2008)), with the same for each atom's unexplained variance.
    """

    unit, rows = "nats", True

    def score(self, candidate: Candidate) -> float:
        """Return that of the structure, or its share per atom."""
        assert candidate.rows is not None
        G = self._posterior.covariance(candidate)
        S = _with_noise(candidate.rows.labels, G)
        gain = float(np.log(np.diag(cholesky(S, check_finite=False))).sum())
        unexplained = self._unexplained(candidate, _as_forces)
        gain += 0.5 * float(np.log1p(unexplained / candidate.sigma_forces**2).sum())
        return gain / candidate.n_atoms if self._per == "atom" else gain


class Novelty(_Common):
    """Distance to sparse points and chosen structures: 0 in their span, 1 far away.

    Root of the unexplained share of the prior variance of an atom's energy.
    """

    unit, rows = "", False

    def score(self, candidate: Candidate) -> float:
        """Return that of the most novel atom, or the root of the sum of squares."""
        prior = np.zeros(candidate.n_atoms)
        for outside in candidate.outside:
            prior[outside.atoms] += outside.prior
        unexplained = self._unexplained(candidate, lambda space: 1.0)
        return self._of_atoms(unexplained / np.where(prior > 0.0, prior, 1.0))


_CRITERIA: dict[By, type[ForceUncertainty | Volume | Novelty]] = {
    "std": ForceUncertainty,
    "novelty": Novelty,
    "d-optimal": Volume,
}


def criterion(by: By, per: Per, n_sparse: int, spaces: Sequence[Space]) -> Criterion:
    """Return a criterion without observations.

    Parameters
    ----------
    by : {"std", "novelty", "d-optimal"}
        See `ForceUncertainty`, `Novelty` and `Volume`.
    per : {"atom", "structure"}
        Score of the worst atom or of the structure; for D-optimality, gain per atom or of
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
    pool: Sequence[Candidate], bounds: Sequence[float], judge: Criterion
) -> Iterator[Pick]:
    """Yield candidates by descending score; each is observed before the next.

    Of equal scores the first in the pool comes first.

    Parameters
    ----------
    pool : sequence of Candidate
        Candidates to choose from.
    bounds : sequence of float
        Their scores without observations.
    judge : Criterion
        The criterion, which observes each pick.
    """
    # Score, index of the structure, place in `pool`, number of picks in the score.
    heap = [
        (-bound, candidate.index, n, 0)
        for n, (candidate, bound) in enumerate(zip(pool, bounds, strict=True))
    ]
    heapq.heapify(heap)
    n_picked = 0
    while heap:
        negative, index, n, n_seen = heapq.heappop(heap)
        if n_seen < n_picked:
            heapq.heappush(heap, (-judge.score(pool[n]), index, n, n_picked))
            continue
        judge.observe(pool[n])
        n_picked += 1
        yield Pick(pool[n], -negative)
