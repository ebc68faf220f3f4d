"""Lists of moving structures against new searches."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES
from helpers.stand_in_device import stand_in
from helpers.torch_runs import import_or_skip

from gapfit.errors import GapfitError

torch = import_or_skip("torch")
from gapfit.torch.moving_list import MovingList  # noqa: E402
from gapfit.torch.neighbours import neighbour_list  # noqa: E402

CUTOFF, SKIN = 4.5, 0.6
CPU = torch.device("cpu")


class Motion:
    """Structures whose atoms walk at random, and whose pairs can be asked for."""

    def __init__(self, structures: list[Atoms], *, wrapped: bool = False) -> None:
        self.structures = [atoms.copy() for atoms in structures]
        self.rng = np.random.default_rng(3)
        self.wrapped = wrapped

    def step(self, width: float = 0.02) -> None:
        for atoms in self.structures:
            atoms.positions += self.rng.normal(scale=width, size=(len(atoms), 3))
            if self.wrapped:
                atoms.wrap()

    def arrays(self) -> tuple:
        system = np.repeat(
            np.arange(len(self.structures)), [*map(len, self.structures)]
        )
        return tuple(
            torch.tensor(array)
            for array in (
                np.concatenate([atoms.positions for atoms in self.structures]),
                np.stack([np.asarray(atoms.cell) for atoms in self.structures]),
                np.stack([atoms.pbc for atoms in self.structures]),
                system,
            )
        )

    def within(self, pairs, shifts) -> np.ndarray:
        """Return sorted rows of the pairs within the cutoff: i, j, R."""
        positions, cells, _, system = self.arrays()
        i, j = pairs
        R = torch.einsum("px,pxy->py", shifts.double(), cells[system[i]])
        R = R + positions[j] - positions[i]
        near = torch.linalg.vector_norm(R, dim=1) < CUTOFF
        rows = torch.column_stack([i[near], j[near], R[near]]).numpy()
        return rows[np.lexsort(rows.T[::-1])]

    def check(self, found: MovingList, device=CPU) -> None:
        given = self.arrays()
        new = self.within(*neighbour_list(*given, CUTOFF))
        kept = found(*(array.to(device) for array in given))
        kept = self.within(*(array.cpu() for array in kept))
        np.testing.assert_allclose(kept, new, atol=1e-9)


def moving(motion: Motion) -> MovingList:
    """Return a list with a skin: the first search has none."""
    pairs = MovingList(CUTOFF, SKIN)
    for n_searches in (1, 2):
        motion.check(pairs)
        assert pairs.n_searches == n_searches
        motion.step(1e-5)
    return pairs


@pytest.mark.parametrize("device", ["cpu", "stand-in"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_pairs_are_those_of_new_searches(wrapped, device):
    builders = [STRUCTURES[name] for name in ("silicon", "sheared", "slab")]
    cluster = STRUCTURES["silicon"]()
    cluster.pbc = False
    motion = Motion([*(build() for build in builders), cluster], wrapped=wrapped)
    pairs = MovingList(CUTOFF, SKIN)
    there = CPU if device == "cpu" else stand_in()
    for _ in range(40):
        motion.check(pairs, there)
        motion.step()
    assert 2 <= pairs.n_searches <= 12


def test_a_larger_step_takes_a_new_search():
    motion = Motion([STRUCTURES["silicon"]()])
    pairs = moving(motion)
    for share, n_searches in ((0.49, 2), (0.02, 3)):
        motion.structures[0].positions[1, 2] += share * SKIN
        motion.check(pairs)
        assert pairs.n_searches == n_searches


def test_other_structures_and_cells_take_new_searches():
    motion = Motion([STRUCTURES["silicon"](), STRUCTURES["slab"]()])
    pairs = moving(motion)
    atoms = motion.structures[0]
    atoms.set_cell(1.001 * np.asarray(atoms.cell), scale_atoms=True)
    motion.check(pairs)
    assert pairs.n_searches == 3
    # After a cell has changed the list has no skin; the second search has one again.
    for _ in range(4):
        motion.step(0.001)
        motion.check(pairs)
    assert pairs.n_searches == 4
    motion.structures[1].pbc = True
    motion.check(pairs)
    motion.structures.reverse()
    motion.check(pairs)
    motion.structures.pop()
    motion.check(pairs)
    assert pairs.n_searches == 7


def test_positions_that_change_in_place_are_noticed():
    motion = Motion([STRUCTURES["silicon"]()])
    pairs = moving(motion)
    positions, *others = motion.arrays()
    for n_searches in (2, 3):
        pairs(positions, *others)
        assert pairs.n_searches == n_searches
        positions[0, 0] += 0.6 * SKIN


def test_an_atom_at_nan_takes_a_new_search():
    motion = Motion([STRUCTURES["silicon"]()])
    pairs = moving(motion)
    positions, *others = motion.arrays()
    positions[0, 0] = torch.nan
    found, _ = pairs(positions, *others)
    assert pairs.n_searches == 3
    assert not (found == 0).any()


def test_without_a_skin_each_call_searches():
    motion = Motion([STRUCTURES["silicon"]()])
    pairs = MovingList(CUTOFF, 0.0)
    for _ in range(3):
        motion.check(pairs)
    assert pairs.n_searches == 3
    for skin in (-0.1, np.inf, np.nan):
        with pytest.raises(GapfitError, match=f"skin = {skin}: give a length"):
            MovingList(CUTOFF, skin)


def test_no_atoms():
    pairs = MovingList(CUTOFF, SKIN)
    nothing = torch.zeros(0, 3, dtype=torch.float64)
    cells, pbc = torch.eye(3).double().view(1, 3, 3), torch.ones(1, 3, dtype=torch.bool)
    for _ in range(2):
        found, shifts = pairs(nothing, cells, pbc, torch.zeros(0, dtype=torch.int64))
        assert found.shape == (2, 0)
        assert shifts.shape == (0, 3)
