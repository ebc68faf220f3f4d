"""Pair lists of moving atoms with few searches (Verlet skin)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit import _core
from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, frame_pairs, pair_list, sound_cell
from gapfit.errors import GapfitError, StructureError

__all__ = ["MovingPairs", "check_skin"]


def check_skin(skin: float) -> None:
    """Raise a GapfitError unless a skin is a length in Å."""
    if not 0.0 <= skin < np.inf:
        raise GapfitError(f"skin = {skin}: give a length in Å, 0 or more")


class MovingPairs:
    """Pair lists of one structure in motion.

    The pairs within cutoff + skin are used until an atom has moved by more than half of
    the skin since the search: until then they include every pair within the cutoff
    (Verlet, Phys. Rev. 159, 98 (1967)). Jumps by whole cell vectors, from wrapping, are
    followed. A change of the cell, of the periodic directions or of the number of atoms
    takes a new search.

    Parameters
    ----------
    cutoff : float
        Cutoff, Å.
    skin : float
        Added to the cutoff of a search, Å; 0: search each time.

    Attributes
    ----------
    n_searches : int
        Number of searches so far.

    Raises
    ------
    GapfitError
        The skin is negative or not finite.

    Notes
    -----
    Pairs, their vectors and their order are those of
    `gapfit.data.neighbours.pair_list`: results have the same bits, whatever the history.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        check_skin(skin)
        self.cutoff, self.skin = cutoff, skin
        self.n_searches = 0
        self._list: _core.SkinList | None = None
        self._cell, self._pbc, self._n_atoms = np.zeros((3, 3)), np.zeros(3, bool), 0

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is for another structure, for which the pairs are of no use.
        return MovingPairs, (self.cutoff, self.skin)

    def of(self, frame: Frame) -> Pairs:
        """Return all pairs within the cutoff.

        Raises
        ------
        StructureError
            As `gapfit.data.neighbours.pair_list`.
        """
        if (neighbours := self._kept(frame)) is not None:
            return frame_pairs(frame, neighbours)
        self.n_searches += 1
        if self.skin == 0.0:
            return pair_list(frame, self.cutoff)
        cell = sound_cell(frame, self.cutoff + self.skin)
        try:
            self._list = _core.skin_list(
                frame.positions, cell, frame.pbc, self.cutoff, self.skin
            )
        except ValueError as error:
            raise StructureError(f"{frame.source}: {error}") from error
        # Copies: a frame may change in place.
        self._cell, self._pbc = frame.cell.copy(), frame.pbc.copy()
        self._n_atoms = frame.n_atoms
        pairs = self._list.pairs(frame.positions)
        assert pairs is not None  # nothing has moved
        return frame_pairs(frame, pairs)

    def _kept(self, frame: Frame) -> tuple[Any, ...] | None:
        """Return the pairs of a frame from the last search; None if a new one is needed."""
        if (
            self._list is None
            or self._n_atoms != frame.n_atoms
            or not np.array_equal(self._pbc, frame.pbc)
            or not np.array_equal(self._cell, frame.cell)
        ):
            return None
        return self._list.pairs(frame.positions)
