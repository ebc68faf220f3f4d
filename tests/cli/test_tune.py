"""`gapfit tune`."""

from __future__ import annotations

import json

import pytest
from ase.io import write
from helpers.tuning import frames_of

from gapfit.cli import main
from gapfit.config.toml import load_config


def test_missing_targets_are_refused_as_judges_and_left_out_of_json(here, capsys):
    (here / "noforces.toml").write_text(
        (here / "fit.toml")
        .read_text(encoding="utf-8")
        .replace("check_labels = false", "check_labels = false\nuse_forces = false"),
        encoding="utf-8",
    )
    assert main(["tune", "noforces.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["given"]["forces_rmse"] is None
    text = (here / "noforces.toml").read_text(encoding="utf-8")
    (here / "bad.toml").write_text(
        text.replace("folds = 2", 'folds = 2\nscore = "forces"'), encoding="utf-8"
    )
    assert main(["tune", "bad.toml"]) == 1
    assert "no such targets to hold out" in capsys.readouterr().err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.extxyz", frames_of(4))
    (tmp_path / "fit.toml").write_text(
        '[data]\ntrain = "train.extxyz"\ntest = "nowhere.extxyz"\ncheck_labels = false\n'
        '[e0]\nmethod = "least_squares"\n'
        '[tune]\nfolds = 2\nscan = { "soap.r_cut" = [3.5, 4.0] }\n'
        "[[terms]]\nn_max = 4\nl_max = 3\nn_sparse = 20\n",
        encoding="utf-8",
    )
    return tmp_path


def test_command_writes_configuration_and_plot_and_needs_no_test_set(here, capsys):
    assert main(["tune", "fit.toml"]) == 0
    out = capsys.readouterr().out
    assert "log evidence" in out
    assert "gapfit fit fit-tuned.toml" in out
    tuned = load_config(here / "fit-tuned.toml")
    assert tuned.tune is None
    assert tuned.data.train == ["train.extxyz"]
    assert tuned.sigma.forces != 0.05
    assert (here / "fit-tuned.png").read_bytes().startswith(b"\x89PNG")
    tuned_text = (here / "fit-tuned.toml").read_text(encoding="utf-8")
    (here / "fit-tuned.toml").write_text(tuned_text.replace("nowhere", "train"))
    assert main(["check", "fit-tuned.toml"]) == 0
    assert capsys.readouterr().out.endswith("Next:\n  gapfit fit fit-tuned.toml\n")
    assert main(["tune", "fit.toml"]) == 1
    assert (
        "fit-tuned.toml: exists already; give another name, or --force"
        in capsys.readouterr().err
    )
    assert main(["tune", "fit.toml", "--force", "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [trial["settings"].get("soap.r_cut") for trial in trials] == [None, 3.5, 4.0]


def test_command_evaluates_left_out_structures(here, capsys):
    assert main(["tune", "fit.toml"]) == 0
    tuned = (here / "fit-tuned.toml").read_text(encoding="utf-8")
    (here / "fit-tuned.toml").write_text(
        tuned.replace('test = ["nowhere.extxyz"]', "test = []"), encoding="utf-8"
    )
    assert main(["fit", "fit-tuned.toml", "--output", "model"]) == 0
    capsys.readouterr()
    command = ["evaluate", "model/model.npz", "train.extxyz", "--json"]
    assert main(command) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert main([*command, "--leave-one-out"]) == 0
    left_out = json.loads(capsys.readouterr().out)
    for kind in ("energy", "forces"):
        assert left_out["all"][kind]["rmse"] > fitted["all"][kind]["rmse"]


def test_the_choice_is_stress_tested(here, capsys, monkeypatch):
    monkeypatch.setattr("gapfit.robustness.results.QUICK", 20)
    wrong = here / "fit-tuned-stress-test"
    wrong.write_text("mine")
    assert main(["tune", "fit.toml", "--stress-test"]) == 1
    assert "fit-tuned-stress-test: is a file" in capsys.readouterr().err
    assert not (here / "fit-tuned.toml").exists()
    wrong.unlink()
    # Pairs and SOAP of four alike crystals have no wall.
    assert main(["tune", "fit.toml", "--stress-test"]) == 1
    out = capsys.readouterr().out
    assert out.index("gapfit fit fit-tuned.toml") < out.index("Stress test of Si")
    assert "fit-tuned.toml failed the stress test" in out
    stored = json.loads((here / "fit-tuned-stress-test/stress_test.json").read_text())
    assert not stored["passed"]
    assert stored["tests"]["data"]["passed"]
