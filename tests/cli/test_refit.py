"""`gapfit refit`, and refits that need the training data."""

from __future__ import annotations

import json

import pytest
from ase.io import write
from builders import config, labelled_frames, silicon
from helpers.refits import SIGMA

import gapfit
from gapfit.cli import main
from gapfit.data.dataset import read


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a fit whose predictions are projected."""
    monkeypatch.chdir(tmp_path)
    frames = labelled_frames(lambda: silicon() * (2, 1, 1), 6)
    write("train.extxyz", frames, format="extxyz")
    given = {**SIGMA, "config_types": {"odd": {"energy": 0.02}}}
    soap = {"n_max": 8, "l_max": 6, "n_sparse": 96, "atom_sigma": 1.0}
    whole = config(**soap) | {"sigma": given}
    whole["data"] = {"train": ["train.extxyz"], "check_labels": False}
    gapfit.fit(config=whole).save("model.npz")
    return tmp_path


def test_projections_need_the_training_data(here, monkeypatch):
    model = gapfit.load("model.npz", training_sums=True)
    assert model.terms[0].lossless
    verified = gapfit.refit("model.npz", sigma={"forces": 0.2})
    assert verified.record.projections[0]["n_atoms"] == 96
    assert verified.terms[0].lossless
    assert not any("missing or changed" in text for text in verified.record.warnings)
    # The configuration that names the files may stand beside the folder of the model.
    folder = here / "fit-model"
    folder.mkdir()
    model.save(folder / "model.npz")
    monkeypatch.chdir(folder)
    assert gapfit.refit(folder / "model.npz", sigma={"forces": 0.2}).terms[0].lossless
    # From there alone nothing tells where the files are.
    left_out = gapfit.refit(model, sigma={"forces": 0.2})
    assert not left_out.terms[0].lossless
    assert left_out.record.projections == ()
    assert any(
        "train.extxyz) are missing or changed" in t for t in left_out.record.warnings
    )
    data = read(here / "train.extxyz", model.config.data)
    again = gapfit.refit(model, sigma={"forces": 0.2}, frames=data)
    assert again.record.projections == verified.record.projections


def test_other_data_under_the_same_name_do_not_verify(here):
    write("train.extxyz", labelled_frames(silicon, 3), format="extxyz")
    assert not gapfit.refit("model.npz", sigma={"forces": 0.2}).terms[0].lossless


def test_the_command(here, capsys):
    argv = ["refit", "model.npz", "--output", "model.npz", "--sigma-forces", "0.2"]
    before = gapfit.load("model.npz").record.log_marginal_likelihood
    assert main([*argv, "--config-type", "odd:energy=0.04,forces=0.3"]) == 0
    text = capsys.readouterr().out
    model = gapfit.load("model.npz")
    assert model.config.sigma.forces == 0.2
    assert model.config.sigma.config_types["odd"].energy == 0.04
    assert model.config.sigma.config_types["odd"].forces == 0.3
    after = model.record.log_marginal_likelihood
    assert f"{before:.6g}" in text
    assert f"{after:.6g}" in text
    assert "model.npz" in text
    # Standard output holds JSON alone.
    assert main([*argv[:-1], "0.1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["log_marginal_likelihood"]["before"] == after
    assert found["sigma"]["forces"] == 0.1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing to change: give --sigma-energy"),
        (["--config-type", "odd"], "--config-type odd: write NAME:energy=X"),
        (["--config-type", "odd:energy=x"], "energy = 'x'"),
        (["--config-type", "odd:mass=1"], "mass"),
        (["--config-type", "even:energy=1"], "even had no sigma"),
        (["--sigma-energy", "0"], "must be"),
        (["--sigma-energy", "1", "--output", "no/out.npz"], "there is no folder no"),
    ],
)
def test_messages_of_the_command(here, capsys, argv, message):
    assert main(["refit", "model.npz", "--output", "out.npz", *argv]) == 1
    text = capsys.readouterr().err
    assert text.startswith("gapfit: error: ")
    assert message in text
    assert not (here / "out.npz").exists()
