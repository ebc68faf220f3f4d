"""What data say about pairs of species."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.data.frame import structure_arrays
from gapfit.data.pair_data import joined_pair_data, pair_data

SALT = bulk("NaCl", "rocksalt", a=5.6, cubic=True)


def pairs_of(*structures, cutoff=5.0):
    frames = [structure_arrays(atoms) for atoms in structures]
    return {pair.species: pair for pair in pair_data(frames, (11, 17), cutoff)}


def test_shortest_distances_are_those_of_each_pair():
    pairs = pairs_of(SALT)
    assert pairs[11, 17].closest == pytest.approx(2.8)
    # Equal ions are 3.96 Å apart, further than the search goes.
    assert pairs[11, 11].closest is None
    assert pairs[17, 17].text == "no dimer in the data, no pair within 3.5 Å"
    assert not any(pair.n_dimers for pair in pairs.values())


def test_dimers_are_two_atoms_alone():
    molecule = Atoms("ClNa", [[0, 0, 0], [0, 0, 4.5]])
    primitive = bulk("NaCl", "rocksalt", a=5.6)
    far = Atoms("NaCl", [[0, 0, 0], [0, 0, 5.5]])
    pairs = pairs_of(molecule, primitive, far, Atoms("Cl"))
    assert pairs[11, 17].n_dimers == 1
    assert pairs[11, 17].text == "1 dimer in the data, pairs from 2.80 Å"
    assert pairs_of(molecule, molecule)[11, 17].text.startswith(
        "2 dimers in the data, no"
    )


def test_pairs_are_not_searched_beyond_the_cutoff():
    assert pairs_of(SALT, cutoff=2.5)[11, 17].text.endswith("no pair within 2.5 Å")


def test_data_are_joined_as_if_they_were_one():
    close = Atoms("Na2", [[0, 0, 0], [0, 0, 2.0]])
    first, second = pairs_of(SALT, close), pairs_of(close)
    joined = joined_pair_data(tuple(first.values()), tuple(second.values()))
    assert joined == tuple(pairs_of(SALT, close, close).values())
    assert joined_pair_data((), tuple(second.values())) == ()
