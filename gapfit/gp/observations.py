"""Blocks of rows for the algebra, and groups that share a sigma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "Group",
    "RowBlock",
]

#: Quantity and class of frames.
Group = tuple[str, str]


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Observations ready for a solver: all energies, then all forces, then all virials.

    Attributes
    ----------
    K : (n_rows, n_sparse) float64
        Kernel rows, eV² per unit of the target.
    y : (n_rows,) float64
        Targets: energies without baseline (eV), forces (eV/Å), virials (eV).
    sigma : (n_rows,) float64
        Standard deviations in the targets' units.
    kind : (n_rows,) int64
        Position of the quantity in this order: 0, 1 or 2.
    frame : (n_rows,) int64
        Index of the frame that each row belongs to.
    """

    K: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    kind: np.ndarray
    frame: np.ndarray
