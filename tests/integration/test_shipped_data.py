"""The shipped first-principles sets and their table in data/README.md."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import sys
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.formula import Formula
from ase.io import iread, write
from builders import DATA

SYSTEMS = {
    "Si": "silicon",
    "C": "carbon",
    "W": "tungsten",
    "P": "phosphorus",
    "Ge2Sb2Te5": "ge2sb2te5",
    "Fe7Cr2Ni": "fe7cr2ni",
}
PARTS = ("train", "test")
BOXES = ("isolated_atom", "dimer", "molecule")

#: Volume (Å³/atom) and bulk modulus (GPa), smallest and largest; residual (meV/atom).
EOS_RANGES = {
    "Si": {"diamond": ((20.41, 20.62), (86, 90), 1.0)},
    "C": {"diamond": ((5.68, 5.73), (428, 438), 1.0)},
    "W": {"bcc": ((16.00, 16.31), (296, 310), 1.0)},
    "P": {"black": ((20.0, 20.4), (70, 76), 0.1)},
    "Ge2Sb2Te5": {
        "gete": ((26.8, 27.2), (46, 53), 0.2),
        "hex": ((30.3, 30.9), (45, 51), 0.2),
        "ge": ((23.8, 24.2), (56, 62), 0.2),
        "sb": ((31.1, 31.9), (48, 55), 0.2),
        "te": ((34.3, 35.3), (42, 48), 0.2),
    },
    "Fe7Cr2Ni": {"fcc4-0": ((11.3, 11.6), (155, 175), 0.2)},
}


@pytest.fixture(scope="module")
def sets() -> dict[str, dict[str, list[Atoms]]]:
    return {
        system: {part: list(iread(DATA / folder / f"{part}.extxyz")) for part in PARTS}
        for system, folder in SYSTEMS.items()
    }


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DATA))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_labels_are_complete(sets, system):
    for frames in sets[system].values():
        for atoms in frames:
            results = atoms.calc.results
            name = atoms.info["frame_id"]
            assert name.split(":")[:2] == [system, atoms.info["config_type"]]
            assert set(atoms.symbols) <= set(Formula(system).count())
            assert results["forces"].shape == (len(atoms), 3), name
            box = atoms.info["config_type"] in BOXES
            assert ("stress" in results) is not box, name
            values = [np.ravel(results[key]) for key in results]
            assert np.isfinite(np.concatenate(values)).all(), name


@pytest.mark.parametrize("system", SYSTEMS)
def test_frame_ids_are_unique(sets, system):
    names = [a.info["frame_id"] for part in PARTS for a in sets[system][part]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("system", SYSTEMS)
def test_split_follows_from_frame_ids(sets, system, generator):
    from generator.split import side

    for part in PARTS:
        for atoms in sets[system][part]:
            assert side(atoms.info["frame_id"]) == part


@pytest.mark.parametrize("system", SYSTEMS)
def test_split_keeps_reference_frames_in_train(sets, system):
    single = [a for a in sets[system]["train"] if len(a) == 1]
    lone = [str(a.symbols) for a in single if a.info["config_type"] == "isolated_atom"]
    assert sorted(lone) == sorted(Formula(system).count())
    test_kinds = {a.info["config_type"] for a in sets[system]["test"]}
    assert not test_kinds & {"isolated_atom", "dimer"}
    assert not any(kind.endswith("_eos") for kind in test_kinds)
    n_train, n_test = (len(sets[system][part]) for part in PARTS)
    assert 0.05 < n_test / (n_train + n_test) < 0.20


@pytest.mark.parametrize("system", SYSTEMS)
def test_frames_pass_the_checks_of_the_split(sets, system, generator):
    from generator.split import clean

    frames = [atoms for part in PARTS for atoms in sets[system][part]]
    good, messages = clean(frames)
    assert not messages
    assert len(good) == len(frames)


def test_split_refuses_bad_frames(sets, generator):
    from generator.split import clean

    first, second, third = copy.deepcopy(sets["C"]["train"][-3:])
    second.calc.results = {**second.calc.results, "energy": np.nan}
    third.positions[1] = third.positions[0] + [0.1, 0, 0]
    good, messages = clean([first, first, second, third])
    assert len(good) == 1
    assert [m.split(" ", 1)[1].split()[0] for m in messages] == [
        "repeats",
        "has",
        "has",
    ]


def test_readme_counts_match_the_files(sets):
    text = (DATA / "README.md").read_text()
    table = re.search(r"<!-- counts -->(.*?)<!-- /counts -->", text, re.DOTALL)
    rows = [line.split("|")[1:-1] for line in table[1].strip().splitlines()[2:]]
    written = {
        (row[0].strip(" `"), system): tuple(int(x) for x in cell.split("/"))
        for row in rows
        for system, cell in zip(SYSTEMS, row[1:], strict=True)
        if cell.strip()
    }
    counted = {}
    for system, parts in sets.items():
        kinds = [Counter(a.info["config_type"] for a in parts[p]) for p in PARTS]
        for kind in kinds[0] | kinds[1]:
            counted[kind, system] = (kinds[0][kind], kinds[1][kind])
        counted["all", system] = tuple(len(parts[p]) for p in PARTS)
    assert written == counted


@pytest.mark.parametrize("system", SYSTEMS)
def test_equations_of_state(sets, system, generator):
    from generator.eos import fit_eos, scans

    found = {k: fit_eos(scan) for k, scan in scans(sets[system]["train"]).items()}
    assert set(found) == set(EOS_RANGES[system])
    for phase, (volumes, moduli, rms) in EOS_RANGES[system].items():
        eos = found[phase]
        assert volumes[0] < eos.volume < volumes[1], phase
        assert moduli[0] < eos.bulk_modulus < moduli[1], phase
        assert eos.rms < rms, phase


def test_equations_of_state_of_several_phases(generator):
    """Phases are told apart by label; only cubic ones have a lattice constant."""
    from generator.eos import birch_murnaghan, fit_eos, scans

    frames = []
    factors = {"cube-a": (0.8, 0.9, 1.0, 1.1, 1.2), "few": (0.9, 1.0, 1.1)}
    crystals = {"cube-a": bulk("NaCl", "rocksalt", a=6.0), "few": bulk("Na")}
    crystals["hex"], factors["hex"] = bulk("Mg"), factors["cube-a"]
    for phase, crystal in crystals.items():
        for factor in factors[phase]:
            atoms = crystal.copy()
            atoms.set_cell(atoms.cell * factor ** (1 / 3), scale_atoms=True)
            volume = np.array(atoms.get_volume())
            energy = birch_murnaghan(volume, -3.0, crystal.get_volume(), 0.5, 4.2)
            atoms.calc = SinglePointCalculator(atoms, energy=float(energy))
            atoms.info["frame_id"] = f"X:binary_eos:{phase}-v{factor:.3f}"
            frames.append(atoms)
    found = {phase: fit_eos(scan) for phase, scan in scans(frames).items()}
    assert set(found) == {"cube-a", "hex"}
    assert found["cube-a"].a0 == pytest.approx(6.0)
    assert found["cube-a"].n_volumes == 5
    assert found["hex"].a0 is None
    assert found["hex"].volume == pytest.approx(bulk("Mg").get_volume() / 2)
    moduli = [eos.bulk_modulus for eos in found.values()]
    assert moduli == pytest.approx([0.5 * 160.2177] * 2, rel=1e-4)


def test_split_adds_folder_and_moments(sets, generator, tmp_path):
    from generator.split import main

    frame = copy.deepcopy(sets["P"]["train"][-1])
    write(tmp_path / "X.extxyz", frame)
    name = frame.info["frame_id"]
    meta = {"frames": {name: {"magmom": 1.23456}}, "settings": {"folder": ""}}
    (tmp_path / "X.extxyz.json").write_text(json.dumps(meta))
    main([str(tmp_path / "X.extxyz"), "--output", str(tmp_path / "x")])
    (copied,) = iread(tmp_path / "x" / "train.extxyz")
    assert copied.get_magnetic_moment() == 1.2346
    settings = json.loads((tmp_path / "x" / "settings.json").read_text())
    assert settings == {"settings": {"folder": "x"}}


def test_the_systems_tested_are_those_shipped(generator):
    from generator.settings import SYSTEMS as SETTINGS

    assert {k: s.folder for k, s in SETTINGS.items() if s.folder} == SYSTEMS


def test_tables_of_the_readme_are_up_to_date(generator, tmp_path):
    from generator.report import main

    for path in (DATA / folder for folder in SYSTEMS.values()):
        (tmp_path / path.name).symlink_to(path, target_is_directory=True)
    text = (DATA / "README.md").read_text()
    (tmp_path / "README.md").write_text(text)
    main(["--folder", str(tmp_path)])
    assert (tmp_path / "README.md").read_text() == text


def test_half_written_frame_is_cut_off(tmp_path, generator):
    from generator.store import FrameStore, read_frames

    source = DATA / "carbon" / "test.extxyz"
    whole = read_frames(source)
    path = tmp_path / "C.extxyz"
    path.write_bytes(source.read_bytes()[:-40])
    with contextlib.closing(FrameStore(path)) as store:
        assert len(store.finished()) == len(whole) - 1
        store.add(whole[-1], {"natoms": len(whole[-1])})
    assert [a.info["frame_id"] for a in read_frames(path)] == [
        a.info["frame_id"] for a in whole
    ]


@pytest.mark.slow
def test_plans_are_stable(sets, generator):
    """The structure of a frame that is not from molecular dynamics never changes."""
    from generator.plans import PLANS

    for system, parts in sets.items():
        plan = {frame.frame_id: frame for frame in PLANS[system]().frames}
        for atoms in (a for frames in parts.values() for a in frames):
            source = plan[atoms.info["frame_id"]].source
            if isinstance(source, Atoms):
                assert abs(source.positions - atoms.positions).max() < 1e-6
                assert abs(source.cell - atoms.cell).max() < 1e-6
