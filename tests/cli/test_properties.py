"""`gapfit properties`."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from helpers.crystals import copper_frames

import gapfit
from gapfit.cli import main


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    soap = {"r_cut": 5.0, "n_max": 6, "l_max": 4, "n_sparse": 150, "atom_sigma": 0.6}
    return gapfit.fit(
        copper_frames(),
        {
            "e0": {"method": "least_squares"},
            "sigma": {"energy": 0.0005, "forces": 0.01, "virial": 0.005},
            "terms": [soap],
            "data": {"train": ["in memory"], "check_labels": False},
        },
    )


@pytest.fixture
def saved(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    model.save("model.npz")
    return tmp_path


def test_the_command_prints_compares_and_writes(saved, capsys):
    (saved / "dft.toml").write_text(
        "structure.a = 3.6\n[elastic]\nC11 = 170\nC13 = 1\n"
    )
    argv = [
        "properties",
        "model.npz",
        "--prototype",
        "fcc",
        "--only",
        "eos,elastic,dimer",
    ]
    argv += ["--reference", "dft.toml", "--output", "out", "--samples", "4"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "elastic.C11" in line).split()
    found = json.loads((saved / "out" / "properties.json").read_text())
    value = found["quantities"]["elastic.C11"]
    assert float(line[1]) == pytest.approx(value["value"], abs=0.1)
    assert float(line[2]) == pytest.approx(value["std"], abs=0.1)
    assert line[3:5] == ["GPa", "170"]
    own = found["comparison"]["elastic.C11"]
    assert own["deviation"] == pytest.approx(value["value"] - 170)
    assert own["relative"] == pytest.approx(value["value"] / 170 - 1)
    assert "the reference elastic.C13 was not computed; did you mean elastic.C1" in text
    crystal = ase.io.read(saved / "out" / "crystal.extxyz")
    assert crystal.cell[0, 0] == found["quantities"]["structure.a"]["value"]
    for name in ("eos", "dimers"):
        assert (saved / "out" / f"{name}.png").read_bytes()[1:4] == b"PNG"
    assert not (saved / "out" / "phonons.png").exists()
    assert found["facts"]["dimer.Cu-Cu.n_dimers"] == 0
    assert "dimer: these curves extrapolate from pairs in larger structures" in text
    assert "Cu-Cu (no dimer in the data, pairs from 2." in text
    curves = found["curves"]
    assert curves["fitted"]["volume"] == found["quantities"]["eos.volume"]["value"]
    std = np.array(curves["energies_std"])
    assert std.min() == 0.0
    assert std[0] > 0 < std[-1]


def test_the_command_reads_a_crystal_and_prints_json(saved, capsys):
    ase.io.write("crystal.extxyz", bulk("Cu", a=3.6))
    argv = ["properties", "model.npz", "crystal.extxyz", "--only", "surface", "--json"]
    assert main([*argv, "--planes", "111,1-10", "--samples", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"surface.111.energy", "surface.1-10.energy"} < set(found["quantities"])
    assert "comparison" not in found


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give a STRUCTURE, or a --prototype"),
        (["x.xyz", "--prototype", "fcc"], "give a STRUCTURE, or a --prototype"),
        (["x.xyz", "--lattice", "3"], "--element and --lattice go with --prototype"),
        (["--prototype", "fccc"], "unknown prototype 'fccc'"),
        (["--prototype", "fcc", "--element", "Si"], "unknown species Si"),
        (
            ["--prototype", "fcc", "--element", "Xx"],
            "'Xx' cannot be built as fcc, which",
        ),
        (["--prototype", "rocksalt", "--element", "C:x"], "a compound such as NaCl"),
        (["--prototype", "fcc", "--only", "eos,x"], "unknown property 'x'"),
        (["--prototype", "fcc", "--planes", "11"], "--planes 11: give three digits"),
        (["--prototype", "fcc", "--output", "model.npz"], "is a file; give a folder"),
        (["--prototype", "fcc", "--output", "a/b"], "there is no folder a"),
        (["--prototype", "fcc", "--reference", "x.csv"], "as .json or .toml"),
        (["--prototype", "fcc", "--reference", "bad.json"], "a = 'x': give a finite"),
        (["--prototype", "fcc", "--reference", "bad.toml"], "bad.toml: cannot be read"),
    ],
)
def test_mistakes_on_the_command_line_are_named(saved, capsys, argv, message):
    (saved / "bad.json").write_text('{"a": "x"}')
    (saved / "bad.toml").write_text("a = \n")
    assert main(["properties", "model.npz", *argv]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
