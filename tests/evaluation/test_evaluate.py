"""Evaluation: errors and scores are those of predictions."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from builders import config, label, labelled_frames, silicon
from helpers.error_bars import frames_of, salt, settings

import gapfit
from gapfit.evaluation.evaluate import format_table
from gapfit.gp.reliability import reliability


@pytest.mark.parametrize("baseline", [{}, {"repulsion": "zbl", "r_cut": 3.5}])
def test_evaluate_scores_what_predict_says(baseline):
    model = gapfit.fit(frames_of(5), settings(baseline=baseline, calibration={}))
    test = [label(salt(70 + k), config_type="new") for k in range(3)]
    found = gapfit.evaluate(model, test)["all"]
    predictions = model.predict(test, std=True)
    error = np.concatenate(
        [
            (p.forces - a.get_forces()).ravel()
            for p, a in zip(predictions, test, strict=True)
        ]
    )
    std = np.concatenate([p.forces_std.ravel() for p in predictions])
    expected = reliability(error, std)
    for key, value in expected.items():
        assert found["forces"]["uncertainty"][key] == pytest.approx(value, rel=1e-5)
    assert found["energy"]["uncertainty"]["unit"] == "meV/atom"
    assert found["stress"]["uncertainty"]["n"] == 18
    for bare in (
        gapfit.evaluate(model, test, uncertainty=False),
        gapfit.evaluate(replace(model, posterior=None), test),
    ):
        assert "uncertainty" not in bare["all"]["forces"]
        assert bare["all"]["forces"]["rmse"] == found["forces"]["rmse"]


def test_evaluation_is_the_difference_of_prediction_and_label():
    frames = labelled_frames(silicon, 4)
    model = gapfit.fit(frames, config(n_sparse=8))
    shifted = []
    for n, atoms in enumerate(frames):
        prediction = model.predict(atoms)
        moved = Atoms(atoms)
        moved.info["config_type"] = "a" if n < 3 else "b"
        moved.calc = SinglePointCalculator(
            moved,
            energy=prediction.energy + 0.008 * (1 + n),
            forces=prediction.forces - 0.25,
            stress=prediction.stress + 0.001,
        )
        shifted.append(moved)
    metrics = gapfit.evaluate(model, shifted, uncertainty=False)
    assert set(metrics) == {"all", "a", "b"}
    energy = metrics["all"]["energy"]
    assert energy["n"] == 4
    assert energy["unit"] == "meV/atom"
    assert energy["mae"] == pytest.approx(2.5)
    assert energy["rmse"] == pytest.approx(np.sqrt(7.5))
    assert energy["max"] == pytest.approx(4.0)
    assert metrics["a"]["energy"]["mae"] == pytest.approx(2.0)
    assert metrics["b"]["forces"] == {
        "n": 24,
        "mae": pytest.approx(0.25),
        "rmse": pytest.approx(0.25),
        "max": pytest.approx(0.25),
        "unit": "eV/Å",
    }
    assert metrics["all"]["stress"]["rmse"] == pytest.approx(0.1602177, rel=1e-5)
    assert metrics["all"]["stress"]["n"] == 24


def test_a_config_type_called_all_is_not_the_total():
    frames = labelled_frames(silicon, 3)
    for atoms in frames[:2]:
        atoms.info["config_type"] = "all"
    model = gapfit.fit(frames, config(n_sparse=8))
    metrics = gapfit.evaluate(model, frames)
    assert metrics["all"]["energy"]["n"] == 3
    own = metrics["all (config_type)"]["energy"]
    assert own["n"] == 2
    assert own["uncertainty"]["n"] == 2
    assert metrics["all"]["energy"]["uncertainty"]["n"] == 3
    lines = format_table(metrics, "Errors").splitlines()
    starts = [line.split("│")[0].strip() for line in lines[2:5]]
    assert starts == ["all", "all (config_type)", "even"]


def test_evaluation_takes_the_file_of_a_model(tmp_path):
    frames = labelled_frames(silicon, 3)
    model = gapfit.fit(frames, config(n_sparse=8))
    model.save(tmp_path / "m.npz")
    assert gapfit.evaluate(tmp_path / "m.npz", frames) == gapfit.evaluate(model, frames)
    assert repr(model) == "<GAPModel Si: soap, 8 sparse points, cutoff 4.5 Å>"


def test_kinds_without_labels_are_absent():
    frames = labelled_frames(silicon, 3)
    model = gapfit.fit(frames, config(n_sparse=8))
    bare = silicon()
    bare.calc = SinglePointCalculator(bare, energy=-10.0)
    assert set(gapfit.evaluate(model, [bare])["all"]) == {"energy"}


def test_tables_fit_into_100_columns():
    row = {"n": 123456, "mae": 1.234e-5, "rmse": 123456.0, "max": 1.0, "unit": "eV"}
    scores = dict.fromkeys(("coverage_68", "coverage_95", "interval_68"), 1.0)
    scores |= {"rms_z": 12.34, "rank": -0.5, "sharpness": 1.23e-5, "n": 123456}
    kinds = {
        kind: row | {"uncertainty": scores} for kind in ("energy", "forces", "stress")
    }
    rare = {"energy": row | {"uncertainty": scores | {"n": 1}}}
    long = "a_config_type_with_a_very_long_name_number_7"
    text = format_table({"all": kinds, long: kinds, "rare": rare}, "Errors, test data")
    assert max(map(len, text.splitlines())) <= 100
    wild = {"stress": row | {"uncertainty": scores | {"rms_z": 28737.3}}}
    (line,) = re.findall("^all +stress.*", format_table({"all": wild}, "Errors"), re.M)
    assert line.split()[2:6] == ["123456", "100", "100", "2.9e+04"]
    tiny = {kind: row | {"mae": 1.23e-7, "rmse": 4321.5} for kind, row in kinds.items()}
    narrow = format_table({"all": tiny}, "Errors")
    assert "1.2e-07    4322" in narrow
    assert text.count("a_config_type_…umber_7") == 4
    assert text.count("\nrare ") == 1
    assert text.endswith("1 lines of fewer than 5 errors are left out.")
