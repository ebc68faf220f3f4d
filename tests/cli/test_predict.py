"""`gapfit predict`."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from helpers.commands import error_of

import gapfit
from gapfit.cli import main
from gapfit.cli._console import Stages
from gapfit.testing import PRINTED


def test_predict(fitted, data, tmp_path, capsys):
    out = tmp_path / "out.extxyz"
    model, test = str(fitted / "model.npz"), str(data / "test.xyz")
    assert main(["predict", model, test, "--output", str(out), "--std"]) == 0
    assert capsys.readouterr().out.endswith(f"to {out}\n")
    expected = gapfit.load(model).predict(ase.io.read(test, 0), std=True)
    [found, *_] = ase.io.read(out, ":")
    assert found.info["config_type"] == "bulk_rattled"
    PRINTED.check(found.get_potential_energy(), expected.energy)
    PRINTED.check(found.get_forces(), expected.forces)
    PRINTED.check(found.get_stress(), expected.stress)
    PRINTED.check(found.arrays["energies_std"], expected.energies_std)
    energies = found.calc.results["energies"]
    PRINTED.check(energies, expected.energies)


def test_predict_without_std_and_volume(fitted, tmp_path, capsys):
    atoms = ase.Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]])
    atoms.info["note"] = "kept"
    ase.io.write(tmp_path / "in.xyz", atoms, format="extxyz")
    argv = ["predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz"), "--output"]
    assert main([*argv, str(tmp_path / "out.xyz")]) == 0
    found = ase.io.read(tmp_path / "out.xyz")
    assert found.info["note"] == "kept"
    assert "energies_std" not in found.arrays
    assert set(found.calc.results) == {"energy", "energies", "forces"}
    assert error_of(capsys, *argv, str(tmp_path / "in.xyz")).endswith(
        "in.xyz: is an input and would be replaced; give another name"
    )
    assert "there is no folder" in error_of(capsys, *argv, "nowhere/out.xyz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder.xyz", "folder.xyz: is a folder; give the name of a file in it"),
        ("folder", "folder: is a folder; give the name of a file in it"),
        (
            "out.traj",
            "out.traj: ends in '.traj'; give a name that ends in .extxyz or .xyz",
        ),
    ],
)
def test_predict_refuses_an_output_before_it_computes(here, capsys, name, message):
    Path("folder.xyz").mkdir()
    Path("folder").mkdir()
    # There is no model: a message about it would come later.
    argv = ["predict", "no.npz", "test.xyz", "--output", name]
    assert error_of(capsys, *argv) == message


def test_predict_starts_its_clock_before_it_computes(fitted, here, monkeypatch):
    calls = []
    monkeypatch.setattr(Stages, "__call__", lambda _, *args: calls.append(args))
    model = str(fitted / "model.npz")
    assert main(["predict", model, "test.xyz", "--output", "out.xyz"]) == 0
    total = sum(len(atoms) for atoms in ase.io.read("test.xyz", ":"))
    assert calls == [("predict", 0, total), ("predict", total, total)]


def test_predict_names_the_structure_that_is_wrong(fitted, tmp_path, capsys):
    good = ase.Atoms("Si", cell=[3, 3, 3], pbc=True)
    bad = ase.Atoms("Ge", cell=[3, 3, 3], pbc=True)
    ase.io.write(tmp_path / "in.xyz", [good, bad], format="extxyz")
    out = tmp_path / "out.xyz"
    message = error_of(
        capsys,
        *("predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz")),
        *("--output", str(out)),
    )
    assert "Ge" in message
    assert not out.exists()
    (tmp_path / "in.xyz").write_text("gibberish\n")
    message = error_of(
        capsys,
        *("predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz")),
        *("--output", str(out)),
    )
    assert "in.xyz, frame 0 (line 1): expected the number of atoms" in message
