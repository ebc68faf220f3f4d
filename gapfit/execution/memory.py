"""Memory of the steps of a fit: matrices, and rows computed together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gapfit.data.neighbours import PAIR_BYTES
from gapfit.descriptors.protocol import Descriptor
from gapfit.execution.merge_tree import root, sums_held
from gapfit.gp.normal_equations import kept_rows
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening, whiten_nbytes
from gapfit.model.rows import DEVICE_BATCH_BYTES, DEVICE_CHUNK_BYTES, rows_nbytes

__all__ = [
    "LIBRARY_BYTES",
    "THREAD_BYTES",
    "WORKER_BYTES",
    "Batch",
    "Matrices",
    "TermRows",
]

_DOUBLE = 8
#: Touched pages of the buffers that OpenBLAS keeps, for NumPy and for SciPy.
LIBRARY_BYTES = 30_000_000
#: The same of each further Python thread that calls them, and what glibc keeps for it
#: (measured beside the arrays that `Batch.structure` counts: 2 to 30 MB).
THREAD_BYTES = 14_000_000
#: Python with NumPy, SciPy, ASE and pydantic, as a worker imports them (measured: 90 MB).
WORKER_BYTES = 90_000_000


@dataclass(frozen=True)
class Matrices:
    """Memory of a fit that does not depend on the number of its rows, bytes.

    Attributes
    ----------
    blocks : tuple of int
        Sparse points of each block.
    widths : tuple of int
        Length of the descriptors of each block.
    group_rows : tuple of int
        Rows of each group of observations; each has a separate sum.
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
    def sums(self) -> int:
        """The sums over all rows."""
        return TrainingSums.nbytes(self.method, self.n_sparse, self.group_rows)

    @property
    def points(self) -> int:
        """Sparse points and the Cholesky factors of K_mm."""
        values = sum(m * w for m, w in zip(self.blocks, self.widths, strict=True))
        return _DOUBLE * values + Whitening.nbytes(self.blocks)

    @property
    def whitening(self) -> int:
        """Memory while K_mm is factorised, block by block."""
        return self.points + whiten_nbytes(self.blocks)

    @property
    def rows(self) -> int:
        """Memory while one process sums up all rows, without the rows."""
        sums = sums_held(root(self.n_tasks)) * self.sums
        return self.points + sums + (self._merge if self.n_tasks > 1 else 0)

    @property
    def led(self) -> int:
        """The same in a process whose workers sum up: it adds their sums."""
        alone = root(self.n_tasks).level == 0
        # Packed triangles are read, which are half as large.
        sums = int((1 if alone else 2.5) * self.sums)
        return self.points + sums + (0 if alone else self._merge)

    @property
    def worker(self) -> int:
        """Memory in a worker, without the rows."""
        merges = root(self.n_tasks).level > 1
        sums = int((2.5 if merges else 1) * self.sums)
        return self.points + sums + (self._merge if merges else 0)

    @property
    def on_device(self) -> int:
        """Most memory of a GPU that sums up all rows, with the rows."""
        rows = DEVICE_BATCH_BYTES + DEVICE_CHUNK_BYTES
        return self.points + self.sums + self._waiting_on_device + rows

    @property
    def _waiting_on_device(self) -> int:
        """Rows of all groups that wait to be summed up, and the copies of one group."""
        most, copies = (kept_rows(self.n_sparse), 0.25)
        if self.method == "qr":
            # With the triangle, once more for the decomposition, and the new triangle.
            most, copies = self.n_sparse, 5.0
        n_rows = sum(min(n_rows, most) for n_rows in self.group_rows)
        return int(_DOUBLE * self.n_sparse * (n_rows + copies * self.n_sparse))

    @property
    def solved(self) -> int:
        """Memory while the fit is solved, perhaps with a raised jitter, and written."""
        n_groups = len(self.group_rows)
        solve = TrainingSums.solve_nbytes(self.method, self.n_sparse, n_groups)
        # A jitter that is raised twice: factors between and after, and their quotient.
        raised = 3 * Whitening.nbytes(self.blocks)
        return self.points + self.sums + solve + raised

    @property
    def posterior(self) -> int:
        """The factor R of the fit."""
        return _DOUBLE * self.n_sparse**2

    @property
    def _merge(self) -> int:
        return TrainingSums.merge_nbytes(self.method, self.n_sparse)

    @property
    def needed(self) -> int:
        """Peak memory, without rows."""
        return max(self.whitening, self.rows, self.solved)


class TermRows(NamedTuple):
    """Sizes of a term that decide the memory of its rows.

    Attributes
    ----------
    descriptor : Descriptor
        Descriptor, for the memory of its temporary arrays.
    n_sparse : int
        Sparse points of all blocks.
    n_blocks : int
        Blocks.
    width : int
        Numbers per environment: descriptor and projection.
    """

    descriptor: Descriptor
    n_sparse: int
    n_blocks: int
    width: int


@dataclass(frozen=True)
class Batch:
    """Memory of rows computed together, by the number of their atoms.

    Attributes
    ----------
    terms : sequence of TermRows
        Terms of the model.
    rows_per_atom : float
        Observations per atom.
    pairs_per_atom : float
        Neighbours per atom within the longest cutoff.
    gradients : bool
        Whether there are forces or virials.
    method : {"cholesky", "qr"}
        See `gapfit.gp.training_sums.TrainingSums`.
    threads : int
        Threads of the native core.
    """

    terms: Sequence[TermRows]
    rows_per_atom: float
    pairs_per_atom: float
    gradients: bool
    method: str
    threads: int

    def of_atoms(self, n_atoms: int) -> int:
        """Return the memory for the rows of atoms and their computation, bytes."""
        return self.rows_of(n_atoms) + self._buffers(n_atoms)

    def rows_of(self, n_atoms: int) -> int:
        """Return the memory for the rows of atoms alone, bytes."""
        sizes = [term.n_sparse for term in self.terms]
        n_rows = self.rows_per_atom * n_atoms
        rows, temporary = rows_nbytes(n_rows, n_atoms, sizes, gradients=self.gradients)
        n_blocks = sum(term.n_blocks for term in self.terms)
        added = TrainingSums.add_nbytes(self.method, sum(sizes), n_rows, n_blocks)
        return int(rows + max(temporary, added))

    def structure(self, n_atoms: int, n_rows: int, *, further: bool = False) -> int:
        """Return the memory to compute the rows of a structure on one thread, bytes.

        That of a `further` thread is without arrays whose size is fixed: some are there
        already, and `THREAD_BYTES` has the others.
        """
        sizes = [term.n_sparse for term in self.terms]
        rows, temporary = rows_nbytes(n_rows, n_atoms, sizes, gradients=self.gradients)
        alone = replace(self, threads=1)
        fixed = alone._buffers(0) if further else 0
        return int(rows + temporary) + alone._buffers(n_atoms) - fixed

    def atoms_within(self, granted: float, most: int) -> int:
        """Return how many atoms' rows fit into `granted` bytes, from 1 to `most`."""
        return max(bisect_right(range(1, most + 1), granted, key=self.rows_of), 1)

    def _buffers(self, n_atoms: int) -> int:
        """Return the memory of the pair list and of the terms' buffers, bytes."""
        n_pairs = self.pairs_per_atom * n_atoms
        most = 0.0
        for term in self.terms:
            needed = term.descriptor.buffers_nbytes(
                n_pairs,
                term.n_sparse / max(term.n_blocks, 1),
                term.width,
                gradients=self.gradients,
                threads=self.threads,
            )
            most = max(most, needed)
        return int(most + PAIR_BYTES * n_pairs)
