"""Cheap checks of frames: what is refused and what is warned of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import DATA

from gapfit.config.sections import DataConfig
from gapfit.data.checks import check_frames, frame_problems, set_warnings
from gapfit.data.dataset import read
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.places import list_places
from gapfit.errors import DataError


def frame(index: int, seed: int | None = None, **changes: object) -> Frame:
    """Return a rattled silicon cell with plausible labels."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=index if seed is None else seed)
    forces = np.random.default_rng(index).normal(size=(8, 3))
    labels = {
        "source": f"train.extxyz, frame {index}",
        "energy": -43.0,
        "forces": forces - forces.mean(axis=0),
        "virial": np.ones(6),
    }
    return replace(structure_arrays(atoms), **{**labels, **changes})


def test_good_frames_pass() -> None:
    assert check_frames([frame(n) for n in range(10)]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"positions": np.full((8, 3), np.nan)},
            "train.extxyz, frame 4: positions or cell contain NaN or infinity",
        ),
        (
            {"cell": np.diag([5.0, np.inf, 5.0])},
            "frame 4: positions or cell contain NaN or infinity",
        ),
        (
            {"cell": np.zeros((3, 3))},
            "frame 4: periodic along a but that cell vector is zero; set the cell, or "
            "pbc = False",
        ),
        (
            {"cell": np.diag([5.0, 5.0, 0.0])},
            "frame 4: periodic along c but that cell vector is zero",
        ),
        (
            {"cell": np.array([[5.0, 0, 0], [0, 5.0, 0], [5.0, 5.0, 0]])},
            r"frame 4: the cell vectors are linearly dependent \(volume 0\).*correct the",
        ),
        (
            {"numbers": np.array([14] * 7 + [0])},
            r"frame 4: atom 7 has atomic number 0 \(symbol 'X'\), which is not an element",
        ),
        ({"numbers": np.array([14] * 7 + [130])}, "atomic number 130, which is no"),
        ({"energy": np.nan}, "frame 4: energy is nan; compute it again or remove"),
        (
            {"forces": np.where(np.arange(24) == 16, np.inf, 0).reshape(8, 3)},
            "frame 4: forces of atom 5 is inf; compute it again or remove",
        ),
        ({"virial": np.array([0, 0, np.nan, 0, 0, 0])}, "frame 4: stress is nan"),
        (
            {"numbers": np.zeros(0, int), "positions": np.zeros((0, 3))},
            "frame 4: there are no atoms",
        ),
    ],
)
def test_frames_that_cannot_be_fitted(changes: dict, message: str) -> None:
    if "numbers" in changes and len(changes["numbers"]) == 0:
        changes["forces"] = None
    with pytest.raises(DataError, match=message):
        check_frames([frame(3), frame(4, **changes), frame(5)])


def test_atoms_too_close() -> None:
    positions = frame(0).positions.copy()
    positions[5] = positions[2] + [0.0, 0.15, 0.2]
    message = (
        r"frame 0: atoms 2 and 5 are 0\.250 Å apart \(limit 0\.3 Å\); remove or correct"
    )
    with pytest.raises(DataError, match=message):
        check_frames([frame(0, positions=positions)])
    positions[5] = positions[2] + [0.0, 0.15, 0.3]
    assert frame_problems(frame(0, positions=positions)) == []


def test_atoms_too_close_to_a_periodic_image() -> None:
    good = frame(0)
    positions = good.positions.copy()
    positions[5] = positions[2] + good.cell[0] - good.cell[1] + [0.1, 0.0, 0.0]
    with pytest.raises(DataError, match=r"atoms 2 and 5 are 0\.100 Å apart"):
        check_frames([replace(good, positions=positions)])
    flat = replace(good, cell=np.diag([5.43, 5.43, 0.2]))
    with pytest.raises(DataError, match=r"frame 0: the cell repeats every 0\.2 Å"):
        check_frames([flat])


