"""Names of labels on the command line."""

from __future__ import annotations

import json
import re

import ase.io
import pytest
from helpers.commands import error_of

from gapfit.cli import main
from gapfit.config.toml import load_config


def rename_labels(name):
    """Give the labels in a file names that nobody would guess; return options."""
    frames = ase.io.read(name, ":")
    for atoms in frames:
        atoms.info["E_pbe"] = atoms.get_potential_energy()
        atoms.arrays["F_pbe"] = atoms.get_forces()
        atoms.info["origin"] = atoms.info.pop("config_type")
        atoms.calc = None
    ase.io.write(name, frames, format="extxyz")
    return [
        *("--energy-key", "E_pbe"),
        *("--forces-key", "F_pbe"),
        *("--config-type-key", "origin"),
    ]


def test_init_and_check_take_the_names_of_labels(here, capsys):
    options = rename_labels("train.xyz")
    assert rename_labels("test.xyz") == options
    for command in (["init", "--force"], ["check"]):
        message = error_of(capsys, *command, "train.xyz")
        assert message.startswith("there are neither energies nor forces in 9 frames; ")
        said, _, address = message.partition("\n  see ")
        assert said.endswith("; name them with --energy-key and --forces-key")
        assert address.endswith("#no-labels")
    assert main(["check", "train.xyz", "--no-label-check", *options]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  energy +E_pbe +9 +9$", out, re.MULTILINE)
    assert re.search(r"^  dimer +2 +4 ", out, re.MULTILINE)
    assert out.endswith(f"  gapfit init train.xyz {' '.join(options)}\n")
    assert main(["init", "train.xyz", "--test", "test.xyz", "--force", *options]) == 0
    config = load_config("fit.toml").data
    assert (config.energy_key, config.forces_key) == ("E_pbe", "F_pbe")
    assert config.config_type_key == "origin"
    assert config.stress_key is None
    assert main(["check", "fit.toml", "--no-label-check"]) == 0


def test_wrong_name_of_a_label(here, capsys):
    message = error_of(capsys, "check", "train.xyz", "--energy-key", "enrgy")
    assert message.startswith(
        "--energy-key = 'enrgy': none of the 9 frames has this label; "
        "the nearest label is 'energy'; "
    )
    assert message.endswith("; correct --energy-key, or leave it out")
    assert error_of(capsys, "check", "fit.toml", "--stress-key", "s") == (
        "--stress-key is for data files; give stress_key under [data] in fit.toml "
        "instead"
    )


def test_evaluate_takes_the_names_of_labels(fitted, here, capsys):
    model = str(fitted / "model.npz")
    assert main(["evaluate", model, "test.xyz", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    options = rename_labels("test.xyz")
    assert main(["evaluate", model, "test.xyz", "--json", *options]) == 0
    metrics = json.loads(capsys.readouterr().out)
    for kind in ("energy", "forces"):
        found, wanted = (m["bulk_rattled"][kind]["rmse"] for m in (metrics, expected))
        assert found == pytest.approx(wanted, rel=1e-4)
    assert "--energy-key" in error_of(capsys, "evaluate", model, "test.xyz")
