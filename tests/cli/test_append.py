"""`gapfit append`."""

from __future__ import annotations

import json

import pytest
from ase.io import write
from builders import (
    labelled_frames,
    silicon,
    wire,
)
from helpers.appended import calm, later
from helpers.refits import settings

import gapfit
from gapfit.cli import main
from gapfit.config.sections import FitConfig


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("new.extxyz", later(silicon), format="extxyz")
    write("far.extxyz", labelled_frames(wire, 4), format="extxyz")
    gapfit.fit(calm(6), settings(n_sparse=12, atom_sigma=0.4, zeta=4)).save("model.npz")
    return tmp_path


def test_the_command(here, capsys):
    before = gapfit.load("model.npz")
    argv = ["append", "model.npz", "new.extxyz", "far.extxyz", "--output", "out.npz"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    model = gapfit.load("out.npz")
    assert model.record.n_frames == 13
    for number in (before, model):
        assert f"{number.record.log_marginal_likelihood:.6g}" in text
    rows = "\n".join(" ".join(line.split()) for line in text.splitlines())
    assert "frames 6 13" in rows
    assert f"sparse points {before.n_sparse} {before.n_sparse}" in rows
    # Onto itself, with points, as JSON.
    argv = ["append", "model.npz", "far.extxyz", "--output", "model.npz"]
    assert main([*argv, "--new-sparse", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    n_points = found["appended"]["sparse_points"][0]["n_points"]
    assert found["n_sparse"]["after"] == found["n_sparse"]["before"] + n_points
    assert gapfit.load("model.npz").n_sparse == found["n_sparse"]["after"]
    assert 0 < n_points <= 5
    assert main(["info", "model.npz"]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["model.npz", "none.extxyz"], "no such file: none.extxyz"),
        (["none.npz", "new.extxyz"], "none.npz: there is no such model file"),
        (["model.npz", "new.extxyz", "--energy-key", "E"], "--energy-key = 'E'"),
        (["model.npz", "new.extxyz", "--new-sparse", "-2"], "new_sparse = -2"),
        (["model.npz", "new.extxyz", "--output", "no/out.npz"], "no folder no"),
        (["model.npz", "new.extxyz", "--output", "."], "is a folder"),
        (["model.npz", "new.extxyz", "--output", "new.extxyz"], "is an input"),
    ],
)
def test_messages_of_the_command(here, capsys, argv, message):
    assert main(["append", "--output", "out.npz", *argv]) == 1
    text = capsys.readouterr().err
    assert text.startswith("gapfit: error: ")
    assert message in text
    assert not (here / "out.npz").exists()
    assert "Properties=" in (here / "new.extxyz").read_text()


def test_a_model_without_sums_is_refused_before_the_data_are_read(here, frames, capsys):
    lost = FitConfig.model_validate(settings() | {"run": {"store_sums": False}})
    gapfit.fit(frames, lost).save("lost.npz")
    argv = ["append", "lost.npz", "none.extxyz", "--output", "out.npz"]
    assert main(argv) == 1
    assert "lost.npz: the model contains no sums" in capsys.readouterr().err
