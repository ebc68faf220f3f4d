"""Neighbours kept while atoms move, against a search at every step."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.optimize import BFGS, FIRE
from builders import STRUCTURES, silicon, slab
from helpers.pair_search import STRESSED, explicit_images

import gapfit
from gapfit import _core
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import Pairs, pair_list
from gapfit.data.skin_pairs import MovingPairs
from gapfit.errors import GapfitError, StructureError

pytestmark = pytest.mark.core

SKIN = 0.6


def displaced(frame: Frame, moved: np.ndarray) -> Frame:
    return Frame(frame.numbers, frame.positions + moved, frame.cell, frame.pbc)


def assert_same(found: Pairs, expected: Pairs) -> None:
    for name in ("first", "i", "j", "R"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("name", STRESSED)
def test_a_random_walk_has_the_pairs_of_new_searches(name):
    """Atoms also jump by whole cells, some of them far, at every third step."""
    build, cutoff = STRESSED[name]
    frame, rng = build(), np.random.default_rng(3)
    moving, jumps = MovingPairs(cutoff, SKIN), 0.0
    steps = 12
    for step in range(steps):
        frame = displaced(frame, rng.normal(scale=0.04, size=frame.positions.shape))
        if step % 3 == 2:
            cells = rng.integers(-2, 3, size=frame.positions.shape) * frame.pbc
            cells *= rng.random((frame.n_atoms, 1)) < 0.3
            jumps = jumps + np.abs(cells).sum()
            frame = displaced(frame, cells @ frame.cell)
        assert_same(moving.of(frame), pair_list(frame, cutoff))
    assert 1 <= moving.n_searches <= steps // 2
    assert jumps > 0 or not frame.pbc.any()


def test_pairs_leave_and_enter_at_the_cutoff():
    frame = structure_arrays(silicon())
    moving, counts = MovingPairs(4.7, SKIN), set()
    for seed in range(6):
        noise = np.random.default_rng(seed).uniform(-0.1, 0.1, (8, 3))
        own = displaced(frame, noise)
        pairs = moving.of(own)
        i, _, _ = explicit_images(own.positions, own.cell, own.pbc, 4.7)
        assert pairs.n_pairs == len(i)
        counts.add(pairs.n_pairs)
    assert moving.n_searches == 1
    assert len(counts) > 1


def test_half_of_the_skin_is_the_limit():
    frame = structure_arrays(slab())
    moving = MovingPairs(4.0, SKIN)
    step = np.zeros((8, 3))
    for length, n in ((0.0, 1), (0.299, 1), (-0.299, 1), (0.301, 2), (0.0, 3)):
        step[3, 2] = length
        moving.of(displaced(frame, step))
        assert moving.n_searches == n, length
    # Along the open direction a cell vector is a long way.
    step[3] = frame.cell[2]
    moving.of(displaced(frame, step))
    assert moving.n_searches == 4
    step[3] = 5 * frame.cell[0] - frame.cell[1] + [0, 0, 0.1]
    moving.of(displaced(frame, step))
    moving.of(frame)
    assert moving.n_searches == 5


def test_a_skin_below_rounding_is_none():
    frame, moving = structure_arrays(silicon()), MovingPairs(4.7, 1e-14)
    for n in (1, 2):
        assert_same(moving.of(frame), pair_list(frame, 4.7))
        frame = displaced(frame, np.full((8, 3), 1e-9))
        assert moving.n_searches == n


@pytest.mark.parametrize("change", ["cell", "pbc", "fewer", "more", "swapped"])
def test_other_structures_take_a_new_search(change):
    atoms = silicon()
    moving = MovingPairs(4.7, SKIN)
    moving.of(structure_arrays(atoms))
    if change == "cell":
        atoms.set_cell(atoms.cell * 1.0001)
    elif change == "pbc":
        atoms.pbc = [True, True, False]
    elif change == "fewer":
        del atoms[3]
    elif change == "more":
        atoms.append("Si")
        atoms.positions[-1] = [2.7, 2.7, 2.7]
    else:
        atoms = atoms[[1, 0, *range(2, 8)]]
    frame = structure_arrays(atoms)
    assert_same(moving.of(frame), pair_list(frame, 4.7))
    assert moving.n_searches == 2


def test_a_frame_may_change_in_place():
    frame = structure_arrays(silicon())
    moving = MovingPairs(4.7, SKIN)
    moving.of(frame)
    for change in (1.001, 0.999):
        frame.cell[:] *= change
        frame.positions[:] += 0.01
        assert_same(moving.of(frame), pair_list(frame, 4.7))
    frame.pbc[2] = False
    assert_same(moving.of(frame), pair_list(frame, 4.7))
    assert moving.n_searches == 4


def test_species_may_change_without_a_search():
    atoms = silicon()
    moving = MovingPairs(4.7, SKIN)
    moving.of(structure_arrays(atoms))
    atoms.numbers[2] = 32
    assert moving.of(structure_arrays(atoms)).numbers.tolist() == atoms.numbers.tolist()
    assert moving.n_searches == 1


def test_kept_pairs_are_checked_as_new_ones_are():
    frame = structure_arrays(silicon())
    moving = MovingPairs(4.7, 6.0)
    moving.of(frame)
    onto = np.zeros((8, 3))
    onto[1] = frame.positions[0] - frame.positions[1] + [0, 0.1, 0]
    with pytest.raises(StructureError, match=r"atoms 0 and 1 are 0\.100 Å apart"):
        moving.of(displaced(frame, onto))
    assert moving.n_searches == 1
    onto[1, 0] = np.nan
    with pytest.raises(StructureError, match="NaN"):
        moving.of(displaced(frame, onto))


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf])
def test_impossible_skins_are_refused(si_model, skin):
    with pytest.raises(GapfitError, match=f"skin = {skin}: give a length"):
        gapfit.GAPCalculator(si_model, skin=skin)


def test_pairs_of_another_cutoff_or_of_a_list_are_refused(si_model):
    with pytest.raises(GapfitError, match="moving"):
        si_model.predict(silicon(), moving=MovingPairs(si_model.cutoff - 1, SKIN))
    with pytest.raises(GapfitError, match="moving"):
        si_model.predict([silicon()], moving=MovingPairs(si_model.cutoff, SKIN))


def test_the_core_refuses_what_is_no_list():
    frame = structure_arrays(silicon())
    kept = _core.skin_list(frame.positions, frame.cell, frame.pbc, 4.0, 0.5)
    with pytest.raises(ValueError, match="another number of atoms"):
        kept.pairs(frame.positions[:7])
    pairs = pair_list(frame, 4.0)
    for first in (pairs.first[:-1], pairs.first[::-1].copy(), pairs.first[:0]):
        with pytest.raises(ValueError, match="one list"):
            _core.pairs_within(first, pairs.i, pairs.j, pairs.R, 3.0)


def assert_same_results(found: gapfit.GAPCalculator, model, atoms) -> None:
    expected = model.predict(atoms, std="energies")
    assert found.results["energy"] == expected.energy
    results = found.results | found.extra_results
    for name in ("forces", "stress", "energies_std"):
        np.testing.assert_array_equal(results[name], getattr(expected, name))


def test_dynamics_has_the_forces_of_new_searches(si_model):
    """To the last bit, at 3000 K and wrapped at every step."""
    atoms = silicon() * (2, 1, 1)
    atoms.calc = gapfit.GAPCalculator(si_model)
    dynamics = Langevin(
        atoms,
        2 * units.fs,
        temperature_K=3000,
        friction=0.05 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(1),
    )
    wrapped = 0
    for _ in dynamics.irun(60):
        assert_same_results(atoms.calc, si_model, atoms)
        before = atoms.positions.copy()
        atoms.wrap()
        wrapped += np.any(np.abs(atoms.positions - before) > 1)
    assert wrapped > 2
    assert 2 <= atoms.calc.pairs.n_searches <= 20


@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
@pytest.mark.parametrize("whole", [False, True], ids=["atoms", "cell"])
def test_relaxations_end_where_they_do_without_a_skin(si_model, optimizer, whole):
    ends, searches = [], []
    for skin in (0.0, 0.5):
        atoms = silicon()
        atoms.calc = gapfit.GAPCalculator(si_model, uncertainty=False, skin=skin)
        system = FrechetCellFilter(atoms) if whole else atoms
        with optimizer(system, logfile=None) as run:
            run.run(fmax=0.05, steps=40)
            searches.append((atoms.calc.pairs.n_searches, run.nsteps))
        ends.append((atoms.positions, atoms.cell.array))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    assert searches[0][1] == searches[1][1] > 3
    if not whole:
        assert searches[1][0] <= 2 + searches[1][1] // 4 < searches[0][0]


def test_one_calculator_for_many_structures(si_model):
    calculator = gapfit.GAPCalculator(si_model, uncertainty=False)
    for name in ("silicon", "slab", "wire", "cluster", "one_atom", "sheared"):
        atoms = STRUCTURES[name]()
        atoms.calc = calculator
        expected = si_model.predict(atoms)
        np.testing.assert_array_equal(atoms.get_forces(), expected.forces)
    assert calculator.pairs.n_searches == 6
