"""Memory that the steps of a fit take: matrices, and rows computed together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gapfit.descriptors.protocol import Descriptor
from gapfit.execution.merge_tree import Node, root
from gapfit.gp.normal_equations import kept_rows

__all__ = [
    "LIBRARY_BYTES",
    "PAIR_BYTES",
    "WORKER_BYTES",
    "Batch",
    "Matrices",
    "TermRows",
]

_DOUBLE = 8
#: OpenBLAS keeps buffers, those of NumPy and those of SciPy; the pages that are touched.
LIBRARY_BYTES = 30_000_000
#: Python with NumPy, SciPy, ASE and pydantic, as a worker imports them (measured: 90 MB);
#: dscribe, which takes 100 MB more, it never needs.
WORKER_BYTES = 90_000_000
#: Arrays of a pair list, some of them twice, bytes per pair.
PAIR_BYTES = 100
# Kernel matrices of a block that exist at once while one is made and factorised.
_KERNEL_COPIES = 3


@dataclass(frozen=True)
class Matrices:
    """What a fit holds whatever the number of its rows, bytes.

    Attributes
    ----------
    blocks : tuple of int
        Sparse points of each block.
    widths : tuple of int
        Length of the descriptors of each block.
    group_rows : tuple of int
        Rows of each group of observations; each has a sum of its own.
    n_tasks : int
        Parts of the data that are summed up one by one.
    method : {"cholesky", "qr"}
        See `gapfit.gp.training_sums.TrainingSums`.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    group_rows: tuple[int, ...]
    n_tasks: int
    method: str

    @property
    def n_sparse(self) -> int:
        """Sparse points of all blocks."""
        return sum(self.blocks)

    @property
    def square(self) -> int:
        """A matrix of all sparse points."""
        return _DOUBLE * self.n_sparse**2

    @property
    def sums(self) -> int:
        """The sums over all rows; few rows of a group are kept as they are."""
        kept = kept_rows(self.n_sparse) if self.method == "cholesky" else 0
        return sum(
            _DOUBLE * self.n_sparse * n if n <= kept else self.square
            for n in self.group_rows
        )

    @property
    def points(self) -> int:
        """Sparse points and the Cholesky factors of K_mm."""
        points = sum(m * w for m, w in zip(self.blocks, self.widths, strict=True))
        return _DOUBLE * (points + sum(m**2 for m in self.blocks))

    @property
    def whitening(self) -> int:
        """While K_mm is factorised, block by block."""
        return self.points + _KERNEL_COPIES * _DOUBLE * max(self.blocks, default=0) ** 2

    @property
    def rows(self) -> int:
        """While one process sums up all rows, besides the rows."""
        merged = self._stacked if self.method == "qr" and self.n_tasks > 1 else 0
        return self.points + _open_sums(root(self.n_tasks)) * self.sums + merged

    @property
    def led(self) -> int:
        """The same in a process whose workers sum up: it adds what they wrote."""
        # Read are the packed triangles, half as large.
        n_read = 0 if root(self.n_tasks).level == 0 else 1.5
        merged = self._stacked if self.method == "qr" and n_read else 0
        return self.points + int((1 + n_read) * self.sums) + merged

    @property
    def worker(self) -> int:
        """In a worker, besides the rows."""
        parts = 2.5 if root(self.n_tasks).level > 1 else 1.0
        merged = self._stacked if self.method == "qr" and parts > 1 else 0
        return self.points + int(parts * self.sums) + merged

    @property
    def solved(self) -> int:
        """While the fit is solved, and written: a packed triangle at a time."""
        if self.method == "cholesky":
            return self.points + self.sums + int(1.5 * self.square)
        stacked = (len(self.group_rows) + 3) * self.square
        return self.points + self.sums + stacked

    @property
    def _stacked(self) -> int:
        """Two triangles on top of each other, and the one they give."""
        return 3 * self.square

    @property
    def needed(self) -> int:
        """The most of it at any time, without rows."""
        return max(self.whitening, self.rows, self.solved)


def _open_sums(node: Node) -> int:
    """Return how many sums over tasks exist at once while a node is added from the left.

    From its second part on the node holds what has been added.
    """
    children = node.children[:2]
    return (
        max((n > 0) + _open_sums(child) for n, child in enumerate(children))
        if (children)
        else 1
    )


class TermRows(NamedTuple):
    """A term, as far as its rows take memory.

    Attributes
    ----------
    descriptor : Descriptor
        Says what its rows take besides.
    n_sparse : int
        Sparse points of all blocks.
    n_blocks : int
        Blocks.
    width : int
        Values of an environment: descriptor and projection.
    """

    descriptor: Descriptor
    n_sparse: int
    n_blocks: int
    width: int


@dataclass(frozen=True)
class Batch:
    """Rows computed together, bytes by the number of their atoms.

    Attributes
    ----------
    terms : sequence of TermRows
        What makes them.
    rows_per_atom : float
        Observations.
    pairs_per_atom : float
        Neighbours within the longest cutoff.
    gradients : bool
        Whether there are forces or virials.
    method : {"cholesky", "qr"}
        See `gapfit.gp.training_sums.TrainingSums`.
    threads : int
        Of the native core.
    """

    terms: Sequence[TermRows]
    rows_per_atom: float
    pairs_per_atom: float
    gradients: bool
    method: str
    threads: int

    def of_atoms(self, n_atoms: int) -> int:
        """Return the memory for the rows of some atoms, with all that makes them."""
        return self.rows_of(n_atoms) + self._buffers(n_atoms)

    def rows_of(self, n_atoms: int) -> int:
        """Return the memory for the rows of some atoms alone."""
        n_sparse = sum(term.n_sparse for term in self.terms)
        K = self.rows_per_atom * n_atoms * n_sparse
        largest = max(term.n_sparse for term in self.terms)
        made = (3 if self.gradients else 1) * n_atoms * largest
        # Scaled; whitening copies a block of columns unless there is but one.
        added = K if sum(term.n_blocks for term in self.terms) == 1 else 2 * K
        if self.method == "qr":
            # Rows with their targets wait until they are as many as sparse points.
            added += K + 4 * n_sparse**2
        return int(_DOUBLE * (K + max(made, added)))

    def atoms_within(self, granted: float, most: int) -> int:
        """Return how many atoms' rows fit into some memory: 1 at least, `most` at most."""
        return max(bisect_right(range(1, most + 1), granted, key=self.rows_of), 1)

    def _buffers(self, n_atoms: int) -> int:
        """Return what the pair list and the terms use meanwhile."""
        n_pairs = self.pairs_per_atom * n_atoms
        most = 0.0
        for term in self.terms:
            needed = term.descriptor.row_bytes(
                n_pairs,
                term.n_sparse / max(term.n_blocks, 1),
                term.width,
                gradients=self.gradients,
                threads=self.threads,
            )
            most = max(most, needed)
        return int(most + PAIR_BYTES * n_pairs)
