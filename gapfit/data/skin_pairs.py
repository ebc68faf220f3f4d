"""Pair lists of atoms that move, with a search only now and then."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit import _core
from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, frame_pairs, pair_list, sound_cell
from gapfit.errors import GapfitError, StructureError

__all__ = ["MovingPairs"]


class MovingPairs:
    """Pair lists of one structure in motion.

    The pairs within cutoff + skin serve as long as no atom is farther than half of the
    skin from where it was when they were searched: every pair within the cutoff is then
    among them (Verlet, Phys. Rev. 159, 98 (1967)). Atoms that jump by whole cell vectors,
    as they do when they are wrapped, are followed. Another cell, other periodic
    directions and another number of atoms take a new search.

    Parameters
    ----------
    cutoff : float
        Å.
    skin : float
        Å; 0: search each time.

    Attributes
    ----------
    n_searches : int
        How often pairs were searched.

    Raises
    ------
    GapfitError
        The skin is negative or not finite.

    Notes
    -----
    Pairs, their vectors and their order are those of
    `gapfit.data.neighbours.pair_list`: what is made of them has the same bits, whatever
    came before.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        if not 0.0 <= skin < np.inf:
            raise GapfitError(f"skin = {skin}: give a length in Å, 0 or more")
        self.cutoff, self.skin = cutoff, skin
        self.n_searches = 0
        self._list: _core.SkinList | None = None
        self._cell, self._pbc, self._n_atoms = np.zeros((3, 3)), np.zeros(3, bool), 0

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is for another structure, and searches for itself.
        return MovingPairs, (self.cutoff, self.skin)

    def of(self, frame: Frame) -> Pairs:
        """Return all pairs within the cutoff.

        Raises
        ------
        StructureError
            As `gapfit.data.neighbours.pair_list`.
        """
        if (found := self._kept(frame)) is not None:
            return frame_pairs(frame, found)
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
        return frame_pairs(frame, self._list.pairs(frame.positions))

    def _kept(self, frame: Frame) -> tuple[Any, ...] | None:
        """Return what the list of the last search holds for a frame, if it serves."""
        if (
            self._list is None
            or self._n_atoms != frame.n_atoms
            or not np.array_equal(self._pbc, frame.pbc)
            or not np.array_equal(self._cell, frame.cell)
        ):
            return None
        found: tuple[Any, ...] | None = self._list.pairs(frame.positions)
        return found
