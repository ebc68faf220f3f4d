"""Blocks of rows for the algebra, and groups that share a sigma."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Group",
    "RowBlock",
    "Targets",
]

#: Quantity and class of frames.
Group = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Targets:
    """Observations: all energies, then all forces, then all virials.

    Attributes
    ----------
    y : (n_rows,) float64
        Targets: energies without baseline (eV), forces (eV/Å), virials (eV).
    sigma : (n_rows,) float64
        Standard deviations in the targets' units.
    kind : (n_rows,) int64
        Position of the quantity in this order: 0, 1 or 2.
    frame : (n_rows,) int64
        Index of the frame that each row belongs to.
    """

    y: np.ndarray
    sigma: np.ndarray
    kind: np.ndarray
    frame: np.ndarray

    def by_group(
        self, groups: Sequence[Sequence[Any]], keep: np.ndarray | None = None
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield each group with its rows, ascending.

        Parameters
        ----------
        groups : sequence of sequence of Group
            For each frame, the group of each quantity.
        keep : (n_rows,) bool, optional
            Rows that count; all when absent.
        """
        names = sorted({group for frame in groups for group in frame})
        where = np.array([[names.index(group) for group in frame] for frame in groups])
        of_row = where[self.frame, self.kind]
        if keep is not None:
            of_row[~keep] = -1
        for n, name in enumerate(names):
            yield name, np.flatnonzero(of_row == n)


@dataclass(frozen=True, eq=False)
class RowBlock(Targets):
    """Observations ready for a solver.

    Attributes
    ----------
    K : (n_rows, n_sparse) float64
        Kernel rows, eV² per unit of the target.
    """

    K: np.ndarray
