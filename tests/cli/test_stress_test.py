"""`gapfit stress-test`."""

from __future__ import annotations

import json
import shutil

import ase.io
import pytest
from ase.build import bulk
from builders import config, labelled_frames, three_species

import gapfit
from gapfit.cli import main

_FAST = ["--only", "dimers,volume", "--quick"]


@pytest.fixture
def copied(fitted, tmp_path):
    """A copy of a fit that may be changed, with its data."""
    shutil.copytree(fitted.parent, tmp_path / "copy")
    (tmp_path / "copy" / "fit-model" / "fit.toml").unlink()
    return tmp_path / "copy" / "fit-model"


def _stress(*argv: object) -> int:
    return main(["stress-test", *map(str, argv)])


def test_a_failure_is_named_saved_and_the_exit_status(copied, capsys):
    # The model has no repulsion, and two dimers.
    assert _stress(copied / "model.npz", *_FAST) == 1
    text = capsys.readouterr().out
    assert "Stress test of Si" in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "Si-Si" in lines["dimers"]
    stored = json.loads((copied / "stress-test" / "stress_test.json").read_text())
    assert not stored["passed"]
    failure = stored["tests"]["dimers"]["failure"]
    assert failure in text
    frame = ase.io.read(copied / "stress-test" / "dimers.extxyz")
    model = gapfit.load(copied / "model.npz")
    assert frame.get_potential_energy() == pytest.approx(
        model.predict(frame).energy, abs=1e-6
    )


def test_tests_that_pass_end_with_status_0_and_remove_old_frames(copied, capsys):
    folder = copied / "stress-test"
    folder.mkdir()
    (folder / "volume.extxyz").write_text("old")
    argv = [copied / "model.npz", "--only", "data", "--json", "--steps", 50]
    assert _stress(*argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"]
    assert list(found["tests"]) == ["data"]
    assert not (folder / "volume.extxyz").exists()


def test_a_crystal_can_be_given_and_the_folder_named(copied, tmp_path, capsys):
    ase.io.write(tmp_path / "si.extxyz", bulk("Si", a=5.5, cubic=True))
    (copied.parent / "train.xyz").unlink()
    model, out = copied / "model.npz", tmp_path / "out"
    argv = [model, tmp_path / "si.extxyz", "--only", "volume", "--output", out]
    assert _stress(*argv, "--quick") in (0, 1)
    assert "Stress test of Si8" in capsys.readouterr().out
    assert (out / "stress_test.json").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--steps", "3"], "steps = 3: give at least"),
        (["--only", "heat"], "unknown test 'heat'"),
        (["--data", "missing.xyz"], "missing.xyz"),
        (["missing.xyz"], "missing.xyz"),
    ],
)
def test_wrong_usage_is_told(copied, argv, message, capsys):
    assert _stress(copied / "model.npz", *argv) == 1
    assert message in capsys.readouterr().err


def test_missing_data_ask_for_a_crystal(copied, capsys):
    (copied.parent / "train.xyz").unlink()
    assert _stress(copied / "model.npz") == 1
    error = capsys.readouterr().err
    assert "its training data (train.xyz) are not there; name a crystal" in error


def test_skipped_structures_are_told_and_fail_nothing(tmp_path, capsys):
    charges = {"Ge": 0.4, "Sb": 0.4, "Te": -0.4}
    settings = config(n_sparse=15) | {"baseline": {"charges": charges}}
    gapfit.fit(labelled_frames(three_species, 2), settings).save(tmp_path / "m.npz")
    ase.io.write(tmp_path / "crystal.extxyz", three_species())
    argv = [tmp_path / "m.npz", tmp_path / "crystal.extxyz", "--only", "defects"]
    assert _stress(*argv) == 0
    text = capsys.readouterr().out
    assert "not applicable" in text
    assert (
        "one Te atom added: the charges of [baseline.charges] add up to -0.4 e" in text
    )
    folder = tmp_path / "m-stress-test"
    stored = json.loads((folder / "stress_test.json").read_text("utf-8"))
    assert stored["passed"]
    assert not stored["tests"]["defects"]["applicable"]
    assert not (folder / "defects.extxyz").exists()