def test_every_problem_of_every_frame_is_listed() -> None:
    bad = {"energy": np.nan, "virial": np.full(6, np.inf), "cell": np.zeros((3, 3))}
    with pytest.raises(DataError) as caught:
        check_frames([frame(n, **bad) for n in range(9)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "27 problems in the data:"
    assert len(lines) == 10
    assert lines[-1] == "  ... and 19 more"
    with pytest.raises(
        DataError, match=r"^1 problem in the data:\n  train\.extxyz, frame 1"
    ):
        check_frames([frame(1, energy=np.inf)])


def test_identical_frames() -> None:
    frames = [frame(n) for n in range(12)]
    frames[7] = replace(frames[3], source=frames[7].source)
    frames[9] = replace(frames[3], positions=frames[3].positions + 5e-7)
    frames[9] = replace(frames[9], source="other.extxyz, frame 2")
    frames[10] = replace(frames[1], positions=frames[1].positions + 1e-5)
    assert set_warnings(frames) == [
        "frames 3 and 7 of train.extxyz, frame 2 of other.extxyz are identical and count "
        "several times in the fit; keep one of them"
    ]


def test_identical_frames_that_contradict_each_other() -> None:
    frames = [frame(n) for n in range(6)]
    frames[2] = replace(frames[0], source=frames[2].source, energy=-42.5)
    frames[5] = replace(frames[1], source=frames[5].source)
    equal, contradicting = set_warnings(frames)
    assert equal.startswith("frames 1 and 5 of train.extxyz are identical and count")
    assert contradicting == (
        "frames 0 and 2 of train.extxyz are identical but their labels differ (energy by "
        "0.5 eV): not all can be right; keep those computed in the same way as the other "
        "frames"
    )


@pytest.mark.parametrize("change", ["numbers", "cell", "pbc"])
def test_similar_frames_are_not_identical(change: str) -> None:
    one = frame(0)
    other = {
        "numbers": np.array([14] * 7 + [6]),
        "cell": one.cell * 1.0001,
        "pbc": np.array([True, True, False]),
    }[change]
    assert set_warnings([one, replace(one, **{change: other})]) == []


def test_thousands_of_identical_frames_fit_in_one_warning() -> None:
    frames = [frame(n, seed=n // 2) for n in range(40)]
    frames = [replace(f, energy=None, forces=None, virial=None) for f in frames]
    (warning,) = set_warnings(frames)
    assert warning.count("frames") == 5
    assert "; and 15 more groups are identical" in warning


def test_large_forces() -> None:
    forces = np.zeros((8, 3))
    forces[0], forces[1] = [150.0, 0, 0], [-150.0, 0, 0]
    (warning,) = set_warnings([frame(0), frame(1, forces=forces)])
    assert warning == (
        "1 frame with forces above 100 eV/Å, up to 150.0 (frame 1 of train.extxyz): they "
        "outweigh the others in the fit; remove them, or give them a larger sigma (by "
        "config_type, or force_sigma)"
    )


def test_net_force() -> None:
    pushed = [frame(n, forces=frame(n).forces + 0.1) for n in range(8)]
    (warning,) = set_warnings(pushed)
    assert warning.startswith(
        "8 frames with forces that do not add up to zero, by up to 1.39 eV/Å (frames 0, 1, "
        "2, 3 and 4 of train.extxyz, 3 more): no potential can reproduce them"
    )


def test_outlying_energy_shows_the_ratio() -> None:
    frames = [frame(n, energy=-43.0 + 0.1 * n) for n in range(8)]
    frames.append(frame(8, energy=-43.0 * 27.2114))
    (warning,) = set_warnings(frames)
    assert warning.startswith(
        "1 frame with energies far from others of the same composition: -146.3 eV/atom "
        "where the median of 9 is -5.338 (ratio 27.4; a Hartree is 27.21 eV"
    )
    assert "frame 8 of train.extxyz; look for mixed units" in warning


def test_energies_per_atom_where_totals_are_expected() -> None:
    frames = []
    for n in range(1, 9):
        atoms = bulk("Si") * (n, 1, 1)
        frames.append(replace(structure_arrays(atoms), energy=-5.4 + 0.01 * n))
    (warning,) = set_warnings(frames)
    assert warning == (
        "energies do not grow with the number of atoms: they scatter by 0.37 % in 8 frames "
        "of 2 to 16 atoms, and by 75 % divided by these numbers; they look like energies "
        "per atom, where the total energy of each frame is expected"
    )
    totals = [replace(f, energy=f.energy * f.n_atoms) for f in frames]
    assert set_warnings(totals) == []


def test_places_of_frames_without_a_file() -> None:
    assert list_places([replace(frame(0), source="frame 5")]) == "frame 5"
    both = [frame(1), replace(frame(0), source="frame 5")]
    assert list_places(both) == "frame 1 of train.extxyz, frame 5"


@pytest.mark.parametrize(
    "system", ["silicon", "carbon", "tungsten", "phosphorus", "fe7cr2ni"]
)
def test_energies_per_atom_of_the_shipped_data(system: str) -> None:
    path = DATA / system / "train.extxyz"
    frames = [f for f in read(path, DataConfig(train=["-"])).frames if f.energy]
    assert not [text for text in set_warnings(frames) if "do not grow" in text]
    per_atom = [replace(f, energy=f.energy / f.n_atoms) for f in frames]
    assert [text for text in set_warnings(per_atom) if "do not grow" in text]


def with_thallium(index: int, atom: int = 0) -> Frame:
    """Return a frame whose atom has another species."""
    numbers = frame(index).numbers.copy()
    numbers[atom] = 81
    return frame(index, numbers=numbers)


def test_a_species_of_one_or_two_atoms_may_be_a_misprint() -> None:
    frames = [frame(n) for n in range(22)]
    frames[3] = with_thallium(3, atom=5)
    (text,) = set_warnings(frames)
    assert text.startswith(
        "Tl: 1 atom in 1 frame (train.extxyz, frame 3, atom 5): a misprint?"
    )
    frames[7] = with_thallium(7)
    (text,) = set_warnings(frames)
    assert text.startswith(
        "Tl: 2 atoms in 2 frames (train.extxyz, frame 3, atom 5): a misprint?"
    )
    frames[9] = with_thallium(9)
    assert set_warnings(frames) == []


def test_species_of_few_frames_or_of_isolated_atoms_are_meant() -> None:
    assert set_warnings([with_thallium(0), *(frame(n) for n in range(1, 19))]) == []
    atom = replace(
        structure_arrays(Atoms("Tl", cell=[15] * 3, pbc=True)), source="a", energy=-1.0
    )
    frames = [frame(n) for n in range(22)]
    assert set_warnings([*frames, atom]) == []
    assert set_warnings([with_thallium(30), *frames, atom]) == []
