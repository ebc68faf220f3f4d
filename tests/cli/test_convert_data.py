"""Data of other programs in `gapfit convert`, `check`, `init` and `fit`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ase.io import read, write
from helpers import cp2k_files, foreign_files
from helpers.commands import error_of
from helpers.foreign_files import crystal, crystals

from gapfit.cli import main
from gapfit.config.toml import load_config


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with two crystals as each program has them."""
    monkeypatch.chdir(tmp_path)
    frames = crystals()
    Path("ML_AB").write_text(foreign_files.ml_ab(frames))
    Path("a.cfg").write_text(foreign_files.mlip_cfg(frames))
    Path("input.data").write_text(foreign_files.input_data(frames))
    Path("cp2k.out").write_text(cp2k_files.output(frames[0]))
    foreign_files.deepmd(Path("system"), frames)
    return tmp_path


def test_convert_joins_files_of_any_program(folder, capsys):
    write("more.xyz", crystal(1.0), format="extxyz")
    sources = ["ML_AB", "cp2k.out", "system", "more.xyz"]
    assert main(["convert", *sources, "all.extxyz"]) == 0
    out = capsys.readouterr().out
    assert "ML_AB, cp2k.out, system, more.xyz" in out
    assert "  frames   6\n" in out
    assert "  stress   of 6 frames\n" in out
    assert out.endswith("Next:\n  gapfit check all.extxyz\n")
    expected = [*crystals(), crystals()[0], *crystals(), crystal(1.0)]
    for one, other in zip(read("all.extxyz", ":"), expected, strict=True):
        for value in ("get_potential_energy", "get_stress", "get_volume"):
            np.testing.assert_allclose(
                getattr(one, value)(), getattr(other, value)(), rtol=1e-6, atol=1e-6
            )
        np.testing.assert_allclose(
            np.sort(one.get_forces(), axis=0), np.sort(other.get_forces(), axis=0), 1e-5
        )


def test_convert_needs_what_the_files_leave_out(folder, capsys):
    said = error_of(capsys, "convert", "a.cfg", "out.xyz")
    assert "--species Si,O" in said
    assert error_of(capsys, "convert", "input.data", "out.xyz").count("--units") == 2
    assert not Path("out.xyz").exists()
    argv = ["convert", "a.cfg", "out.xyz", "--species", "Au,Cu"]
    assert main(argv) == 0
    assert "out.xyz: exists already" in error_of(capsys, *argv)
    assert main(["convert", "input.data", "o.extxyz", "--units", "atomic"]) == 0
    for name in ("out.xyz", "o.extxyz"):
        found = read(name, ":")
        np.testing.assert_allclose(
            found[1].positions, crystals()[1].positions, atol=1e-7
        )


def test_convert_says_which_files_become_what(folder, capsys):
    said = error_of(capsys, "convert", "ML_AB", "a.cfg", "fit.toml")
    assert said.startswith("fit.toml: only data come from several files")
    said = error_of(capsys, "convert", "system", "fit.toml")
    assert said == "system: is a folder; data become *.extxyz, models are files"
    for target in ("data.traj", "ML_AB", "fit.toml"):
        said = error_of(capsys, "convert", "ML_AB", target)
        assert said == (
            f"{target}: ML_AB has structures, which become *.extxyz; give a name with "
            "this suffix"
        )
    Path("fit.sh").write_text("gap_fit at_file=a.xyz\n")
    said = error_of(capsys, "convert", "fit.sh", "data.traj")
    assert said.endswith("give a name with this suffix; data become *.extxyz")
    with zipfile.ZipFile("model.npz", "w") as archive:
        archive.writestr("header.json", "{}")
    said = error_of(capsys, "convert", "model.npz", "data.extxyz")
    assert "model.npz: is a model, which is not read; models have no structures" in said
    assert "no such file: none" in error_of(capsys, "convert", "none", "a.xyz")
    said = error_of(capsys, "convert", "ML_AB", "fit.toml", "--units", "metal")
    assert said == "--units is for data; leave it out"
    write("more.xyz", crystal(), format="extxyz")
    said = error_of(capsys, "convert", "ML_AB", "more.xyz", "more.xyz", "--force")
    assert said.startswith("more.xyz: is an input and would be replaced")


def test_a_wrong_symbol_is_refused(folder, capsys):
    for command in (["convert", "a.cfg", "out.xyz"], ["check", "a.cfg"]):
        said = error_of(capsys, *command, "--species", "Au,Qq")
        assert said == "--species Au,Qq: 'Qq' is not a chemical symbol; write Si,O"


def test_check_and_init_pass_on_species_and_units(folder, capsys):
    files = ["a.cfg", "input.data"]
    given = ["--species", "Au,Cu", "--units", "atomic"]
    assert main(["check", *files, *given, "--no-label-check"]) == 0
    out = capsys.readouterr().out
    assert "gapfit init a.cfg input.data --species Au,Cu --units atomic" in out
    assert "frames   4" in out
    assert main(["init", *files, *given]) == 0
    config = load_config("fit.toml")
    assert config.data.species == ["Au", "Cu"]
    assert config.data.units == "atomic"
    capsys.readouterr()
    said = error_of(capsys, "check", "fit.toml", "--species", "Au,Cu")
    assert said.startswith("--species is for data files; give species under [data]")


def test_fit_reads_files_of_other_programs(folder, capsys):
    Path("fit.toml").write_text(
        '[data]\ntrain = ["ML_AB", "a.cfg", "system"]\nspecies = ["Au", "Cu"]\n'
        "check_labels = false\n[e0]\nAu = 0.0\nCu = 0.0\n"
        "[[terms]]\ntype = 'distance_2b'\nr_cut = 4.0\nn_sparse = 8\n"
    )
    assert main(["fit", "fit.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert Path("fit-model/model.npz").exists()


def test_a_wrong_symbol_in_a_configuration_is_refused(folder, capsys):
    Path("bad.toml").write_text('[data]\ntrain = "a.cfg"\nspecies = ["Qq"]\n')
    assert "not a chemical symbol: Qq" in error_of(capsys, "check", "bad.toml")
