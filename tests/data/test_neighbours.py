"""Pair lists against ASE's, matscipy's and a search over explicit images."""

from __future__ import annotations

import re

import matscipy.neighbours
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from builders import STRUCTURES, one_atom, silicon, slab, wire
from helpers.pair_search import STRESSED, explicit_images, grid

from gapfit import _core
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import MIN_DISTANCE, concatenate, pair_list
from gapfit.errors import StructureError

pytestmark = pytest.mark.core

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


def assert_same_pairs(found, expected):
    found, expected = as_rows(*found), as_rows(*expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STRESSED)
def test_pairs_equal_explicit_images_and_matscipy(name):
    build, cutoff = STRESSED[name]
    frame = build()
    pairs = pair_list(frame, cutoff)
    found = pairs.i, pairs.j, pairs.R
    expected = explicit_images(frame.positions, frame.cell, frame.pbc, cutoff)
    assert_same_pairs(found, expected)
    if name != "far_clusters":  # matscipy bins the empty space
        oracle = matscipy.neighbours.neighbour_list(
            "ijD",
            positions=frame.positions,
            cell=frame.cell,
            pbc=frame.pbc,
            cutoff=cutoff,
            numbers=frame.numbers.astype(np.int32),
        )
        assert_same_pairs(found, oracle)


@pytest.mark.parametrize("name", STRESSED)
def test_pairs_are_symmetric_sorted_and_reproducible(name):
    build, cutoff = STRESSED[name]
    frame = build()
    pairs = pair_list(frame, cutoff)
    there = np.column_stack([pairs.i, pairs.j, pairs.R])
    back = np.column_stack([pairs.j, pairs.i, -pairs.R])
    np.testing.assert_array_equal(there[np.lexsort(there.T)], back[np.lexsort(back.T)])
    np.testing.assert_array_equal(
        pairs.first, np.searchsorted(pairs.i, np.arange(frame.n_atoms + 1))
    )
    assert np.all(np.diff(pairs.i) >= 0)
    again = pair_list(frame, cutoff)
    np.testing.assert_array_equal(pairs.j, again.j)
    np.testing.assert_array_equal(pairs.R, again.R)


@pytest.mark.parametrize("seed", range(60))
def test_random_structures_of_any_density(seed):
    rng = np.random.default_rng(seed)
    cutoff = rng.uniform(1.0, 6.0)
    cell = rng.normal(size=(3, 3)) * cutoff * rng.uniform(0.3, 3.0)
    while abs(np.linalg.det(cell)) < 0.02 * cutoff**3:
        cell = rng.normal(size=(3, 3)) * cutoff
    pbc = rng.random(3) < 0.7
    positions = rng.uniform(-0.5, 1.5, size=(rng.integers(1, 30), 3)) @ cell
    _, i, j, R, *closest = _core.neighbour_list(positions, cell, pbc, cutoff)
    expected = explicit_images(positions, cell, pbc, cutoff)
    assert_same_pairs((i, j, R), expected)
    d = np.linalg.norm(R, axis=1)
    if len(d) == 0:
        assert closest == [-1, -1, np.inf]
    else:
        assert closest[2] == pytest.approx(d.min(), rel=1e-14)
        near = np.argmin(d)
        assert set(closest[:2]) == {i[near], j[near]}


def test_the_cutoff_is_excluded():
    frame = structure_arrays(Atoms("Si2", positions=[[0, 0, 0], [0, 3.0, 0]]))
    assert pair_list(frame, 3.0).n_pairs == 0
    assert pair_list(frame, np.nextafter(3.0, 4.0)).n_pairs == 2
    chain = Frame(np.array([14]), np.zeros((1, 3)), np.eye(3) * 2.5, np.full(3, True))
    assert pair_list(chain, 2.5).n_pairs == 0
    assert pair_list(chain, 2.6).n_pairs == 6


def test_atoms_far_from_their_cell_keep_exact_vectors():
    frame = grid(np.eye(3) * 8)
    expected = pair_list(frame, 4.7)
    far = Frame(
        frame.numbers, frame.positions + 1e6 * frame.cell[0], frame.cell, frame.pbc
    )
    pairs = pair_list(far, 4.7)
    assert_same_pairs(
        (pairs.i, pairs.j, pairs.R.round(7)),
        (expected.i, expected.j, expected.R.round(7)),
    )
    shifts = pairs.R - (far.positions[pairs.j] - far.positions[pairs.i])
    np.testing.assert_allclose(shifts, np.round(shifts / 8) * 8, atol=1e-15)


