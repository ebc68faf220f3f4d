"""The training data of a model are found from its file."""

from __future__ import annotations

import ase.io
from builders import SOAP, label, labelled_frames, silicon

import gapfit
from gapfit.cli import main
from gapfit.config import FitConfig
from gapfit.config.toml import dump_toml
from gapfit.fitting.training_data import find_training_data, same_training_frames


def test_the_configuration_beside_a_model_is_its_own_in_any_order(tmp_path):
    """The table of config_types is sorted in models, and as it was given in fit.toml."""
    source, output = tmp_path / "source", tmp_path / "elsewhere" / "fitted"
    source.mkdir()
    output.parent.mkdir()
    frames = [*labelled_frames(silicon, 4), label(silicon(9), config_type="a")]
    ase.io.write(source / "train.xyz", frames, format="extxyz")
    sigmas = {name: {"energy": 0.1} for name in ("z", "a", "default")}
    config = FitConfig.model_validate(
        {
            "data": {"train": ["train.xyz"], "check_labels": False},
            "e0": {"method": "least_squares"},
            "sigma": {"config_types": sigmas},
            "terms": [{**SOAP, "n_sparse": 5}],
        }
    )
    (source / "fit.toml").write_text(dump_toml(config))
    words = ["fit", str(source / "fit.toml"), "--output", str(output), "--no-report"]
    assert main(words) == 0
    model, notes = gapfit.load(output / "model.npz"), []
    data, base = find_training_data(model, output / "model.npz", notes)
    assert notes == []
    assert (base / data.train[0]).samefile(source / "train.xyz")
    found = same_training_frames(model, output / "model.npz")
    assert found is not None
    assert len(found) == 5


def test_the_configuration_of_another_fit_is_not_used(tmp_path):
    frames = labelled_frames(silicon, 4)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    settings = {"e0": {"method": "least_squares"}, "terms": [{**SOAP, "n_sparse": 5}]}
    config = FitConfig.model_validate({"data": {"train": ["train.xyz"]}, **settings})
    model = gapfit.fit(frames, config)
    model.save(tmp_path / "model.npz")
    sigma = config.sigma.model_copy(update={"energy": 0.5})
    other = config.model_copy(update={"sigma": sigma})
    (tmp_path / "fit.toml").write_text(dump_toml(other))
    notes = []
    find_training_data(model, tmp_path / "model.npz", notes)
    assert len(notes) == 1
    assert "is not the configuration that model.npz was fitted with" in notes[0]
