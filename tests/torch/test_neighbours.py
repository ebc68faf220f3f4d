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
neighbours = import_or_skip("gapfit.torch.neighbours")


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


def as_tensors(structures: list[Atoms]) -> tuple:
    """Return positions, cells, pbc and structure of each atom."""
    positions = np.concatenate([atoms.positions for atoms in structures])
    cells = np.stack([np.asarray(atoms.cell) for atoms in structures])
    pbc = np.stack([atoms.pbc for atoms in structures])
    system = np.repeat(np.arange(len(structures)), [len(a) for a in structures])
    return tuple(map(torch.tensor, (positions, cells, pbc, system)))


def pairs_in_torch(structures: list[Atoms], cutoff: float):
    given = as_tensors(structures)
    (i, j), shifts = gapfit.torch.neighbour_list(*given, cutoff)
    positions, cells, _, system = given
    images = torch.einsum("px,pxy->py", shifts.double(), cells[system[i]])
    return i.numpy(), j.numpy(), (positions[j] - positions[i] + images).numpy()


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


def sizes_of_parts(monkeypatch) -> list[int]:
    """Return a list that gets the number of pairs of each part that is looked through."""
    sizes: list[int] = []
    both = neighbours._both

    def watched(seen):
        found = both(seen)
        sizes.append(len(found[0]))
        return found

    monkeypatch.setattr(neighbours, "_both", watched)
    return sizes


def test_many_atoms_in_one_cell_are_looked_through_in_parts(monkeypatch):
    cluster = STRUCTURES["silicon"]() * 2
    cluster.pbc = False
    wanted = ordered(*pairs_in_torch([cluster], 45.0))
    sizes = sizes_of_parts(monkeypatch)
    monkeypatch.setattr(neighbours, "_PAIRS", 100)
    np.testing.assert_array_equal(ordered(*pairs_in_torch([cluster], 45.0)), wanted)
    assert max(sizes) <= 100 + len(cluster) < sum(sizes)


FAR_AWAY = [
    [[1e6, -1e6, 1e6], [np.nan, 0, 0], [0, -np.inf, 0]],
    [[0, 0, 1e9], [1e5, 0, 0]],
]


@pytest.mark.parametrize("places", FAR_AWAY)
def test_atoms_far_away_do_not_make_the_others_look_at_more(monkeypatch, places):
    sizes = sizes_of_parts(monkeypatch)
    cluster = STRUCTURES["silicon"]() * 3
    cluster.pbc = False
    alone = ordered(*pairs_in_torch([cluster], 4.5))
    usual = sum(sizes)
    sizes.clear()
    with_others = cluster + Atoms("Si" * len(places), places)
    np.testing.assert_array_equal(ordered(*pairs_in_torch([with_others], 4.5)), alone)
    assert sum(sizes) < 2 * usual


def test_a_cluster_has_its_pairs_with_an_atom_at_any_distance():
    cluster = STRUCTURES["silicon"]() * 2
    cluster.pbc = False
    alone = ordered(*pairs_in_torch([cluster], 4.5))
    for far in (1e12, 1e300):
        with_another = cluster + Atoms("Si", [[-far, far, far]])
        found = ordered(*pairs_in_torch([with_another], 4.5))
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_cell_that_is_not_finite(wrong):
    """Other structures keep their pairs; vectors of open directions do not count."""
    silicon = STRUCTURES["silicon"]()
    positions, cells, pbc, system = as_tensors([silicon] * 3)
    wanted = ordered(*pairs_in_torch([silicon] * 3, 4.5))
    cells[1, 2, 0] = wrong
    (i, _), _ = gapfit.torch.neighbour_list(positions, cells, pbc, system, 4.5)
    n = len(silicon)
    counts = np.bincount(wanted[:, 0].astype(int))
    counts[n : 2 * n] = 0
    np.testing.assert_array_equal(np.bincount(i), counts)
    pbc[1, 2] = False
    (i, _), _ = gapfit.torch.neighbour_list(positions, cells, pbc, system, 4.5)
    slab = silicon.copy()
    slab.pbc[2] = False
    own = pairs_in_torch([silicon, slab, silicon], 4.5)[0]
    np.testing.assert_array_equal(np.bincount(i), np.bincount(own))


def test_a_tiny_cell_does_not_make_the_others_look_at_more(monkeypatch):
    half, sizes = neighbours._half, []

    def watched(grid, system):
        found = half(grid, system)
        sizes.append(int(found.sum()))
        return found

    monkeypatch.setattr(neighbours, "_half", watched)
    tiny = Atoms("Si", cell=[0.7, 0.7, 0.7], pbc=True)
    many = [STRUCTURES["silicon"]() * 2] * 3
    counts = []
    for structures in ([tiny], many, [tiny, *many]):
        pairs_in_torch(structures, 4.5)
        counts.append(sizes[-1])
    assert counts[2] == counts[0] + counts[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pair_far_away_is_found(dtype):
    """At 50 000 Å single precision still has 0.004 Å."""
    places = np.array([[0.0, 0, 0], [5e4, 5e4, 5e4], [5e4, 5e4, 5e4 + 4.4]])
    positions = torch.tensor(places, dtype=getattr(torch, dtype))
    cells, pbc = torch.zeros(1, 3, 3, dtype=positions.dtype), torch.zeros(1, 3) > 0
    system = torch.zeros(3, dtype=torch.int64)
    pairs, shifts = gapfit.torch.neighbour_list(positions, cells, pbc, system, 4.5)
    assert sorted(pairs.t().tolist()) == [[1, 2], [2, 1]]
    assert not shifts.any()


def test_structures_without_atoms_have_no_pairs():
    silicon, empty = STRUCTURES["silicon"](), Atoms(cell=[5, 5, 5], pbc=True)
    wanted = ordered(*pairs_in_torch([silicon], 4.5))
    found = ordered(*pairs_in_torch([silicon, empty, Atoms()], 4.5))
    np.testing.assert_array_equal(found, wanted)
    positions, *others = as_tensors([empty])
    pairs, shifts = gapfit.torch.neighbour_list(positions.view(0, 3), *others, 4.5)
    assert (pairs.shape, shifts.shape) == ((2, 0), (0, 3))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("positions", lambda x: x[:-1], r"positions of shape \(7, 3\)"),
        ("cells", lambda x: x[0], r"cells of shape \(3, 3\)"),
        ("pbc", lambda x: x[0], r"pbc of shape \(3,\)"),
        ("pbc", lambda x: x.long(), r"pbc torch\.int64"),
        ("positions", lambda x: x.float(), r"positions are torch\.float32"),
        ("cells", lambda x: 0.0 * x, "the cell of structure 0 has no volume"),
    ],
)
def test_what_does_not_fit_is_refused(name, wrong, message):
    given = as_tensors([STRUCTURES["silicon"]()])
    own = dict(zip(("positions", "cells", "pbc", "system"), given, strict=True))
    own[name] = wrong(own[name])
    with pytest.raises(ValueError, match=message):
        gapfit.torch.neighbour_list(**own, cutoff=4.5)
