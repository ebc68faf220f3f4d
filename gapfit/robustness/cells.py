"""Cells of crystals: copies of frames, supercells, volumes, gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.data.frame import Frame

__all__ = ["atoms_of", "grown", "has_gap", "piece", "scaled"]

# A layer without atoms as thick as this is no part of a crystal, Å.
_GAP = 4.5
# Centre of a cluster from an atom, Å.
_OFFSET = np.array([0.31, 0.23, 0.17])
# Bonds of a cluster end at this many nearest distances.
_BOND = 1.25


def atoms_of(frame: Frame) -> Any:
    """Return the structure of a frame as ase.Atoms, without labels."""
    from ase import Atoms

    return Atoms(
        frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc
    )


def _heights(cell: np.ndarray) -> np.ndarray:
    """Return the distances of opposite faces of a cell, Å."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def grown(crystal: Any, n_atoms: int) -> Any:
    """Return a crystal repeated along its thinnest direction until it is large enough.

    Examples
    --------
    >>> from ase.build import bulk
    >>> grown(bulk("Si", cubic=True), 48).cell.lengths().round(2).tolist()
    [10.86, 10.86, 10.86]
    """
    repeats = np.ones(3, dtype=int)
    thickness = _heights(crystal.cell[:])
    while len(crystal) * repeats.prod() < n_atoms:
        repeats[int(np.argmin(repeats * thickness))] += 1
    return crystal.repeat(repeats.tolist())


def piece(crystal: Any, n_atoms: int) -> Any:
    """Return a compact cluster of about so many atoms, none of which hangs by one bond.

    It is the sphere around a point near an atom; atoms with fewer than two neighbours
    among the others are left out.
    """
    from ase.geometry import find_mic

    cell = grown(crystal, 4 * n_atoms)
    # Off the atom, so that few distances are equal.
    vectors, lengths = find_mic(
        cell.positions - cell.positions[0] - _OFFSET, cell.cell, pbc=True
    )
    nearest = np.argsort(lengths, kind="stable")[:n_atoms]
    cluster = cell[nearest]
    cluster.positions = vectors[nearest]
    cluster.pbc = False
    cluster.cell = None
    while True:
        distances = cluster.get_all_distances() + 1e3 * np.eye(len(cluster))
        reach = _BOND * float(np.median(distances.min(axis=1)))
        kept = (distances < reach).sum(axis=1) >= 2
        if kept.all() or kept.sum() < n_atoms // 2:
            return cluster
        cluster = cluster[kept]


def scaled(crystal: Any, factor: float) -> Any:
    """Return a crystal with its volume times a factor."""
    cell = crystal.copy()
    cell.set_cell(cell.cell[:] * factor ** (1 / 3), scale_atoms=True)
    return cell


def has_gap(frame: Frame) -> bool:
    """Return whether a cell has a layer without atoms, as around slabs and molecules."""
    places = np.sort(frame.positions @ np.linalg.inv(frame.cell) % 1.0, axis=0)
    gaps = np.diff(places, axis=0, append=places[:1] + 1.0).max(axis=0)
    return bool((gaps * _heights(frame.cell) > _GAP).any())
