"""Forces that contradict the energies are found and named, sound data pass."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from builders import DATA

from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.fitting.label_check import label_warnings

BOHR, HARTREE, KCAL = 0.529177, 27.211386, 23.0605
SHIPPED = ("silicon", "carbon", "tungsten", "phosphorus", "ge2sb2te5", "fe7cr2ni")


@cache
def copper() -> tuple[Frame, ...]:
    """Return 30 strained and rattled crystals and an isolated atom, labelled by EMT."""
    rng = np.random.default_rng(1)
    structures = [Atoms("Cu", cell=[15] * 3, pbc=True)]
    for k in range(30):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        strain = np.eye(3) * (1 + 0.03 * rng.normal()) + 0.02 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.12, seed=100 + k)
        structures.append(atoms)
    for atoms in structures:
        atoms.calc = EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
        }
        if len(atoms) > 1:
            results["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **results)
    return read(structures, DataConfig(train=["-"])).frames


@cache
def shipped(system: str) -> tuple[Frame, ...]:
    path = DATA / system / "train.extxyz"
    return tuple(read(path, DataConfig(train=[str(path)])).frames)


def changed(
    frames: tuple[Frame, ...],
    *,
    energy: Callable[[Frame], float] = lambda frame: 1.0,
    forces: Callable[[np.ndarray], np.ndarray] = lambda forces: forces,
) -> list[Frame]:
    """Return frames with energies times a factor and forces changed."""
    return [
        replace(f, energy=f.energy * energy(f), forces=forces(f.forces)) for f in frames
    ]


@pytest.mark.parametrize("system", SHIPPED)
def test_the_shipped_data_pass(system):
    assert label_warnings(shipped(system)) == []


def test_sound_copper_passes():
    assert label_warnings(copper()) == []


@pytest.mark.parametrize("system", ["copper", *SHIPPED])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"forces": lambda f: -f}, "opposite sign, like gradients"),
        ({"forces": lambda f: f * BOHR / HARTREE}, "forces in Hartree/Bohr"),
        ({"forces": lambda f: KCAL * f}, "forces in kcal/mol/Å"),
        ({"energy": lambda f: 1 / HARTREE}, "energies in Hartree"),
    ],
    ids=["gradients", "Ha/Bohr", "kcal/mol/Å", "energies in Ha"],
)
def test_wrong_signs_and_units_are_named(system, change, words):
    frames = copper() if system == "copper" else shipped(system)
    text = "\n".join(label_warnings(changed(frames, **change)))
    assert "forces contradict the energies of" in text
    assert words in text
    assert "stress" not in text


@pytest.mark.parametrize(
    "change",
    [lambda f: f[::-1], lambda f: np.roll(f, 1, axis=0), lambda f: f[:, [1, 2, 0]]],
    ids=["reversed", "shifted", "axes"],
)
@pytest.mark.parametrize("system", ["copper", "silicon", "carbon"])
def test_other_orders_of_atoms_and_axes(system, change):
    frames = copper() if system == "copper" else shipped(system)
    text = "\n".join(label_warnings(changed(frames, forces=change)))
    assert "forces do not follow from the positions for" in text
    assert "another order of atoms or axes" in text
    assert "stress" not in text


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_that_is_too_poor_to_judge_says_nothing(seed):
    """Three species and many kinds of frames, but 30 of them."""
    sample = random.Random(seed).sample(shipped("ge2sb2te5"), 30)
    assert label_warnings(sample) == []


def test_one_config_type_with_gradients_is_named():
    frames = [
        replace(f, forces=-f.forces) if f.config_type == "liquid" else f
        for f in shipped("silicon")
    ]
    (text,) = label_warnings(frames)
    assert "of config_type 'liquid'" in text
    assert "opposite sign" in text
    assert "amorphous" not in text


def test_energies_per_atom_of_cells_of_one_size():
    frames = tuple(f for f in copper() if f.n_atoms > 1)
    (text,) = label_warnings(changed(frames, energy=lambda f: 1 / f.n_atoms))
    assert "energies per atom" in text


def test_forces_of_zeros_are_placeholders():
    frames = [
        replace(f, forces=0 * f.forces) if n % 3 == 0 and n else f
        for n, f in enumerate(copper())
    ]
    (text,) = label_warnings(frames)
    assert "all forces are exactly zero in 10 frames" in text
    assert "frames 3, 6, 9, 12 and 15, 5 more" in text
    (text,) = label_warnings([replace(f, forces=0 * f.forces) for f in copper()])
    assert "all forces are exactly zero in 30 frames" in text


def test_forces_that_vanish_by_symmetry_are_right():
    perfect = replace(
        next(f for f in shipped("silicon") if f.config_type == "bulk_eos"),
        source="perfect",
    )
    assert not np.any(np.round(perfect.forces, 6))
    frames = [*copper(), replace(perfect, forces=np.zeros_like(perfect.forces))]
    assert not [text for text in label_warnings(frames) if "exactly zero" in text]


def test_fixed_atoms_with_forces_of_zero_are_named():
    frames = list(copper())
    forces = frames[4].forces.copy()
    forces[[1, 5]] = 0.0
    frames[4] = replace(frames[4], forces=forces)
    (text,) = label_warnings(frames)
    assert "forces of 2 atoms are exactly zero in 1 frame" in text
    assert "frame 4" in text
    assert "force_mask" in text


def test_stress_of_zeros_is_a_placeholder_and_nothing_else():
    frames = [
        f if f.virial is None else replace(f, virial=np.zeros(6))
        for f in shipped("silicon")
    ]
    (text,) = label_warnings(frames)
    assert "the stress is exactly zero in 205 frames" in text


def test_isolated_atoms_may_have_zeros():
    atom = replace(copper()[0], forces=np.zeros((1, 3)), virial=np.zeros(6))
    assert label_warnings([atom, *copper()[1:]]) == []


def test_forces_without_energies_are_compared_with_the_positions():
    bare = [replace(f, energy=None) for f in copper()]
    assert label_warnings(bare) == []
    (text,) = label_warnings([replace(f, forces=f.forces[::-1]) for f in bare])
    assert "do not follow from the positions" in text
