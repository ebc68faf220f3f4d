"""New sparse points for environments that those of a model do not describe.

With W = U^-T k_m, the unexplained part of the prior variance of the local energy of x is
s = k(x, x) - |W|² (Eq. 14). The environment with the largest s / k(x, x) becomes a point,
s of all others is updated, and so on: a pivoted Cholesky decomposition of the residual of
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
from gapfit.sparse.choice_memory import SHARE_OF_MEMORY
from gapfit.sparse.streaming import Batch, subset

__all__ = ["LEAST", "NewPoints", "novel_points"]

#: Unexplained share of the prior variance above which an environment needs a point.
LEAST = 1e-3

_BATCH_ATOMS = 1024
# Copies of the descriptors in memory while they are gathered.
_COPIES = 4


@dataclass(frozen=True)
class NewPoints:
    """Result of the search for one block; stored in the model's ``info``.

    Attributes
    ----------
    term : int
        Number of the term, from 1.
    block : str
        Central species.
    n_points : int
        Sparse points added.
    n_outside : int
        Environments with an unexplained share of the prior variance above `LEAST`.
    unexplained_before, unexplained_after : float
        Largest unexplained share before and after the points were added.
    """

    term: int
    block: str
    n_points: int
    n_outside: int
    unexplained_before: float
    unexplained_after: float


def novel_points(
    model: GAPModel, frames: Sequence[Frame], n_points: int, progress: Progress
) -> tuple[dict[int, Sparse], list[NewPoints]]:
    """Return sparse points for environments that those of a model do not describe.

    If these environments need more than a quarter of ``run.memory``, the points are chosen
    from a random subset that fits.

    Parameters
    ----------
    model : GAPModel
        Model with `GAPModel.training_sums`.
    frames : sequence of Frame
        Structures to search.
    n_points : int
        Largest number of points for each block of each SOAP term.
    progress : callable
        Called as ``progress("new points", done, total)`` in atoms.

    Returns
    -------
    dict of int to dict of int to (n, width) float64
        Points by number of the term, from 0, and block.
    list of NewPoints
        Results of the blocks with environments outside.

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
    results: list[NewPoints] = []
    for n, term in enumerate(model.terms):
        U = dict(zip(term.sparse, cholesky[first:], strict=False))
        first += len(U)
        if not term.descriptor.complete:
            search = _Search(model, n, term.descriptor, U, frames, n_points, progress)
            points[n], term_results = search.run()
            results += term_results
    return points, results


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
        """Return new points by block, and the results of the search."""
        run, blocks = self.model.config.run, self.descriptor.blocks
        memory = SHARE_OF_MEMORY * run.memory_bytes / len(blocks)
        sizes, salts = {}, {}
        for block in blocks:
            row = _COPIES * self.descriptor.width(block) + len(self.cholesky[block])
            sizes[block] = max(int(memory / (8 * (row + self.n_points))), self.n_points)
            rng = np.random.default_rng([run.seed, self.number, block])
            salts[block] = int(rng.integers(2**64, dtype="u8"))
        points: Sparse = {}
        results = []
        for block, outside in subset(self._outside, sizes, {}, salts).items():
            if outside.n_found:
                chosen, before, after = self._chosen(block, outside.values)
                points[block] = outside.values[chosen]
                results.append(
                    NewPoints(
                        self.number + 1,
                        self.descriptor.label(block),
                        len(chosen),
                        outside.n_found,
                        before,
                        after,
                    )
                )
        return points, results

    def _outside(self) -> Iterator[Batch]:
        """Yield the environments with an unexplained share above `LEAST`."""
        sizes, n_terms = frame_sizes(self.frames), len(self.model.terms)
        n_atoms = int(sizes.sum())
        total, done = n_terms * n_atoms, self.number * n_atoms
        self.progress("new points", done, total)
        for part in batches(sizes, _BATCH_ATOMS):
            pairs = pairs_of(self.frames[part], self.descriptor.cutoff)
            batch = {}
            for block, environments in self.descriptor.environments(pairs).items():
                if not self.term.n_wanted(block):
                    continue
                _, unexplained, prior = self._unexplained(block, environments.values)
                outside = environments.values[unexplained > LEAST * prior]
                batch[block] = outside, np.zeros(len(outside), dtype=np.int64)
            yield batch
            done += pairs.n_atoms
            self.progress("new points", done, total)

    def _unexplained(
        self, block: int, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return W (m, n), the unexplained variances and the prior variances, eV²."""
        k_m = self.descriptor.kernel(self.term.sparse[block], values)
        W = solve_triangular(self.cholesky[block], k_m, trans="T", check_finite=False)
        prior = self.descriptor.variances(values)
        return W, prior - np.einsum("mn,mn->n", W, W), prior

    def _chosen(self, block: int, values: np.ndarray) -> tuple[list[int], float, float]:
        """Return new points (indices), largest unexplained share before and after them."""
        W, unexplained, prior = self._unexplained(block, values)
        largest = float(np.max(unexplained / prior))
        rows = np.zeros((min(self.n_points, len(values)), len(values)))
        chosen: list[int] = []
        for n in range(len(rows)):
            pivot = int(np.argmax(unexplained / prior))
            if unexplained[pivot] <= LEAST * prior[pivot]:
                break
            covariance = self.descriptor.kernel(values[pivot : pivot + 1], values)[0]
            covariance -= W[:, pivot] @ W + rows[:n, pivot] @ rows[:n]
            rows[n] = covariance / np.sqrt(unexplained[pivot])
            unexplained -= rows[n] ** 2
            chosen.append(pivot)
        return chosen, largest, max(float(np.max(unexplained / prior)), 0.0)
