"""The scale of extrapolation grades, and grades of structures like and unlike the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from builders import config, label, labelled_frames, silicon, slab, three_species

import gapfit
from gapfit.data.dataset import as_dataset
from gapfit.errors import ModelFileError
from gapfit.evaluation.usual_deviations import with_usual_deviations
from gapfit.model.record import FitRecord


def test_the_scale_is_a_percentile_of_the_training_data():
    frames = labelled_frames(three_species)
    model = gapfit.fit(frames, config())
    std = [p.energies_std for p in model.predict(frames, std="energies")]
    std, numbers = np.concatenate(std), np.concatenate([a.numbers for a in frames])
    usual = model.record.usual_deviations
    assert set(usual) == {32, 51, 52}
    for z, scale in usual.items():
        assert scale == pytest.approx(np.percentile(std[numbers == z], 99))
    graded = model.predict(frames[0], std="energies")
    wanted = graded.energies_std / [usual[z] for z in frames[0].numbers.tolist()]
    np.testing.assert_allclose(graded.extrapolation, wanted)
    assert model.predict(frames[0], std="forces").extrapolation is None


def test_a_large_set_is_looked_at_in_part(si_model, monkeypatch):
    monkeypatch.setattr("gapfit.evaluation.usual_deviations._MOST_ATOMS", 20)
    frames = as_dataset(labelled_frames(silicon, 30), si_model.config).frames
    seen = []
    predict = type(si_model).predict
    monkeypatch.setattr(
        type(si_model),
        "predict",
        lambda self, atoms, **how: seen.extend(atoms) or predict(self, atoms, **how),
    )
    model = with_usual_deviations(si_model, frames)
    assert 100 <= sum(frame.n_atoms for frame in seen) < 100 + 8
    assert model.record.usual_deviations[14] > 0


def test_rare_species_are_looked_at_too(gst_model, monkeypatch):
    monkeypatch.setattr("gapfit.evaluation.usual_deviations._MOST_ATOMS", 20)
    common = []
    for atoms in labelled_frames(three_species, 12):
        atoms.numbers[atoms.numbers == 32] = 51
        common.append(label(atoms))
    rare = labelled_frames(three_species, 1)
    frames = as_dataset([*common, *rare], gst_model.config).frames
    for seed in range(3):
        run = gst_model.config.run.model_copy(update={"seed": seed})
        config = gst_model.config.model_copy(update={"run": run})
        model = with_usual_deviations(replace(gst_model, config=config), frames)
        assert set(model.record.usual_deviations) == {32, 51, 52}


def test_data_that_were_not_fitted_do_not_change_the_scale():
    model = gapfit.fit(labelled_frames(silicon, 8), config())
    hot = [label(silicon(seed)) for seed in range(50, 62)]
    calibrated = gapfit.calibrate(model, hot)
    assert calibrated.calibration != model.calibration
    assert calibrated.record.usual_deviations == model.record.usual_deviations


def test_atoms_unlike_the_data_have_high_grades():
    frames = []
    for seed in range(20):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.05, seed=seed)
        frames.append(label(atoms))
    model = gapfit.fit(frames, config(n_sparse=40))
    same = model.predict(frames, std="energies")
    assert max(p.extrapolation.max() for p in same) < 2
    calculator = gapfit.GAPCalculator(model)
    grades = calculator.get_property("extrapolation", slab())
    assert np.sort(grades)[-2] > 2  # those of both surfaces


def test_grades_go_with_the_posterior_and_come_back_with_a_calibration(tmp_path):
    frames = labelled_frames(silicon, 12)
    model = gapfit.fit(frames, config())
    usual = model.record.usual_deviations
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz", training_sums=True)
    assert loaded.record.usual_deviations == usual
    for changed in (
        gapfit.refit(tmp_path / "m.npz", sigma={"forces": 0.4}, frames=frames),
        gapfit.append(loaded, labelled_frames(silicon, 1)),
    ):
        assert changed.record.usual_deviations == {}
        assert changed.predict(silicon(), std="energies").extrapolation is None
    again = gapfit.calibrate(model.with_record(usual_deviations={}), frames)
    assert again.record.usual_deviations == pytest.approx(usual)


@pytest.mark.parametrize("scale", [{14: 0.0}, {14: -1.0}, {14: np.inf}, {0: 1.0}])
def test_impossible_scales_are_refused(scale, si_model, tmp_path):
    broken = replace(si_model, record=replace(si_model.record, usual_deviations=scale))
    with pytest.raises(ValueError, match="usual_deviations"):
        FitRecord.from_plain(broken.record.plain())
    broken.save(tmp_path / "m.npz")
    with pytest.raises(ModelFileError):
        gapfit.load(tmp_path / "m.npz")
