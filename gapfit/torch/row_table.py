"""Kernel rows of all observations of some structures, as tensors."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gapfit.torch.pairs import Neighbours

__all__ = ["VOIGT", "RowTable", "TermRows", "components", "new_table", "strains"]

#: Components of a virial in order: first and second direction.
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


class RowTable(NamedTuple):
    """Kernels between all observations and some sparse points, eV² per unit.

    Attributes
    ----------
    all : (n_rows, n_sparse) float64
        The rows below, one after the other.
    energies : (n_frames, n_sparse) float64
        Of total energies.
    forces : (3 n_atoms, n_sparse) float64
        Of forces, atom by atom, per Å. None are there without gradients.
    virials : (6 n_frames, n_sparse) float64
        Of virials (-stress × volume), Voigt order. None are there without gradients.
    """

    all: Tensor
    energies: Tensor
    forces: Tensor
    virials: Tensor

    @property
    def gradients(self) -> bool:
        """Whether there are rows of forces and virials."""
        return self.virials.shape[0] > 0

    def columns(self, begin: int, end: int) -> "RowTable":
        """Return the same rows of a range of sparse points: changes are seen here."""
        return RowTable(*(part[:, begin:end] for part in self))


def new_table(
    n_frames: int, n_atoms: int, n_sparse: int, gradients: bool, device: torch.device
) -> RowTable:
    """Return rows that are zero."""
    sizes = [n_frames, *((3 * n_atoms, 6 * n_frames) if gradients else (0, 0))]
    rows = torch.zeros([sum(sizes), n_sparse], dtype=torch.float64, device=device)
    return RowTable(rows, *rows.split(sizes))


def components(numbers: Tensor, n: int) -> Tensor:
    """Return the rows n·number, n·number + 1, ... of n components of each number."""
    each = torch.arange(n, device=numbers.device)
    return (n * numbers.unsqueeze(1) + each).flatten()


def strains(R: Tensor, g: Tensor) -> Tensor:
    """Return -R_a g_b of vectors (..., 3), for the components ab of a virial, (..., 6)."""
    first, second = VOIGT
    return -R[..., list(first)] * g[..., list(second)]


class TermRows(Protocol):
    """Makes the kernel rows of one term."""

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows.

        Parameters
        ----------
        near : Neighbours
            All pairs within the longest cutoff.
        frame : (n_atoms,) int64
            Frame of each atom.
        rows : RowTable
            Rows of the sparse points of the term, to add to.
        """
