"""Environments that the sparse points of a model do not describe, and points for them.

With W = U^-T k_m, the points leave s = k(x, x) - |W|² of the prior variance of the local
energy of x. The environment with the largest s / k(x, x) becomes a point, s of all
others is brought up to date, and so on: pivoted Cholesky decomposition of what is left of
the kernel matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gapfit._support.progress import Progress
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.protocol import Descriptor, Sparse
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm
from gapfit.sparse.choose import SHARE_OF_MEMORY
from gapfit.sparse.streaming import Batch, subset

__all__ = ["LEAST", "NewPoints", "novel_points"]

#: Share of its prior variance that is left of an environment outside.
LEAST = 1e-3

_BATCH_ATOMS = 1024
# How often descriptors exist at once while they are gathered.
_COPIES = 4


@dataclass(frozen=True)
class NewPoints:
    """What was found for one block; goes into the model's ``info``.

    Attributes
    ----------
    term : int
        Number of the term, from 1.
    block : str
        Central species.
    n_points : int
        Sparse points added.
    n_outside : int
        Environments of which more than `LEAST` of the prior variance was left.
    largest, left : float
        The largest share before and after.
    """

    term: int
    block: str
    n_points: int
    n_outside: int
    largest: float
    left: float


def novel_points(
    model: GAPModel, frames: Sequence[Frame], n_points: int, progress: Progress
) -> tuple[dict[int, Sparse], list[NewPoints]]:
    """Return sparse points for environments that those of a model do not describe.

    Where there are more of them than may be held (a quarter of ``run.memory``), they are
    found among so many drawn at random.

    Parameters
    ----------
    model : GAPModel
        With `GAPModel.training_sums`.
    frames : sequence of Frame
        Where to look.
    n_points : int
        How many at most, for each block of each SOAP term.
    progress : callable
        Called as ``progress("new points", done, total)`` in atoms.

    Returns
    -------
    dict of int to dict of int to (n, width) float64
        By number of the term, from 0, and block.
    list of NewPoints
        What was found, of blocks with environments outside.

    Raises
    ------
    GapfitError
        The model has no SOAP term.
    """
    if all(term.descriptor.complete for term in model.terms):
        raise GapfitError(
            f"new_sparse = {n_points}: the model has no SOAP term, and the grids of pair "
            "and three-body terms are complete; leave new_sparse out"
        )
    assert model.training_sums is not None
    cholesky, first = model.training_sums.whitening.cholesky, 0
    points: dict[int, Sparse] = {}
    found: list[NewPoints] = []
    for n, term in enumerate(model.terms):
        own = dict(zip(term.sparse, cholesky[first:], strict=False))
        first += len(own)
        if not term.descriptor.complete:
            search = _Search(model, n, term.descriptor, own, frames, n_points, progress)
            points[n], some = search.run()
            found += some
    return points, found


@dataclass
class _Search:
    """The search for one term; see `novel_points`."""

    model: GAPModel
    number: int  # of the term
    descriptor: Descriptor
    cholesky: dict[int, np.ndarray]
    frames: Sequence[Frame]
    n_points: int
    progress: Progress

    @property
    def term(self) -> FittedTerm:
        return self.model.terms[self.number]

    def run(self) -> tuple[Sparse, list[NewPoints]]:
        """Return new points by block, and what was found."""
        run, blocks = self.model.config.run, self.descriptor.blocks
        memory = SHARE_OF_MEMORY * run.memory_bytes / len(blocks)
        sizes, salts = {}, {}
        for block in blocks:
            row = _COPIES * self.descriptor.width(block) + len(self.cholesky[block])
            sizes[block] = max(int(memory / (8 * (row + self.n_points))), self.n_points)
            rng = np.random.default_rng([run.seed, self.number, block])
            salts[block] = int(rng.integers(2**64, dtype="u8"))
        points: Sparse = {}
        found = []
        for block, some in subset(self._outside, sizes, {}, salts).items():
            if some.n_found:
                chosen, largest, left = self._chosen(block, some.values)
                points[block] = some.values[chosen]
                found.append(
                    NewPoints(
                        self.number + 1,
                        self.descriptor.label(block),
                        len(chosen),
                        some.n_found,
                        largest,
                        left,
                    )
                )
        return points, found

    def _outside(self) -> Iterator[Batch]:
        """Yield the environments of which more than `LEAST` is left."""
        sizes, n_terms = frame_sizes(self.frames), len(self.model.terms)
        n_atoms = int(sizes.sum())
        total, done = n_terms * n_atoms, self.number * n_atoms
        self.progress("new points", done, total)
        for part in batches(sizes, _BATCH_ATOMS):
            pairs = pairs_of(self.frames[part], self.descriptor.cutoff)
            batch = {}
            for block, some in self.descriptor.environments(pairs).items():
                if not self.term.n_wanted(block):
                    continue
                _, left, prior = self._left(block, some.values)
                outside = some.values[left > LEAST * prior]
                batch[block] = outside, np.zeros(len(outside), dtype=np.int64)
            yield batch
            done += pairs.n_atoms
            self.progress("new points", done, total)

    def _left(
        self, block: int, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return W (m, n), what is left of the prior variances, and these, eV²."""
        k_m = self.descriptor.kernel(self.term.sparse[block], values)
        W = solve_triangular(self.cholesky[block], k_m, trans="T", check_finite=False)
        prior = self.descriptor.variances(values)
        return W, prior - np.einsum("mn,mn->n", W, W), prior

    def _chosen(self, block: int, values: np.ndarray) -> tuple[list[int], float, float]:
        """Return indices of new points, and the largest share left before and after."""
        W, left, prior = self._left(block, values)
        largest = float(np.max(left / prior))
        rows = np.zeros((min(self.n_points, len(values)), len(values)))
        chosen: list[int] = []
        for n in range(len(rows)):
            pivot = int(np.argmax(left / prior))
            if left[pivot] <= LEAST * prior[pivot]:
                break
            covariance = self.descriptor.kernel(values[pivot : pivot + 1], values)[0]
            covariance -= W[:, pivot] @ W + rows[:n, pivot] @ rows[:n]
            rows[n] = covariance / np.sqrt(left[pivot])
            left -= rows[n] ** 2
            chosen.append(pivot)
        return chosen, largest, max(float(np.max(left / prior)), 0.0)
