"""Calibration by structures left out, of fits and of other data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from builders import label
from helpers.error_bars import SOAP, frames_of, residuals, salt, settings

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError, LeftOutError
from gapfit.evaluation.calibrate import representative
from gapfit.evaluation.residual_scales import calibration_of
from gapfit.evaluation.residuals import (
    left_out_residuals,
)
from gapfit.model.scales import fitted_scale
from gapfit.testing import REFIT
from gapfit.threads import use_threads


def test_structures_lost_in_rounding_are_left_to_the_others(caplog):
    """With an energy that is all but exact, H is 1 to all digits."""
    frames = [label(salt(k), config_type=f"type {min(k, 1)}") for k in range(4)]
    sigma = {"energy": 0.1, "forces": 1.0, "virial": 1.0}
    sigma["config_types"] = {"type 0": {"energy": 1e-8}}
    solver = {"method": "qr", "jitter": 1e-8}
    model = gapfit.fit(frames, settings(calibration={}, sigma=sigma, solver=solver))
    text = "calibration without 1 structures: frame 0: its sigmas are so small that"
    assert sum(own.startswith(text) for own in model.record.warnings) == 1
    assert text in caplog.text
    assert model.calibration.n_structures == 3
    assert model.calibration.kinds["energy"].n == 3
    with pytest.raises(LeftOutError, match=r"raise \[sigma\]"):
        gapfit.leave_one_out(model, frames)
    alone = gapfit.calibrate(model, frames[1:], fitted=True)
    assert alone.calibration == model.calibration


@pytest.mark.parametrize("n_sparse", [3, 200])
def test_a_fit_that_cannot_be_calibrated_is_still_a_fit(n_sparse):
    frames = [label(salt(0))]
    model = gapfit.fit(
        frames,
        settings(
            calibration={},
            sigma={"energy": 1e-8, "forces": 1e-7, "virial": 1e-7},
            terms=[SOAP | {"n_sparse": n_sparse}],
            solver={"method": "qr", "jitter": 1e-8},
        ),
    )
    assert model.calibration is None
    assert "calibration without 1 structures" in model.record.warnings[-1]
    assert np.isfinite(model.predict(frames[0], std="forces").forces_std).all()
    with pytest.raises(GapfitError, match="too small to leave it out"):
        gapfit.calibrate(model, frames)


def test_a_fit_is_calibrated_by_structures_left_out(model):
    known = model.calibration
    every = read(frames_of(5), model.config.data).frames
    found = [own for frame in every for own in left_out_residuals(model, frame)]
    assert known.method == "leave one out"
    assert known.n_structures == 6
    assert set(known.kinds) == set(Quantity)
    for kind, own in known.kinds.items():
        some = [r for r in found if r.quantity == kind]
        error = np.concatenate([r.error / r.root for r in some])
        std = np.concatenate([r.std / r.root for r in some])
        expected = fitted_scale(error, std)
        assert own.n == len(error)
        REFIT.check(own.scale.factor, expected.factor)
        REFIT.check(own.scale.floor, expected.floor)


def test_calibrate_knows_its_training_data(model):
    bare = replace(model, calibration=None)
    assert gapfit.calibrate(bare, frames_of(5)).calibration == model.calibration
    others = [label(salt(60 + k)) for k in range(4)]
    found = gapfit.calibrate(bare, others).calibration
    assert found.method == "validation"
    assert found.n_structures == 4
    assert found.kinds["forces"].n == 96
    said = gapfit.calibrate(bare, frames_of(5)[:3], fitted=True).calibration
    assert said.method == "leave one out"
    assert said.n_structures == 3


def test_calibrate_knows_what_was_appended():
    frames = [*frames_of(5), *(label(salt(60 + k)) for k in range(5))]
    larger = gapfit.fit(frames[:6], settings())
    for first, last in ((6, 8), (8, 11)):
        larger = gapfit.append(larger, frames[first:last])
    found = gapfit.calibrate(larger, frames).calibration
    assert found == gapfit.calibrate(larger, frames, fitted=True).calibration
    assert found.method == "leave one out"
    for others in (
        frames[:8],
        frames[:6],
        frames[6:],
        frames[::-1],
        [*frames, frames[0]],
    ):
        assert gapfit.calibrate(larger, others).calibration.method == "validation"
    errors = gapfit.leave_one_out(larger, frames)["all"]
    assert errors["energy"]["n"] == 11
    with pytest.raises(GapfitError, match="appended ones after those of the fit"):
        gapfit.leave_one_out(larger, frames[:6])


def test_calibrate_takes_so_many_observations(model):
    found = gapfit.calibrate(model, frames_of(5), n_rows=60)
    # 31 observations of a crystal: at least those asked for, of whole structures.
    assert 1 < found.calibration.n_structures < 6
    for wrong in (0, -5):
        with pytest.raises(GapfitError, match=f"n_rows = {wrong}: give"):
            gapfit.calibrate(model, frames_of(5), n_rows=wrong)


def test_structures_are_drawn_at_random_and_of_all_config_types():
    lengths = [*np.linspace(5.0, 5.3, 40), 4.8]
    frames = [
        label(bulk("Si", a=a), config_type="one" if a < 5 else "many") for a in lengths
    ]
    every = read(frames, DataConfig(train=["in memory"])).frames
    # 13 observations each.
    counts = np.zeros(41)
    for seed in range(300):
        drawn, further = representative(every, 130, seed)
        assert len(drawn) == 10
        assert not set(drawn) & set(further)
        assert (np.diff(drawn) > 0).all()
        assert 40 in drawn or 40 in further
        assert len(further) <= 10
        counts[drawn] += 1
    # The rare one is as likely as any other: 300 × 10 / 41, binomial.
    assert abs(counts[40] - 300 * 10 / 41) < 4 * np.sqrt(300 * 10 / 41)
    drawn, further = representative(every, 10_000, 0)
    np.testing.assert_array_equal(drawn, np.arange(41))
    assert not len(further)


def test_further_structures_count_for_their_config_type_only():
    rng = np.random.default_rng(8)
    common = [residuals(rng, "common", 5.0) for _ in range(30)]
    rare = [residuals(rng, "rare", 50.0) for _ in range(10)]
    alone = calibration_of(common, "x", 30).kinds["forces"]
    both = calibration_of(common, "x", 40, rare).kinds["forces"]
    assert (both.scale, both.n, both.quantiles) == (
        alone.scale,
        alone.n,
        alone.quantiles,
    )
    assert both.by_type["rare"].factor > 4 * both.scale.factor
    assert both.by_type["common"] == alone.by_type["common"]


def test_none_is_no_calibration(model):
    bare = gapfit.fit(frames_of(5), settings(calibration={"method": "none"}))
    assert bare.calibration is None
    a, b = (own.predict(salt(9), std=True, calibrated=False) for own in (bare, model))
    np.testing.assert_array_equal(a.forces_std, b.forces_std)


def test_a_model_without_posterior_is_not_calibrated():
    model = gapfit.fit(
        frames_of(2), settings(calibration={}, run={"store_posterior": False})
    )
    assert model.calibration is None
    with pytest.raises(GapfitError, match="without its posterior"):
        gapfit.calibrate(model, frames_of(2))


def test_structures_without_labels_are_refused(model):
    with pytest.raises(GapfitError, match="neither energies nor forces"):
        gapfit.calibrate(model, [salt(1)])


def test_changed_training_files_are_refused(tmp_path, monkeypatch):
    from ase.io import write

    monkeypatch.chdir(tmp_path)
    write("train.xyz", frames_of(2), format="extxyz")
    data = {"train": "train.xyz", "check_labels": False}
    model = gapfit.fit("train.xyz", settings(data=data, calibration={}))
    again = gapfit.calibrate(replace(model, calibration=None))
    assert again.calibration == model.calibration
    write("train.xyz", frames_of(3), format="extxyz")
    with pytest.raises(
        GapfitError, match="not exactly what was fitted: they have changed"
    ):
        gapfit.calibrate(model)


def test_calibration_does_not_depend_on_threads():
    found = []
    for threads in (1, 2):
        wanted = settings(calibration={}, run={"threads": threads})
        found.append(gapfit.fit(frames_of(2), wanted).calibration)
    for kind in Quantity:
        a, b = (own.kinds[kind] for own in found)
        assert a.scale.factor == pytest.approx(b.scale.factor, rel=1e-5)
        assert a.scale.floor == pytest.approx(b.scale.floor, rel=1e-4)


def test_append_keeps_the_calibration_and_refit_drops_it(model):
    larger = gapfit.append(model, [label(salt(90))])
    assert larger.calibration == model.calibration
    changed = gapfit.refit(model, sigma={"forces": 2.0})
    assert changed.calibration is None
    warnings = changed.record.warnings
    assert sum("no longer calibrated" in text for text in warnings) == 1
    assert "no longer calibrated" not in " ".join(
        gapfit.refit(changed, sigma={"forces": 3.0}).record.warnings[len(warnings) :]
    )


def test_warnings_of_the_calibration_end_with_a_new_one(model):
    said = "calibration is still that of the earlier data"
    more = [label(salt(90 + k)) for k in range(12)]
    larger = gapfit.append(model, more)
    assert sum(said in text for text in larger.record.warnings) == 1
    changed = gapfit.refit(model, sigma={"forces": 2.0})
    few = "calibration from 4 structures only"
    for old in (larger, changed):
        little = gapfit.calibrate(old, more[:4])
        assert [few in text for text in little.record.warnings].count(True) == 1
        enough = gapfit.calibrate(little, more)
        assert enough.record.warnings == model.record.warnings
    bare = gapfit.append(replace(model, calibration=None), more)
    assert bare.record.warnings == model.record.warnings


def test_the_calibration_is_the_same_with_any_number_of_threads():
    frames = frames_of(8)
    model = gapfit.fit(frames, settings())
    calibrations = []
    for n_threads in (1, 2):
        with use_threads(n_threads):
            calibrations.append(gapfit.calibrate(model, frames).calibration)
    assert calibrations[0] == calibrations[1]


def test_structures_side_by_side_fit_into_the_memory(monkeypatch):
    """The largest structure decides, and one is looked at in any case."""
    bounds = []

    def alone(function, items, most):
        bounds.append(most)
        return map(function, items)

    monkeypatch.setattr("gapfit.evaluation.residuals.side_by_side", alone)
    frames = frames_of(6)
    for memory in ("8 GB", "4 GB"):
        gapfit.fit(frames, settings(calibration={}, run={"memory": memory}))
    large, small = bounds
    assert small == large // 2
    assert small < 4e9 / (8 * gapfit.fit(frames, settings()).n_sparse)


def test_forces_that_symmetry_forbids_say_nothing():
    """Positions with eight digits break the symmetry of a crystal a little."""
    rng = np.random.default_rng(7)
    frames = [label(salt(k)) for k in range(4)]
    crystals = []
    for k in range(3):
        atoms = bulk("NaCl", "rocksalt", a=5.1 + 0.05 * k, cubic=True)
        atoms.numbers[:] = [14, 32] * 4
        atoms.positions += 1e-8 * rng.normal(size=(8, 3))
        atoms = label(atoms)
        noise = 1e-3 * rng.normal(size=(8, 3))
        atoms.calc.results["forces"] = atoms.get_forces() + noise
        crystals.append(atoms)
    model = gapfit.fit(frames + crystals, settings(calibration={}))
    forces = model.calibration.kinds["forces"]
    assert forces.n == 3 * sum(len(atoms) for atoms in frames)