def test_closest_atoms_are_named():
    positions = np.array([[0, 0, 0], [9.9, 0, 0], [4, 4, 4.0]])
    frame = Frame(np.full(3, 14), positions, np.eye(3) * 10, np.full(3, True))
    message = re.escape(f"atoms 0 and 1 are 0.100 Å apart (limit {MIN_DISTANCE} Å)")
    with pytest.raises(StructureError, match=message):
        pair_list(frame, 4.0)
    twice = Frame(np.full(2, 14), np.ones((2, 3)), np.zeros((3, 3)), np.full(3, False))
    with pytest.raises(StructureError, match=r"atoms 0 and 1 are 0\.000 Å"):
        pair_list(twice, 4.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.full((2, 3), np.nan)}, "finite"),
        ({"positions": np.full((2, 3), 1e300)}, "below 1e12"),
        ({"cell": np.full((3, 3), np.inf)}, "finite"),
        ({"cell": np.ones((3, 3))}, "linearly dependent"),
        ({"cell": np.zeros((3, 3))}, "linearly dependent"),
        ({"cutoff": np.nan}, "finite"),
        ({"cutoff": -1.0}, "not negative"),
        ({"cutoff": 1e9}, "too large for this cell"),
    ],
)
def test_impossible_arguments_are_refused(change, message):
    arguments = {
        "positions": np.arange(6.0).reshape(2, 3),
        "cell": np.eye(3) * 7,
        "pbc": np.full(3, True),
        "cutoff": 6.0,
    }
    assert len(_core.neighbour_list(**arguments)[1]) > 0
    with pytest.raises(ValueError, match=message):
        _core.neighbour_list(**{**arguments, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"positions": np.zeros((2, 2))},
        {"positions": np.zeros(6)},
        {"cell": np.zeros((2, 3))},
        {"pbc": np.full(2, True)},
        {"cutoff": "far"},
        {"positions": None},
    ],
)
def test_wrong_types_and_shapes_are_refused(change):
    arguments = {
        "positions": np.zeros((2, 3)),
        "cell": np.eye(3),
        "pbc": np.full(3, True),
        "cutoff": 4.0,
    }
    with pytest.raises(TypeError):
        _core.neighbour_list(**{**arguments, **change})


def test_no_atoms_and_no_range_give_no_pairs():
    for positions, cutoff in ((np.zeros((0, 3)), 4.0), (np.zeros((1, 3)), 0.0)):
        first, i, j, R, *_ = _core.neighbour_list(
            positions, np.eye(3), np.full(3, True), cutoff
        )
        np.testing.assert_array_equal(first, np.zeros(len(positions) + 1))
        assert (i.shape, j.shape, R.shape) == ((0,), (0,), (0, 3))


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
        np.testing.assert_array_equal(
            chunk.first,
            np.searchsorted(chunk.i, np.arange(chunk.start, chunk.stop + 1)),
        )
        assert np.all((chunk.i >= chunk.start) & (chunk.i < chunk.stop))
        assert chunk.n_pairs <= size or chunk.n_centres == 1


def test_within_keeps_the_near_pairs():
    pairs = pair_list(structure_arrays(silicon()), CUTOFF)
    near = pairs.within(3.0)
    expected = pair_list(structure_arrays(silicon()), 3.0)
    assert near.n_pairs == expected.n_pairs < pairs.n_pairs
    np.testing.assert_array_equal(near.first, expected.first)
    assert pairs.within(CUTOFF + 1) is pairs


@pytest.mark.parametrize("name", STRESSED)
def test_the_order_of_pairs_depends_on_nothing_but_atoms_and_images(name):
    """Not on the cutoff, and not on the cells that atoms are in: sums keep their bits."""
    build, cutoff = STRESSED[name]
    frame = build()
    pairs = pair_list(frame, cutoff)
    part = pair_list(frame, 1.3 * cutoff).within(cutoff)
    for column in ("first", "i", "j", "R"):
        np.testing.assert_array_equal(getattr(part, column), getattr(pairs, column))
    assert np.all(np.diff(pairs.j)[np.diff(pairs.i) == 0] >= 0)
    cells = np.random.default_rng(5).integers(-4, 5, size=(frame.n_atoms, 3))
    added = (cells * frame.pbc) @ frame.cell
    away = Frame(frame.numbers, frame.positions + added, frame.cell, frame.pbc)
    there = pair_list(away, cutoff)
    np.testing.assert_array_equal(there.j, pairs.j)
    np.testing.assert_allclose(there.R, pairs.R, rtol=0, atol=1e-9)


def test_many_neighbours_are_in_order_too():
    frame = grid(np.eye(3) * 8)
    pairs = pair_list(frame, 11.0)
    assert np.diff(pairs.first).min() > 256 > np.diff(pair_list(frame, 6.0).first).max()
    near, expected = pairs.within(6.0), pair_list(frame, 6.0)
    np.testing.assert_array_equal(near.R, expected.R)
