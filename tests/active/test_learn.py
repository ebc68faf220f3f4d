"""Learning on the fly: what it asks, what it keeps, and that it can be killed anywhere."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from helpers.learning import (
    THRESHOLD,
    alike_crystals,
    config_of,
    learn,
    log,
    of_alike_crystals,
    settings,
)

import gapfit
from gapfit.testing import SAME_POTENTIAL

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


def test_the_reference_is_asked_above_the_threshold_and_only_there(whole):
    folder, model, told, n_calls = whole
    calls = [record for record in log(folder) if record["event"] == "call"]
    assert len(calls) >= 3
    assert n_calls == 2 + len(calls) == model.record.n_frames
    assert all(record["largest"] > THRESHOLD for record in calls)
    labelled = {(record["job"], record["step"]) for record in calls}
    for status in told:
        if not status.event and (status.job, status.step) not in labelled:
            assert status.reading.largest <= THRESHOLD
    looks = [s.step for s in told if not s.event and s.job == "run 1"]
    assert looks == list(range(0, 61, 5))


def test_every_label_is_what_the_reference_says(whole):
    folder, _, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    for atoms in frames:
        again = atoms.copy()
        again.calc = EMT()
        np.testing.assert_allclose(atoms.get_forces(), again.get_forces(), atol=1e-6)
        np.testing.assert_allclose(atoms.get_stress(), again.get_stress(), atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(
            again.get_potential_energy(), abs=1e-6
        )
    assert [f.info["config_type"] for f in frames[:3]] == ["bootstrap"] * 2 + ["run 1"]


def test_the_log_has_the_error_before_the_structure_was_learned(whole):
    folder, _, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    config = settings(folder.parent)
    plain = {key: config[key] for key in ("e0", "run", "terms")}
    before = gapfit.fit(frames[:2], {**plain, "data": {"train": ["x"]}})
    error = before.predict(frames[2]).forces - frames[2].get_forces()
    (first, *_) = log(folder)
    assert first["forces_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    assert first["forces_largest_error"] == pytest.approx(abs(error).max(), rel=1e-4)
    std = before.predict(frames[2], std="forces", observation=False).forces_std
    assert first["largest"] == pytest.approx(std.max(), rel=1e-4)


def test_the_model_is_the_fit_of_all_labelled_frames(whole):
    folder, model, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    config = model.config.model_dump(exclude_none=True)
    again = gapfit.fit(frames, config)
    SAME_POTENTIAL.check(
        model.predict(frames[-1]).forces, again.predict(frames[-1]).forces
    )


def test_between_fits_structures_are_added_to_the_sums(whole, tmp_path):
    """The end is one fit of all, so that it hangs on nothing but the frames."""
    config, anew = config_of(whole, tmp_path), []
    config["learning"] |= {"refit": 2.0, "new_sparse": 5}
    model = learn(config, tmp_path / "out", report=lambda s: anew.append(s.event))
    frames = ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")
    assert model.record.n_frames == len(frames)
    assert not model.record.appended
    again = gapfit.fit(frames, model.config.model_dump(exclude_none=True))
    SAME_POTENTIAL.check(
        model.predict(frames[0]).forces, again.predict(frames[0]).forces
    )


@pytest.mark.slow
def test_alike_data_do_not_put_the_alarm_to_sleep(tmp_path):
    """Crystals at 300 K give a factor of 0.2; a liquid must be asked for in time."""
    threshold = 0.3
    frames = alike_crystals(tmp_path, 5)
    run = {
        "start": "first.extxyz",
        "steps": 300,
        "timestep": 3.0,
        "temperature": 300.0,
        "final_temperature": 1650.0,
    }
    config = of_alike_crystals(threshold, run)
    first = gapfit.fit(frames, {key: config[key] for key in ("e0", "sigma", "terms")})
    assert first.calibration.scale("forces").factor < 0.5
    learn(config, tmp_path / "out", EMT())
    calls = [record for record in log(tmp_path / "out") if record["event"] == "call"]
    assert 1 <= len(calls) <= 5
    assert calls[0]["forces_largest_error"] < 2 * threshold
