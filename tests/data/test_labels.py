"""Labels: under which names they are found, and what is reported."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write
from helpers.reading import CONFIG, STRESS, bare, config, frames, line

from gapfit.data.dataset import KindReport, read


@pytest.mark.parametrize(
    ("energy", "forces_name"),
    [
        ("energy", "force"),
        ("free_energy", "forces"),
        ("REF_energy", "REF_forces"),
        ("ref_energy", "ref_force"),
        ("dft_energy", "dft_forces"),
        ("DFT_energy", "DFT_force"),
        ("Energy", "Forces"),
    ],
)
def test_usual_names_are_found_in_info_and_arrays(
    tmp_path: Path, energy: str, forces_name: str
) -> None:
    atoms = bare()
    for n, item in enumerate(atoms):
        item.info[energy] = -43.0 - n
        item.arrays[forces_name] = np.full((8, 3), 0.1) * (-1) ** np.arange(8)[:, None]
    write(tmp_path / "d.extxyz", atoms, write_results=False)
    for data in (read(tmp_path / "d.extxyz", CONFIG), read(atoms, CONFIG)):
        assert line(data, "energy").key == energy
        assert line(data, "forces").key == forces_name
        assert [frame.energy for frame in data.frames] == [-43, -44, -45]
        assert np.abs(data.frames[0].forces).min() == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(3, 3), (9,), (6,)])
@pytest.mark.parametrize("name", ["stress", "REF_stress", "virial", "dft_virial"])
def test_stress_and_virial_in_every_shape(name: str, shape: tuple[int, ...]) -> None:
    xx, yy, zz, yz, xz, xy = STRESS
    full = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    (atoms,) = frames(1)
    del atoms.calc.results["stress"]
    sign = -atoms.get_volume() if "virial" in name else 1.0
    atoms.info[name] = sign * (STRESS if shape == (6,) else full.reshape(shape))
    data = read(atoms, CONFIG)
    assert line(data, "stress", "virial") == KindReport(name.split("_")[-1], name, 1, 6)
    np.testing.assert_allclose(data.frames[0].stress, STRESS)


def test_virial_of_an_extxyz_file(tmp_path: Path) -> None:
    (atoms,) = frames(1)
    del atoms.calc.results["stress"]
    atoms.info["virial"] = np.diag([1.0, 2.0, 3.0])
    write(tmp_path / "d.xyz", atoms)
    np.testing.assert_allclose(
        read(tmp_path / "d.xyz", CONFIG).frames[0].virial, [1, 2, 3, 0, 0, 0]
    )


def test_the_label_that_most_frames_have_is_used() -> None:
    atoms = bare(4)
    for n, item in enumerate(atoms):
        item.info["dft_energy"] = -43.0 - n
        item.arrays["forces"] = np.zeros((8, 3))
    atoms[0].info["energy"] = -43.0
    data = read(atoms, CONFIG)
    assert line(data, "energy") == KindReport("energy", "dft_energy", 4, 4, ("energy",))
    assert data.warnings == ()


def test_frames_without_the_label_used_are_reported() -> None:
    atoms = frames(5)
    for item in atoms[:2]:
        del item.calc.results["energy"], item.calc.results["stress"]
        item.info["dft_energy"] = -43.0
    atoms[4].info["dft_energy"] = -42.6  # the two names do not exclude each other
    data = read(atoms, CONFIG)
    assert data.frames[0].energy is None
    assert data.frames[0].virial is None
    assert line(data, "stress") == KindReport(
        "stress", "stress", 3, 18, (), "2 frames without"
    )
    assert "2 frames without" in line(data, "energy").note
    assert data.warnings == (
        "energy: 'energy' is used, and 'dft_energy' is the only one in 2 of 5 frames, "
        "where it is ignored; choose with energy_key in [data]",
    )


def test_an_explicit_key_wins_and_the_rest_is_ignored() -> None:
    atoms = frames()
    for item in atoms:
        item.info["PBE"] = -50.0
        item.arrays["my_f"] = np.zeros((8, 3))
    data = read(atoms, config(energy_key="PBE", forces_key="my_f"))
    assert data.frames[0].energy == -50.0
    assert np.all(data.frames[0].forces == 0)
    assert line(data, "energy").ignored == ("energy",)
    assert line(data, "forces").ignored == ("forces",)
    assert re.search(
        r"energy: 'PBE' is used, and 'energy' differs by up to 0.9 eV/atom \(frame 2\)",
        data.warnings[0],
    )


def test_free_energy_that_differs_is_pointed_out() -> None:
    data = read(frames(free_energy=-43.1), CONFIG)
    report = line(data, "energy")
    assert report.ignored == ("free_energy",)
    assert report.note == "'free_energy' differs by up to 0.0375 eV/atom (frame 2)"
    (warning,) = data.warnings
    assert "forces are derivatives of the free energy" in warning
    assert "energy_key" in warning


def test_free_energy_that_agrees_is_only_listed() -> None:
    atoms = frames()
    for item in atoms:
        item.calc.results["free_energy"] = item.calc.results["energy"] + 1e-5
    data = read(atoms, CONFIG)
    assert line(data, "energy") == KindReport(
        "energy", "energy", 3, 3, ("free_energy",)
    )
    assert data.warnings == ()


def test_virial_of_the_opposite_sign_to_the_stress() -> None:
    atoms = frames()
    for item in atoms:
        item.info["virial"] = STRESS * item.get_volume()
    data = read(atoms, CONFIG)
    assert line(data, "stress").ignored == ("virial",)
    (warning,) = data.warnings
    assert re.search(
        r"stress: 'stress' is used, and 'virial' differs by up to 1\.2\d* eV/atom of "
        r"virial, by the opposite sign \(frame \d\)",
        warning,
    )


def test_stress_and_virial_keys_complement_each_other() -> None:
    atoms = frames(3)
    for item in atoms[1:]:
        del item.calc.results["stress"]
    atoms[1].info["my_virial"] = np.arange(6.0)
    data = read(atoms, config(stress_key="stress", virial_key="my_virial"))
    assert [frame.virial is None for frame in data.frames] == [False, False, True]
    np.testing.assert_allclose(data.frames[1].virial, np.arange(6.0))
    assert line(data, "stress").n_frames == line(data, "virial").n_frames == 1


def test_kinds_that_are_switched_off() -> None:
    data = read(frames(), config(use_energies=False, use_stress=False))
    assert line(data, "energy") == KindReport(
        "energy", None, 0, 0, ("energy",), "not used: use_energies = false"
    )
    assert line(data, "stress").note == "not used: use_stress = false"
    assert all(f.energy is None and f.virial is None for f in data.frames)
    # A frame with nothing but such labels is no mistake.
    lone = Atoms("Si", calculator=None)
    lone.info["energy"] = -0.8
    assert read([*frames(1), lone], config(use_energies=False)).frames[1].energy is None


def test_energies_alone_warn_and_list_the_arrays() -> None:
    atoms = frames()
    for item in atoms:
        del item.calc.results["forces"]
        item.arrays["F_dft"] = np.zeros((8, 3))
    (warning,) = read(atoms, CONFIG).warnings
    assert warning == (
        "no forces found in 3 frames: only energies will be fitted; arrays that the frames "
        "have: F_dft; if one of them is the forces, set forces_key in [data]"
    )


def test_forces_alone_warn_and_list_the_numbers() -> None:
    atoms = frames()
    for item in atoms:
        del item.calc.results["energy"]
        item.info["E0K"] = -43.0
    (warning,) = read(atoms, CONFIG).warnings
    assert warning.startswith("no energy found in 3 frames: only forces will be fitted")
    assert "E0K" in warning


def test_missing_config_type_is_default() -> None:
    atoms = frames()
    atoms[0].info["config_type"] = "liquid"
    data = read(atoms, CONFIG)
    assert [f.config_type for f in data.frames] == ["liquid", "default", "default"]
    assert line(data, "config_type").note == "2 frames are 'default'"


def test_sigmas_of_frames_and_atoms(tmp_path: Path) -> None:
    atoms = frames()
    atoms[0].info.update(energy_sigma=0.01, force_sigma=0.2, virial_sigma=0.3)
    atoms[1].arrays["force_sigma"] = np.linspace(0.1, 0.8, 8)
    write(tmp_path / "d.xyz", atoms)
    data = read(tmp_path / "d.xyz", CONFIG)
    one, two, three = data.frames
    assert (one.energy_sigma, one.virial_sigma) == (0.01, 0.3)
    assert np.all(one.force_sigma == np.full(8, 0.2))
    np.testing.assert_allclose(two.force_sigma, np.linspace(0.1, 0.8, 8))
    assert three.force_sigma is None
    assert [r for r in data.report if r.kind == "sigma"] == [
        KindReport("sigma", "energy_sigma", 1, 1, (), "gives energy_sigma"),
        KindReport("sigma", "force_sigma", 2, 16, (), "gives force_sigma"),
        KindReport("sigma", "virial_sigma", 1, 1, (), "gives virial_sigma"),
    ]


def test_stress_without_three_periodic_directions_is_ignored() -> None:
    atoms = frames()
    atoms[1].pbc = [True, True, False]
    atoms[1].calc.atoms.pbc = atoms[1].pbc
    data = read(atoms, CONFIG)
    assert data.frames[1].virial is None
    assert line(data, "stress").n_frames == 2
    (warning,) = data.warnings
    assert warning == (
        "stress ignored in frame 1: not periodic in three directions; set pbc and cell if "
        "they should be"
    )


def test_a_molecule_needs_no_cell() -> None:
    atoms = molecule("SiH4")
    atoms.info["energy"] = -10.0
    data = read([*frames(1), atoms], CONFIG)
    assert data.species == (1, 14)
    assert data.frames[1].volume == 0.0


def test_calculator_results_are_read_as_they_are() -> None:
    atoms = bulk("Cu") * 2
    atoms.rattle(0.1, seed=0)
    atoms.calc = EMT()
    atoms.get_stress()
    data = read(atoms, CONFIG)
    assert data.frames[0].energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(data.frames[0].forces, atoms.get_forces())
    np.testing.assert_allclose(data.frames[0].stress, atoms.get_stress())
