"""Reading: what frames hold, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from helpers.reading import CONFIG, STRESS, bare, config, frames, refuses, text_of

import gapfit
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.errors import DataError


@pytest.mark.parametrize("symbol", ["Qq", "X"])
def test_unknown_species(tmp_path: Path, symbol: str) -> None:
    lines = text_of(tmp_path, frames())
    lines[13] = lines[13].replace("Si", symbol)
    (tmp_path / "d.xyz").write_text("".join(lines))
    message = (
        r"frame 1 \(line 14\): 'Qq' is not a chemical symbol or atomic number"
        if symbol == "Qq"
        else r"frame 1: atom 1 has atomic number 0 \(symbol 'X'\), which is not an element"
    )
    refuses(message, tmp_path / "d.xyz")


def test_a_missing_key_names_the_nearest() -> None:
    refuses(
        r"energy_key = 'enregy': none of the 3 frames has this label; the nearest label "
        r"is 'energy'; labels found: energy, forces, stress; correct energy_key",
        frames(),
        config(energy_key="enregy"),
    )
    refuses(r"forces_key = 'dft_frc'.*", frames(), config(forces_key="dft_frc"))
    refuses(r"virial_key = 'w'.* labels found", frames(), config(virial_key="w"))
    refuses("config_type_key = 'group'", frames(), config(config_type_key="group"))
    refuses("force_sigma_key = 'fs'", frames(), config(force_sigma_key="fs"))
    # A key of a kind that is switched off is not needed.
    read(frames(), config(stress_key="nowhere", use_stress=False))


def test_neither_energies_nor_forces() -> None:
    atoms = bare()
    for item in atoms:
        item.info["stress"] = STRESS
        item.info["temperature"] = 300.0
    refuses(
        "neither energies nor forces in 3 frames; labels found: stress, temperature; "
        "name them with energy_key and forces_key",
        atoms,
    )
    refuses(
        r"energy and forces switched off",
        frames(),
        config(use_energies=False, use_forces=False),
    )


def test_a_frame_without_labels() -> None:
    atoms = frames()
    atoms[1].calc = None
    atoms[1].info["time"] = 1.0
    refuses(
        r"frame 1: there is no energy, forces or stress to fit \(labels: time\); add them",
        atoms,
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("energy", np.nan, "frame 1: energy is nan; compute it again or remove"),
        ("energy", np.inf, "frame 1: energy is inf"),
        ("energy", [1.0, 2.0], r"frame 1: energy has shape \(2,\) where one number"),
        ("energy", "done", "frame 1: energy is 'done', which is not a number"),
        ("energy", True, "frame 1: energy is 'True', which is not a number"),
        ("forces", np.zeros((8, 2)), r"forces has shape \(8, 2\) where \(8, 3\) is"),
        ("forces", np.zeros(24), r"forces has shape \(24,\) where \(8, 3\) is"),
        ("stress", np.zeros(5), r"stress has shape \(5,\) where 6, 9 or \(3, 3\)"),
        ("stress", np.full(6, -np.inf), "frame 1: stress is inf"),
        (
            "stress",
            [[1, 0.2, 0], [0.1, 1, 0], [0, 0, 1]],
            "stress is not symmetric: opposite components differ by 0.1 where the "
            "largest is 1",
        ),
    ],
)
def test_bad_labels(name: str, value: object, message: str) -> None:
    atoms = frames()
    atoms[1].calc.results[name] = value
    refuses(message, atoms)


def test_asymmetric_stress_in_a_file(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    lines[1] = re.sub(r'stress="[^"]*"', 'stress="1 .2 0 .1 1 0 0 0 1"', lines[1])
    (tmp_path / "d.xyz").write_text("".join(lines))
    refuses(r"d\.xyz, frame 0: stress is not symmetric", tmp_path / "d.xyz")


def test_a_renamed_label_is_named_in_the_message() -> None:
    atoms = frames()
    atoms[2].info["w"] = np.zeros(7)
    refuses(r"frame 2: virial \('w'\) has shape \(7,\)", atoms, config(virial_key="w"))


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("energy_sigma", 0.0, "frame 1: energy_sigma is 0; a sigma must be finite"),
        ("virial_sigma", -0.1, "frame 1: virial_sigma is -0.1; a sigma must be"),
        (
            "force_sigma",
            np.nan,
            "frame 1: force_sigma is nan; a sigma must be finite",
        ),
        ("force_sigma", np.ones(5), r"force_sigma has shape \(5,\) where one number"),
        ("energy_sigma", np.ones(2), r"energy_sigma has shape \(2,\) where one number"),
        ("energy_sigma", "tight", "energy_sigma is 'tight', which is not a number"),
    ],
)
def test_bad_sigmas(where: str, value: object, message: str) -> None:
    atoms = frames()
    atoms[1].info[where] = value
    refuses(message, atoms)


def test_labels_of_a_structure_that_moved_since() -> None:
    atoms = frames()
    atoms[1].rattle(0.1, seed=7)
    refuses(
        "frame 1: positions changed after the calculator computed its results", atoms
    )


def test_all_bad_frames_are_listed_in_one_error() -> None:
    atoms = frames(30)
    for item in atoms[3:]:
        item.calc.results["energy"] = np.nan
    atoms[0].calc.results["forces"] = np.zeros((2, 3))
    with pytest.raises(DataError) as caught:
        read(atoms, CONFIG)
    lines = str(caught.value).splitlines()
    assert lines[0] == "28 problems in the data:"
    assert lines[1].startswith("  frame 0: forces has shape (2, 3)")
    assert lines[2].startswith("  frame 3: energy is nan")
    assert len(lines) == 10
    assert lines[-1] == "  ... and 20 more"


def test_frames_are_plain_arrays() -> None:
    frame = read(frames(1), CONFIG).frames[0]
    assert isinstance(frame, Frame)
    assert frame.numbers.dtype == np.int64
    assert frame.positions.dtype == frame.forces.dtype == float
    assert isinstance(frame.energy, float)


def masked_frames() -> list[Atoms]:
    """Return cells whose first two atoms carry forces that nobody should fit."""
    out = frames(8)
    for atoms in out:
        atoms.calc.results["forces"][:2] = 77.0
        atoms.arrays["force_mask"] = np.arange(8) < 2
    return out


def test_masked_forces_are_left_out():
    data = read(masked_frames(), CONFIG)
    assert data.warnings == ()
    for frame in data.frames:
        assert np.isnan(frame.forces[:2]).all()
        assert np.abs(frame.forces[2:]).max() == 0.1


def test_masked_forces_change_nothing_in_a_fit(tmp_path):
    write(tmp_path / "masked.extxyz", masked_frames())
    settings = {
        "data": {"check_labels": True},
        "e0": {"method": "least_squares"},
        "terms": [{"n_sparse": 10, "n_max": 3, "l_max": 2}],
    }
    models = []
    for force in (77.0, -5.0):
        cells = masked_frames()
        for atoms in cells:
            atoms.calc.results["forces"][:2] = force
        models.append(gapfit.fit(cells, settings))
    one, other = (m.predict(cells[0], stress=False).forces for m in models)
    np.testing.assert_array_equal(one, other)
    assert models[0].record.n_rows["forces"] == 8 * 18
    from_file = read(tmp_path / "masked.extxyz", CONFIG)
    assert np.isnan(from_file.frames[3].forces[:2]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -100.0])
def test_forces_that_are_missing_need_a_mask(tmp_path, value):
    cells = masked_frames()
    for atoms in cells:
        atoms.calc.results["forces"][:2] = value
    write(tmp_path / "missing.extxyz", cells)
    for source in (cells, tmp_path / "missing.extxyz"):
        data = read(source, CONFIG)
        assert np.isnan(data.frames[3].forces[:2]).all()
        assert np.abs(data.frames[3].forces[2:]).max() == 0.1
    del cells[3].arrays["force_mask"]
    if value != -100.0:
        refuses("frame 3: forces of atom 0 is .* leave out .* with force_mask", cells)


def test_missing_forces_beside_the_mask_are_refused():
    cells = masked_frames()
    cells[1].calc.results["forces"][5, 2] = np.nan
    refuses("frame 1: forces of atom 5 is nan", cells)


@pytest.mark.parametrize("mask", [np.arange(8), np.ones(7, dtype=bool), np.ones(8)])
def test_masks_that_are_none_are_refused(mask):
    cells = frames(1)
    cells[0].info["force_mask"] = mask
    refuses("frame 0: force_mask .*correct it or remove it", cells)


def test_a_mask_that_was_asked_for_must_be_there():
    refuses("force_mask_key = 'frozen'", frames(2), config(force_mask_key="frozen"))
