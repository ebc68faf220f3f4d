"""The shipped first-principles sets and their table in data/README.md."""

from __future__ import annotations

import contextlib
import copy
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import iread

DATA = Path(__file__).parent.parent / "data"
SYSTEMS = {"Si": "silicon", "C": "carbon", "W": "tungsten"}
PARTS = ("train", "test")

#: Lattice constant (Å) and bulk modulus (GPa), smallest and largest.
EOS_RANGES = {
    "Si": ((5.465, 5.485), (86, 90)),
    "C": ((3.568, 3.578), (428, 438)),
    "W": ((3.175, 3.195), (296, 310)),
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
            assert set(atoms.get_chemical_symbols()) == {system}
            assert results["forces"].shape == (len(atoms), 3), name
            box = atoms.info["config_type"] in ("isolated_atom", "dimer")
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
    kinds = Counter(a.info["config_type"] for a in sets[system]["train"])
    assert kinds["isolated_atom"] == 1
    test_kinds = {a.info["config_type"] for a in sets[system]["test"]}
    assert not test_kinds & {"isolated_atom", "bulk_eos", "dimer"}
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
def test_equation_of_state(sets, system, generator):
    from generator.eos import fit_eos

    eos = fit_eos(sets[system]["train"])
    (a_low, a_high), (b_low, b_high) = EOS_RANGES[system]
    assert a_low < eos.a0 < a_high
    assert b_low < eos.bulk_modulus < b_high
    assert eos.rms < 1.0


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
