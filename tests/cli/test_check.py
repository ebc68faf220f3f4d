"""`gapfit check`."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import ase.io
import numpy as np
import pytest
from helpers.commands import CONFIG, error_of, frames_of

from gapfit.cli import main


def test_check_prints_the_whole_report(here, capsys):
    assert main(["check", "train.xyz", "--no-label-check"]) == 0
    out = capsys.readouterr().out
    isolated = frames_of("isolated_atom", 1)[0].get_potential_energy()
    assert f"  e0       Si {isolated:.6f} eV\n" in out
    assert re.search(r"^  energy +energy +9 +9$", out, re.MULTILINE)
    assert re.search(r"^  stress +stress +6 +36  3 frames without", out, re.MULTILINE)
    assert re.search(r"^  dimer +2 +4 .* 1\.\d\d$", out, re.MULTILINE)
    assert "These data can be fitted. Next:\n  gapfit init train.xyz\n" in out


@pytest.mark.parametrize("source", ["test.xyz", "only.toml"])
def test_energies_of_atoms_by_least_squares_are_called_so(here, source, capsys):
    text = CONFIG.replace("train.xyz", "test.xyz")
    Path("only.toml").write_text(text, encoding="utf-8")
    assert main(["check", source, "--no-label-check"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  e0       Si -?\d+\.\d{6} eV \(least squares\)$", out, re.M)


def test_check_of_a_configuration_lists_the_errors_of_all_its_data(here, capsys):
    assert main(["check", "fit.toml"]) == 0
    out = capsys.readouterr().out
    assert "\ntrain: train.xyz\n" in out
    assert "\ntest: test.xyz\n" in out
    assert out.endswith("Next:\n  gapfit tune fit.toml\n  gapfit fit fit-tuned.toml\n")
    for name in ("train.xyz", "test.xyz"):
        broken = ase.io.read(name, ":")
        broken[-1].calc.results["energy"] = np.nan
        ase.io.write(name, broken, format="extxyz")
    message = error_of(capsys, "check", "fit.toml")
    assert "train.xyz, frame 8" in message
    assert "test.xyz, frame 1" in message


def test_check_without_isolated_atoms(here, capsys):
    assert main(["check", "test.xyz", "--no-label-check"]) == 0
    out = capsys.readouterr().out
    assert (
        "  - no energy of an isolated atom of Si: `gapfit init` will propose least "
        "squares over the compositions for [e0]"
    ) in out
    assert out.endswith("These data can be fitted. Next:\n  gapfit init test.xyz\n")
    Path("fit.toml").write_text(
        '[data]\ntrain = "test.xyz"\n[e0]\nmethod = "isolated"\n[[terms]]\n'
    )
    message = error_of(capsys, "check", "fit.toml")
    assert message.startswith("no energy of the isolated atom for Si")


def test_check_refuses_isolated_atoms_that_disagree(here, capsys):
    frames = ase.io.read("train.xyz", ":")
    lone = next(atoms for atoms in frames if len(atoms) == 1)
    lone.calc.results["energy"] += 1.0
    ase.io.write("train.xyz", [*ase.io.read("train.xyz", ":"), lone], format="extxyz")
    assert "isolated atoms disagree" in error_of(capsys, "check", "train.xyz")


def test_check_refuses_test_data_with_new_species(here, capsys):
    frames = ase.io.read("test.xyz", ":")
    frames[1].numbers[0] = 32
    ase.io.write("test.xyz", frames, format="extxyz")
    assert error_of(capsys, "check", "fit.toml") == (
        "the test data contain Ge, which the training data do not (frame 1 of "
        "test.xyz): no prediction is possible; add such frames to data.train or "
        "remove them"
    )


@pytest.mark.parametrize("command", ["fit", "check"])
def test_missing_files_of_all_parts_are_listed(here, capsys, command):
    Path("sub").mkdir()
    Path("sub/fit.toml").write_text(CONFIG, encoding="utf-8")
    assert error_of(capsys, command, "sub/fit.toml") == (
        f"no such file: train.xyz ({here / 'sub/train.xyz'}), test.xyz "
        f"({here / 'sub/test.xyz'}); correct the path (relative paths refer to the "
        "folder of the configuration file)"
    )
    assert [p.name for p in Path("sub").iterdir()] == ["fit.toml"]


def test_check_takes_one_configuration_only(here, capsys):
    assert error_of(capsys, "check", "fit.toml", "train.xyz") == (
        "give either data files or one configuration, not both: fit.toml, train.xyz"
    )


def test_label_warnings_are_printed(here, capsys, monkeypatch):
    seen = []

    def label_warnings(frames, e0):
        seen.append((len(frames), e0))
        return ["stress of bulk_rattled has the opposite sign"]

    fake = types.ModuleType("gapfit.fitting.label_check")
    fake.label_warnings = label_warnings
    monkeypatch.setitem(sys.modules, "gapfit.fitting.label_check", fake)
    assert main(["check", "train.xyz"]) == 0
    assert "- stress of bulk_rattled has the opposite sign" in capsys.readouterr().out
    assert seen[0][0] == 9
    assert main(["check", "train.xyz", "--no-label-check"]) == 0
    assert len(seen) == 1


def test_check_names_config_types_that_are_not_there(here, capsys):
    config = Path("fit.toml").read_text()
    Path("typo.toml").write_text(
        config + "\n[sigma.config_types.bulk_ratled]\nenergy = 1\n"
    )
    assert main(["check", "typo.toml"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "bulk_ratled: no frame has this config_type; did you mean 'bulk_rattled'" in out
    )


def test_check_names_config_types_of_quotas_that_are_not_there(here, capsys):
    text = Path("fit.toml").read_text() + "[terms.config_type_n_sparse]\nliqiud = 3\n"
    Path("fit.toml").write_text(text, encoding="utf-8")
    assert main(["check", "fit.toml"]) == 0
    assert (
        "[[terms]] 1: config_type_n_sparse: liqiud: no frame has this config_type; did "
        "you mean 'liquid'?"
    ) in capsys.readouterr().out


def test_test_frames_that_are_training_frames_are_named(here, capsys):
    frames = ase.io.read("train.xyz", ":")
    ase.io.write("test.xyz", [*ase.io.read("test.xyz", ":"), frames[2], frames[5]])
    for command in (["check", "fit.toml"], ["fit", "fit.toml", "--no-report"]):
        assert main(command) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "are identical to training frames" in out
        assert "of test.xyz) are identical" in out
        assert "test data: 2 frames of" in out


@pytest.mark.parametrize("command", [["check"], ["fit"], ["fit", "--plan"]])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            'centres = ["Ge"]',
            r"no term has a sparse point: `centres` or .* of Si, the sp",
        ),
        ("species_n_sparse = { Si = 0 }", "no term has a sparse point"),
        (
            'type = "ace"\nn_max = [8, 8]\nl_max = [6, 6]',
            r"\[\[terms\]\] 1: ace: more than 5000 .* lower n_max to \[\d, \d\]",
        ),
    ],
)
def test_terms_that_no_fit_can_have_are_refused(here, capsys, command, table, message):
    Path("fit.toml").write_text(f'data.train = "train.xyz"\n[[terms]]\n{table}\n')
    assert re.search(message, error_of(capsys, *command, "fit.toml"))
