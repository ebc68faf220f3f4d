"""Reading: which labels are found, what is reported, and what is refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, KindReport, read
from gapfit.data.frame import Frame
from gapfit.errors import DataError

CONFIG = DataConfig(train=["-"])
STRESS = np.array([0.01, 0.02, 0.03, 0.001, 0.002, 0.003])


def config(**values: object) -> DataConfig:
    return DataConfig(train=["-"], **values)


def frames(count: int = 3, **results: object) -> list[Atoms]:
    """Return silicon cells labelled by a calculator."""
    out = []
    for seed in range(count):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.05, seed=seed)
        forces = np.full((8, 3), 0.1) * (-1) ** np.arange(8)[:, None]
        labels = {"energy": -43.0 + 0.1 * seed, "forces": forces, "stress": STRESS}
        atoms.calc = SinglePointCalculator(atoms, **{**labels, **results})
        out.append(atoms)
    return out


def bare(count: int = 3) -> list[Atoms]:
    """Return silicon cells without labels."""
    out = frames(count)
    for atoms in out:
        atoms.calc = None
    return out


def line(dataset: Dataset, *kinds: str) -> KindReport:
    (found,) = [item for item in dataset.report if item.kind in kinds]
    return found


def refuses(message: str, sources: object, settings: DataConfig = CONFIG) -> None:
    with pytest.raises(DataError, match=message):
        read(sources, settings)


# What is found ---------------------------------------------------------------


def test_labels_of_an_extxyz_file_are_found(tmp_path: Path) -> None:
    atoms = frames()
    for n, item in enumerate(atoms):
        item.info["config_type"] = f"kind {n % 2}"
    write(tmp_path / "train.extxyz", atoms)
    data = read("train.extxyz", CONFIG, base=tmp_path)
    assert data.species == (14,)
    assert data.warnings == ()
    assert data.report == (
        KindReport("energy", "energy", 3, 3),
        KindReport("forces", "forces", 3, 72),
        KindReport("stress", "stress", 3, 18),
        KindReport("config_type", "config_type", 3, 2),
    )
    first = data.frames[1]
    assert first.source == "train.extxyz, frame 1"
    assert first.config_type == "kind 1"
    assert first.energy == pytest.approx(-42.9)
    np.testing.assert_allclose(first.forces, atoms[1].calc.results["forces"])
    np.testing.assert_allclose(first.stress, STRESS)
    np.testing.assert_allclose(first.virial, -STRESS * atoms[1].get_volume())
    np.testing.assert_allclose(first.positions, atoms[1].positions, atol=1e-7)


@pytest.mark.parametrize("suffix", ["xyz", "extxyz.gz", "extxyz.bz2", "xyz.xz", "traj"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    form = "extxyz" if "xyz" in suffix else None
    write(path, frames(), format=form)
    data = read(path, CONFIG)
    assert [frame.energy for frame in data.frames] == pytest.approx([-43, -42.9, -42.8])
    np.testing.assert_allclose(data.frames[2].stress, STRESS, atol=1e-7)


def test_ase_database_with_its_key_value_pairs(tmp_path: Path) -> None:
    from ase.db import connect

    with connect(tmp_path / "data.db") as database:
        for atoms in frames():
            database.write(
                atoms,
                key_value_pairs={"config_type": "bulk", "energy_sigma": 0.003},
                data={"dft_force": np.zeros((8, 3))},
            )
    data = read("data.db", config(forces_key="dft_force"), base=tmp_path)
    assert [frame.config_type for frame in data.frames] == ["bulk"] * 3
    assert data.frames[0].energy_sigma == 0.003
    assert np.all(data.frames[0].forces == 0)
    assert line(data, "forces").ignored == ("forces",)


def test_several_files_keep_their_own_frame_numbers(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", frames(1))
    write(tmp_path / "b.xyz", frames(2)[1:])
    data = read(["a.xyz", tmp_path / "b.xyz"], CONFIG, base=tmp_path)
    assert data.frames[0].source == "a.xyz, frame 0"
    assert data.frames[1].source == f"{tmp_path / 'b.xyz'}, frame 0"


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
    data = read(atoms, CONFIG)
    assert data.frames[0].energy is None
    assert data.frames[0].virial is None
    assert line(data, "stress") == KindReport(
        "stress", "stress", 3, 18, (), "2 frames without"
    )
    assert "2 frames without" in line(data, "energy").note
    assert data.warnings == (
        "energy: 'energy' is used, and 'dft_energy' is the only one in 2 frames, where it "
        "is ignored; choose with energy_key in [data]",
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


# What is refused -------------------------------------------------------------


def test_missing_files_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file: a\.xyz .*b\.xyz .*correct the"):
        read(["a.xyz", "b.xyz"], CONFIG, base=tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").touch()
    refuses(r"d\.xyz: there are no structures in this file", tmp_path / "d.xyz")


def test_no_sources() -> None:
    refuses("nothing to read; give at least one file", [])
    refuses("cannot read data from int '3'; give paths", [3])


def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").write_bytes(b"\x80\x81\xff")
    refuses(r"d\.xyz, frame 0: cannot be read \(UnicodeDecodeError", tmp_path / "d.xyz")
    (tmp_path / "d.traj").write_bytes(b"nothing")
    refuses(r"d\.traj, frame 0: cannot be read \(", tmp_path / "d.traj")
    (tmp_path / "d.db").write_bytes(b"nothing to see here")
    refuses(r"d\.db, frame 0: cannot be read \(", tmp_path / "d.db")


def text_of(tmp_path: Path, atoms: list[Atoms]) -> list[str]:
    write(tmp_path / "d.xyz", atoms)
    return (tmp_path / "d.xyz").read_text().splitlines(keepends=True)


def test_file_cut_short(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    (tmp_path / "d.xyz").write_text("".join(lines[:-3]))
    refuses(
        r"d\.xyz, frame 2 \(line 21\): the file ends after 5 of 8 atoms; it was truncated",
        tmp_path / "d.xyz",
    )
    (tmp_path / "d.xyz").write_text("".join(lines[:-3]) + "Si 0.1 0.2 0")
    refuses("after 6 of 8 atoms", tmp_path / "d.xyz")
    (tmp_path / "d.xyz").write_text("".join(lines[:-1]) + "Si 0.1 0.2")
    refuses(r"d\.xyz, frame 2: cannot be read \(ValueError", tmp_path / "d.xyz")


def test_compressed_file_cut_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    atoms = frames(40)
    for item in atoms:
        item.arrays["noise"] = rng.normal(size=(8, 3))
    packed = gzip.compress("".join(text_of(tmp_path, atoms)).encode())
    (tmp_path / "d.xyz.gz").write_bytes(packed[: len(packed) // 2])
    refuses(r"d\.xyz\.gz, frame \d+: cannot be read \(EOFError", tmp_path / "d.xyz.gz")


def test_blank_line_that_would_hide_the_rest(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    (tmp_path / "d.xyz").write_text("".join([*lines[:10], "\n", *lines[10:]]))
    refuses(
        r"d\.xyz \(line 11\): a blank line followed by more text",
        tmp_path / "d.xyz",
    )
    (tmp_path / "d.xyz").write_text("".join(lines) + "\n  \n")
    assert len(read(tmp_path / "d.xyz", CONFIG).frames) == 3


def test_wrong_number_of_lines(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    del lines[5]
    (tmp_path / "d.xyz").write_text("".join(lines))
    refuses(
        r"d\.xyz, frame 0: cannot be read|d\.xyz, frame 1 \(line \d+\): expected the "
        "number of atoms, found 'Lattice",
        tmp_path / "d.xyz",
    )


def test_cell_vectors_after_the_atoms(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").write_text(
        "1\ncomment\nSi 0 0 0\nVEC1 5 0 0\nVEC2 0 5 0\nVEC3 0 0 5\n"
    )
    refuses(r"neither energies nor forces in 1 frames", tmp_path / "d.xyz")


@pytest.mark.parametrize("symbol", ["Qq", "X"])
def test_unknown_species(tmp_path: Path, symbol: str) -> None:
    lines = text_of(tmp_path, frames())
    lines[13] = lines[13].replace("Si", symbol)
    (tmp_path / "d.xyz").write_text("".join(lines))
    message = (
        r"frame 1: cannot be read \('Qq' is not a chemical symbol"
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
    assert len(lines) == 22
    assert lines[-1] == "  ... and 8 more"


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
        "data": {"check_stress": True},
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
    assert models[0].info["n_rows"]["forces"] == 8 * 18
    from_file = read(tmp_path / "masked.extxyz", CONFIG)
    assert np.isnan(from_file.frames[3].forces[:2]).all()


@pytest.mark.parametrize("mask", [np.arange(8), np.ones(7, dtype=bool), np.ones(8)])
def test_masks_that_are_none_are_refused(mask):
    cells = frames(1)
    cells[0].info["force_mask"] = mask
    refuses("frame 0: force_mask .*correct it or remove it", cells)


def test_a_mask_that_was_asked_for_must_be_there():
    refuses("force_mask_key = 'frozen'", frames(2), config(force_mask_key="frozen"))
