"""Frames that are in two sets are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.build import bulk

from gapfit.data.duplicates import shared_frames
from gapfit.data.frame import Frame, structure_arrays


def frames(n: int, seed: int) -> list[Frame]:
    out = []
    for k in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.1, seed=seed + k)
        out.append(structure_arrays(atoms))
    return out


def test_shared_frames_are_those_of_the_test_set():
    train, test = frames(6, 0), frames(5, 100)
    assert shared_frames(train, test) == []
    test[1], test[4] = train[3], train[0]
    assert shared_frames(train, test) == [1, 4]
    # Labels do not matter, positions do.
    test[1] = replace(train[3], energy=-3.0)
    test[4] = replace(train[0], positions=train[0].positions + 1e-4)
    assert shared_frames(train, test) == [1]


def test_repeated_frames_of_the_test_set_are_not_shared():
    train, test = frames(3, 0), frames(3, 100)
    assert shared_frames(train, [*test, test[0]]) == []
    assert shared_frames([*train, train[0]], [*test, train[0], train[0]]) == [3, 4]


def test_other_cells_and_species_are_other_frames():
    train = frames(1, 0)
    other = replace(train[0], numbers=np.full(8, 32))
    assert shared_frames(train, [other]) == []
    assert shared_frames(train, [replace(train[0], cell=1.01 * train[0].cell)]) == []
