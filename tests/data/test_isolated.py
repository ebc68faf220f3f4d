"""Isolated atoms among frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.data.frame import structure_arrays
from gapfit.data.isolated import image_distance, is_isolated, is_marked


def lone(side: float, pbc: bool = True) -> Atoms:
    return Atoms("Si", cell=[side, side, side], pbc=pbc)


def test_isolated_atoms_are_recognised():
    assert is_isolated(structure_arrays(lone(9.0)))
    assert is_isolated(structure_arrays(lone(0.0, pbc=False)))
    assert not is_isolated(structure_arrays(lone(5.0)))
    assert not is_isolated(structure_arrays(bulk("Si")))


@pytest.mark.parametrize(
    ("cell", "pbc", "expected"),
    [
        ([[9, 0, 0], [8.5, 3, 0], [0, 0, 9]], True, np.hypot(0.5, 3)),
        ([[8, 0, 0], [25, 2, 0], [0, 0, 9]], True, np.hypot(1, 2)),
        ([[7, 0, 0], [0, 6, 0], [0, 0, 0]], (1, 1, 0), 6.0),
        ([[0, 0, 0], [0, 8, 0], [0, 0, 0]], (0, 1, 0), 8.0),
        ([[7, 0, 0], [0, 6, 0], [0, 0, 5]], False, np.inf),
        ([[7, 0, 0], [0, 6, 0], [0, 0, 5]], (1, 0, 0), 7.0),
    ],
)
def test_the_distance_of_images(cell, pbc, expected):
    frame = structure_arrays(Atoms("Si", cell=cell, pbc=pbc))
    assert image_distance(frame) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "marked"),
    [
        ("isolated_atom", True),
        ("Isolated Atom", True),
        ("isolatedAtoms", True),
        ("Si-isolated", True),
        ("isolated_atom_Si_spin2", True),
        ("isolated", True),
        ("iso_atom", True),
        ("default", False),
        ("eos", False),
        ("isotropic", False),
        ("atom", False),
    ],
)
def test_marks(kind, marked):
    frame = structure_arrays(lone(9.0))
    assert is_marked(replace(frame, config_type=kind)) is marked
    pair = structure_arrays(Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2]]))
    assert not is_marked(replace(pair, config_type=kind))
