"""Names of labels: any case, several in one file, and what is said of those not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from helpers.reading import CONFIG, STRESS, bare, config, frames, line, refuses

from gapfit.data.dataset import read


def mixed(count: int = 6) -> list[Atoms]:
    """Return an isolated atom labelled `energy` and crystals labelled `REF_energy`."""
    lone = Atoms("Si", cell=[15] * 3, pbc=True)
    lone.info["config_type"] = "IsolatedAtom"
    lone.calc = SinglePointCalculator(lone, energy=-0.8, forces=np.zeros((1, 3)))
    crystals = bare(count)
    for n, atoms in enumerate(crystals):
        atoms.info["REF_energy"] = -40.0 - n
        atoms.arrays["REF_forces"] = (
            np.full((8, 3), 0.1) * (-1) ** np.arange(8)[:, None]
        )
    return [lone, *crystals]


@pytest.mark.parametrize("place", ["file", "memory"])
def test_two_names_are_used_where_no_frame_has_both(tmp_path: Path, place: str) -> None:
    atoms = mixed()
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    data = read(tmp_path / "a.xyz" if place == "file" else atoms, CONFIG)
    assert [f.energy for f in data.frames] == [-0.8, *(-40.0 - n for n in range(6))]
    assert all(f.forces is not None for f in data.frames)
    used = [(r.key, r.n_frames) for r in data.report if r.kind == "energy"]
    assert used == [("REF_energy", 6), ("energy", 1)]
    assert data.warnings[0] == (
        "energy: under several names, 'REF_energy' in 6 frames, 'energy' in 1 frame; all "
        "are used, as no frame has two of them; if they were not computed in the same way, "
        "choose with energy_key in [data]"
    )
    assert "forces: under several names" in data.warnings[1]


def test_two_names_in_one_frame_are_not_mixed() -> None:
    atoms = mixed()
    for item in atoms[1:]:
        item.info["energy"] = -41.0
    data = read(atoms, CONFIG)  # all have an energy
    assert [f.energy for f in data.frames] == [-0.8, *[-41.0] * 6]
    for item in atoms[3:]:
        del item.info["energy"]
    refuses(
        r"frame 0: there is no energy.* to fit \(labels: config_type, energy\); "
        r"'energy' \(number of frames: 3\) is not used, 'REF_energy' \(6\) is; choose with "
        "energy_key",
        [_without_forces(atoms[0]), *atoms[1:]],
    )


def _without_forces(atoms: Atoms) -> Atoms:
    del atoms.calc.results["forces"]
    return atoms


def test_an_energy_and_a_free_energy_are_not_mixed() -> None:
    atoms = frames(5)
    del atoms[0].calc.results["energy"]
    atoms[0].calc.results["free_energy"] = -43.5
    data = read(atoms, CONFIG)
    assert data.frames[0].energy is None
    (warning,) = data.warnings
    assert (
        "'free_energy' is the only one in 1 of 5 frames, where it is ignored" in warning
    )


def test_a_key_that_was_given_is_used_alone() -> None:
    data = read(mixed(), config(energy_key="REF_energy"))
    assert data.frames[0].energy is None
    assert line(data, "energy").ignored == ("energy",)


def test_stress_and_virial_of_different_frames_are_both_used() -> None:
    atoms = frames(4)
    for item in atoms[2:]:
        del item.calc.results["stress"]
        item.info["virial"] = -STRESS * item.get_volume()
    data = read(atoms, CONFIG)
    for one in data.frames:
        np.testing.assert_allclose(one.stress, STRESS)
    assert data.warnings == ()


@pytest.mark.parametrize(
    ("energy", "forces_name", "stress"),
    [
        ("ENERGY", "FORCES", "STRESS"),
        ("Energy", "Force", "Stress"),
        ("REF_ENERGY", "Ref_Forces", "Ref_stress"),
        ("Dft_energy", "DFT_FORCES", "dft_Stress"),
        ("Total_Energy", "forceS", "Stress"),
        ("Free_energy", "Forces", "STRESS"),
    ],
)
def test_labels_in_any_case_of_letters(
    tmp_path: Path, energy: str, forces_name: str, stress: str
) -> None:
    atoms = bare()
    for item in atoms:
        item.info.update({energy: -43.0, stress: STRESS})
        item.arrays[forces_name] = np.full((8, 3), 0.1) * (-1) ** np.arange(8)[:, None]
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    for source in (atoms, tmp_path / "a.xyz"):
        data = read(source, CONFIG)
        assert [line(data, k).key for k in ("energy", "forces")] == [
            energy,
            forces_name,
        ]
        assert data.frames[0].energy == -43.0
        np.testing.assert_allclose(data.frames[0].stress, STRESS)


def test_masks_kinds_and_sigmas_in_any_case_of_letters() -> None:
    atoms = frames(2)
    for item in atoms:
        item.info.update(Config_type="bulk", Energy_Sigma=0.01)
        item.arrays["Force_mask"] = np.arange(8) < 3
    one = read(atoms, CONFIG).frames[0]
    assert one.config_type == "bulk"
    assert one.energy_sigma == 0.01
    assert np.isnan(one.forces[:3]).all()
    for item in atoms:
        item.info["config_type"] = "liquid"
    assert read(atoms, CONFIG).frames[0].config_type == "liquid"
