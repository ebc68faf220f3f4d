"""Neighbour lists in torch against those of the core."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES
from helpers.torch_runs import import_or_skip

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of

torch = import_or_skip("torch")


def moved(atoms: Atoms) -> Atoms:
    """Return the atoms in other periods, far from the cell."""
    out = atoms.copy()
    rng = np.random.default_rng(1)
    out.positions += rng.integers(-3, 4, size=(len(out), 3)) @ np.asarray(out.cell)
    return out


STRUCTURES_HERE = {
    **{name: build() for name, build in STRUCTURES.items()},
    "moved": moved(STRUCTURES["sheared"]()),
    "moved slab": moved(STRUCTURES["slab"]()),
    "many": STRUCTURES["silicon"]() * (4, 3, 5),
    "atom": Atoms("Si"),
    "far apart": Atoms("Si3", [[0, 0, 0], [900, 0, 0], [900, 2, 0.5]]),
}


def pairs_in_torch(structures: list[Atoms], cutoff: float):
    positions = np.concatenate([atoms.positions for atoms in structures])
    cells = np.stack([np.asarray(atoms.cell) for atoms in structures])
    pbc = np.stack([atoms.pbc for atoms in structures])
    system = np.repeat(np.arange(len(structures)), [len(a) for a in structures])
    given = map(torch.tensor, (positions, cells, pbc, system))
    pairs, shifts = gapfit.torch.neighbour_list(*given, cutoff)
    i, j = pairs.numpy()
    images = np.einsum("px,pxy->py", shifts.numpy(), cells[system[i]])
    return i, j, positions[j] - positions[i] + images


def ordered(i, j, R) -> np.ndarray:
    table = np.column_stack([i, j, np.round(R, 9) + 0.0])
    return table[np.lexsort(table.T)]


@pytest.mark.parametrize("cutoff", [2.5, 4.5, 9.0])
def test_pairs_of_all_structures_together(cutoff):
    structures = list(STRUCTURES_HERE.values())
    wanted = pairs_of([structure_arrays(atoms) for atoms in structures], cutoff)
    found = ordered(*pairs_in_torch(structures, cutoff))
    np.testing.assert_allclose(found, ordered(wanted.i, wanted.j, wanted.R), atol=1e-8)


@pytest.mark.parametrize("name", STRUCTURES_HERE)
def test_pairs_of_one_structure(name):
    atoms = STRUCTURES_HERE[name]
    wanted = pairs_of([structure_arrays(atoms)], 4.5)
    found = ordered(*pairs_in_torch([atoms], 4.5))
    np.testing.assert_allclose(found, ordered(wanted.i, wanted.j, wanted.R), atol=1e-8)
