"""Pair lists against ASE's, for all mixtures of open and periodic directions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from conftest import STRUCTURES, one_atom, silicon, slab, wire

from gapfit.frame import structure_arrays
from gapfit.neighbours import concatenate, pair_list

CUTOFF = 4.7


def outside() -> Atoms:
    """Return a slab with atoms far outside its cell, also along the open direction."""
    atoms = slab()
    atoms.positions[0] += 3 * atoms.cell[0] - 2 * atoms.cell[1]
    atoms.positions[:, 2] += 37.0
    return atoms


def tilted_wire() -> Atoms:
    atoms = wire()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    atoms.set_cell(atoms.cell @ rotation.T)
    atoms.positions = atoms.positions @ rotation.T
    return atoms


CASES = {
    **{name: build for name, build in STRUCTURES.items() if name != "wire"},
    "wire": wire,
    "tilted_wire": tilted_wire,
    "outside": outside,
    "lone": lambda: Atoms("Si", positions=[[3.0, 2.0, 1.0]]),
    "far_apart": lambda: Atoms(
        "Si3", positions=[[0, 0, 0], [1, 1, 1], [1e4, 1e4, 1e4]]
    ),
}


def as_rows(i, j, R) -> np.ndarray:
    rows = np.column_stack([i, j, R])
    return rows[np.lexsort(np.round(rows, 6).T)]


@pytest.mark.parametrize("name", CASES)
def test_pairs_equal_ase(name):
    atoms = CASES[name]()
    pairs = pair_list(structure_arrays(atoms), CUTOFF)
    expected = as_rows(*neighbor_list("ijD", atoms, CUTOFF))
    found = as_rows(pairs.i, pairs.j, pairs.R)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.all(np.diff(pairs.i) >= 0)


def test_a_long_open_chain_is_cheap():
    positions = np.zeros((9000, 3))
    positions[:, 0] = 2.4 * np.arange(9000)
    pairs = pair_list(structure_arrays(Atoms("Si9000", positions=positions)), 3.0)
    assert pairs.n_pairs == 2 * 8999


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_chunks_cover_all_centres_and_pairs_once(size):
    pairs = concatenate(
        [pair_list(structure_arrays(a), CUTOFF) for a in (silicon(), one_atom())]
        + [pair_list(structure_arrays(CASES["lone"]()), CUTOFF)]
    )
    chunks = list(pairs.chunks(size))
    assert [c.start for c in chunks] == [0, *[c.stop for c in chunks[:-1]]]
    assert chunks[-1].stop == pairs.n_atoms == 10
    np.testing.assert_array_equal(np.concatenate([c.i for c in chunks]), pairs.i)
    np.testing.assert_array_equal(np.concatenate([c.R for c in chunks]), pairs.R)
    for chunk in chunks:
        assert np.all((chunk.i >= chunk.start) & (chunk.i < chunk.stop))
        assert chunk.n_pairs <= size or chunk.n_centres == 1


def test_within_keeps_the_near_pairs():
    pairs = pair_list(structure_arrays(silicon()), CUTOFF)
    near = pairs.within(3.0)
    expected = pair_list(structure_arrays(silicon()), 3.0)
    assert near.n_pairs == expected.n_pairs < pairs.n_pairs
    assert pairs.within(CUTOFF + 1) is pairs
