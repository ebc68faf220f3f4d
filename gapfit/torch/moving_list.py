"""Neighbour lists of moving structures with few searches (Verlet skin)."""

from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.data.skin_pairs import check_skin
from gapfit.torch.neighbours import inverse_cells, neighbour_list, periodic_cells
from gapfit.torch.pairs import times_matrices

__all__ = ["MovingList"]


class _Search(NamedTuple):
    """What was found, and where the atoms were.

    Attributes
    ----------
    positions, cells, pbc, system : tensor
        As `neighbour_list` takes them.
    inverse : (n_systems, 3, 3) float
        See `inverse_cells`; zero without a skin, which no jump fits.
    pairs, shifts : tensor
        What `neighbour_list` returned.
    skin : float
        What was added to the cutoff, Å.
    """

    positions: Tensor
    cells: Tensor
    pbc: Tensor
    system: Tensor
    inverse: Tensor
    pairs: Tensor
    shifts: Tensor
    skin: float


class _Change(NamedTuple):
    """What has changed since a search.

    Attributes
    ----------
    others : bool
        Whether there are other structures, or their cells are others.
    jumped : bool
        Whether atoms have jumped by lattice vectors.
    moved : float
        Largest displacement besides jumps, Å.
    turns : (n_atoms, 3) float
        Lattice vectors by which the atoms have jumped.
    """

    others: bool
    jumped: bool
    moved: float
    turns: Tensor


class MovingList:
    """Pairs of structures in motion; see `gapfit.data.skin_pairs.MovingPairs`.

    Pairs within cutoff + skin are used until an atom has moved by more than half of the
    skin. Jumps by lattice vectors, from wrapping, are followed. Where structures or cells
    are others than in the last call, a search has no skin: they may change again.

    Parameters, attributes and errors are those of `MovingPairs`.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        check_skin(skin)
        self.cutoff, self.skin = cutoff, skin
        self.n_searches = 0
        self._last: _Search | None = None

    def __call__(
        self, positions: Tensor, cells: Tensor, pbc: Tensor, system: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return all pairs within the cutoff, and some others within cutoff + skin.

        Parameters, results and errors are those of
        `gapfit.torch.neighbours.neighbour_list`.
        """
        skin, last = 0.0, self._last
        if self.skin > 0.0 and last is not None:
            change = _change(last, positions, cells, pbc, system)
            if not change.others:
                # Not so where a position is not a number.
                if change.moved <= 0.5 * last.skin:
                    return self._followed(last, change)
                skin = self.skin
        self.n_searches += 1
        pairs, shifts = neighbour_list(
            positions, cells, pbc, system, self.cutoff + skin
        )
        if self.skin > 0.0:
            inverse = torch.zeros_like(cells)
            if skin > 0.0:
                inverse = inverse_cells(*periodic_cells(cells, pbc)[:2])
            # Copies: dynamics may change their tensors in place.
            self._last = _Search(
                positions.detach().clone(),
                cells.detach().clone(),
                pbc.clone(),
                system.clone(),
                inverse.detach(),
                pairs,
                shifts,
                skin,
            )
        return pairs, shifts

    def _followed(self, last: _Search, change: _Change) -> tuple[Tensor, Tensor]:
        """Return the pairs of the last search, after jumps of atoms."""
        if change.jumped:
            turns = change.turns
            jumps = times_matrices(turns, last.cells, last.system)
            turns = turns.long()
            i, j = last.pairs[0], last.pairs[1]
            shifts = last.shifts + turns.index_select(0, i) - turns.index_select(0, j)
            last = last._replace(positions=last.positions + jumps, shifts=shifts)
            self._last = last
        return last.pairs, last.shifts


def _change(
    last: _Search, positions: Tensor, cells: Tensor, pbc: Tensor, system: Tensor
) -> _Change:
    """Return what has changed since a search."""
    given = ((positions, last.positions), (cells, last.cells), (system, last.system))
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in given):
        return _Change(True, False, torch.inf, positions)
    moved = positions.detach() - last.positions
    turns = torch.round(times_matrices(moved, last.inverse, last.system))
    turns = torch.where(last.pbc.index_select(0, last.system), turns, 0.0)
    moved = moved - times_matrices(turns, last.cells, last.system)
    others = (system != last.system).any() | (pbc != last.pbc).any()
    found = [
        others | (cells != last.cells).any(),
        (turns != 0.0).any(),
        (moved * moved).sum(dim=1).max() if len(moved) else moved.sum(),
    ]
    # Together: the host waits once.
    unlike, jumped, square = torch.stack([part.double() for part in found]).tolist()
    return _Change(bool(unlike), bool(jumped), square**0.5, turns)
