"""The local scale: recovered from errors, applied to predictions, stored."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from builders import DATA, config, label
from helpers.error_bars import frame_of, frames_of, salt, settings
from helpers.model_files import header_of, rewritten

import gapfit
from gapfit.data.dataset import read as read_data
from gapfit.data.observations import Quantity
from gapfit.errors import ModelFileError
from gapfit.evaluation.local_scales import (
    _line,
    fitted_local_scale,
    local_scale_nbytes,
)
from gapfit.evaluation.residual_scales import calibration_of
from gapfit.evaluation.residuals import Residuals, predicted_residuals
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.local_scale import LocalLine, LocalScale, log_of_observations
from gapfit.model.scales import Scale, Tilt, tilted_scale, with_local
from gapfit.testing import ROUNDING

#: Standard deviations as they are, up to the local scale.
PLAIN = Scale(1.0, 0.0, tilt=Tilt(1.0, 0.0, 1e-9, 1.0, 1e9, power=1.0))


@pytest.fixture(scope="module")
def bare() -> gapfit.GAPModel:
    """A model of two species that is not calibrated."""
    return gapfit.fit(frames_of(5), settings())


@pytest.fixture(scope="module")
def local(bare) -> LocalScale:
    """Lines that are different for each species and environment."""
    rng = np.random.default_rng(3)
    width = bare.terms[1].descriptor.n_features
    return LocalScale(
        1, {z: LocalLine(rng.normal(size=width), 0.1, -1.0, 1.0) for z in bare.species}
    )


@pytest.fixture(scope="module")
def model(bare, local) -> gapfit.GAPModel:
    """The model with that local scale in its calibration."""
    tilt = Tilt(0.9, 0.1, 1e-3, 0.05, 0.5, power=1.0)
    forces = KindCalibration(Scale(2.0, 0.1, tilt=tilt))
    energy = KindCalibration(Scale(3.0, 0.02, tilt=replace(tilt, power=0.7)))
    kinds = {Quantity.FORCES: forces, Quantity.ENERGY: energy}
    return replace(bare, calibration=Calibration(kinds, "validation", 20, local))


def errors_of(model: gapfit.GAPModel, local: LocalScale, n: int) -> list:
    """Return structures with errors of s times their standard deviations."""
    rng = np.random.default_rng(8)
    out = []
    for seed in range(n):
        frame = frame_of(model, salt(seed + 100))
        std = np.exp(rng.normal(-2, 0.5, 3 * frame.n_atoms))
        s = np.exp(np.repeat(local.of(model.terms, [frame]), 3))
        error = s * std * rng.normal(size=len(std))
        sigma = np.full(len(std), 0.1)
        part = Residuals(Quantity.FORCES, "", frame.n_atoms, 1.0, error, std, sigma)
        out.append((frame, part))
    return out


def test_the_local_scale_is_recovered(bare, local):
    """New environments with small and large true s have the errors that are said."""
    weak = {
        z: replace(line, vector=0.5 * line.vector) for z, line in local.lines.items()
    }
    truth = LocalScale(1, weak)
    found = fitted_local_scale(bare.terms, errors_of(bare, truth, 400), PLAIN)
    new = [frame_of(bare, salt(seed)) for seed in range(1000, 1060)]
    wanted, got = truth.of(bare.terms, new), found.of(bare.terms, new)
    assert wanted.std() > 0.2
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.35 * wanted.std()
    assert abs(np.mean(got - wanted)) < 0.05


def test_errors_without_a_pattern_have_next_to_no_local_scale(bare, local):
    flat = {z: replace(line, least=0.0, most=0.0) for z, line in local.lines.items()}
    found = fitted_local_scale(
        bare.terms, errors_of(bare, LocalScale(1, flat), 60), PLAIN
    )
    new = [frame_of(bare, salt(seed)) for seed in range(1000, 1030)]
    logs = found.of(bare.terms, new)
    # 16 factors from 60 structures with the prior: a few hundredths of noise each.
    assert np.sqrt(np.mean(logs**2)) < 0.12


def test_few_structures_and_models_without_soap_have_none(bare, local):
    many = errors_of(bare, local, 10)
    assert fitted_local_scale(bare.terms, many[:9], PLAIN) is None
    assert fitted_local_scale(bare.terms, many, Scale(1.0, 0.1)) is None
    assert fitted_local_scale(bare.terms[:1], many, PLAIN) is None
    assert fitted_local_scale(bare.terms, many, PLAIN) is not None


def test_environments_are_held_once():
    """Parts of wide environments give the line of them all, without a copy of them."""
    rng = np.random.default_rng(4)
    parts = [rng.normal(size=(30, 600)) @ np.diag(0.9 ** np.arange(600))] * 2
    parts += [part[::-1] ** 2 for part in parts for _ in range(99)]
    sums = rng.chisquare(3, size=(6000, 1)) * [0.3, 0.0] + [0.0, 0.9]
    tracemalloc.start()
    found = _line(parts, sums)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = 8 * 6000 * 600
    assert peak < 0.8 * held
    assert peak < 1.2 * (local_scale_nbytes(6000, 600) - held)
    one = _line([np.concatenate(parts)], sums)
    assert np.allclose(found.vector, one.vector, rtol=0, atol=1e-9)
    assert found.offset == pytest.approx(one.offset, abs=1e-9)


def test_environments_beyond_the_lower_limit_are_not_scaled_down():
    line = LocalLine(np.ones(1), 0.0, -0.5, 0.4)
    values = np.array([[0.7], [0.2], [-0.3], [-0.5], [-0.8], [-1.0], [-9.0]])
    logs = [0.4, 0.2, -0.3, -0.5, -0.2, 0.0, 0.0]
    assert line.of(values) == pytest.approx(logs)
    up = replace(line, least=0.1)
    assert up.of(np.array([[0.2], [0.1], [0.0], [-9.0]])) == pytest.approx(
        [0.2, *[0.1] * 3]
    )


def masked(seed: int) -> Atoms:
    """Return a labelled structure, of which one species has no forces."""
    atoms = label(salt(seed))
    atoms.arrays["force_mask"] = atoms.numbers == 14
    return atoms


def test_forces_without_labels_are_left_out(bare, model, local):
    """The logs are those of the atoms with labels, and the others say nothing."""
    frame = read_data([masked(41)], model.config.data).frames[0]
    logs = local.of(model.terms, [frame])
    parts = {part.quantity: part for part in predicted_residuals(model, frame)}
    wanted = np.repeat(logs[frame.numbers == 32], 3)
    np.testing.assert_array_equal(parts[Quantity.FORCES].local, wanted)
    calibrated = gapfit.calibrate(bare, [masked(seed) for seed in range(40, 52)])
    assert set(calibrated.calibration.local.lines) == {32}
    mixed = [masked(40), *[label(salt(seed)) for seed in range(41, 52)]]
    assert set(gapfit.calibrate(bare, mixed).calibration.local.lines) == {14, 32}
    assert gapfit.evaluate(calibrated, mixed)["all"]["forces"]["n"] == 11 * 24 + 12


def test_environments_that_are_the_same_up_to_rounding_have_one_scale(bare):
    """Of crystals at rest, moved as a whole, the last digits must not decide."""
    rng, crystals = np.random.default_rng(2), []
    for _ in range(12):
        atoms = bulk("NaCl", "rocksalt", a=5.1, cubic=True)
        atoms.numbers[:] = [14, 32] * 4
        atoms.positions += rng.normal(size=3)
        frame = frame_of(bare, atoms)
        std, error = np.full(24, 0.1), rng.normal(0.0, 0.1, 24)
        sigma = np.full(24, 0.1)
        part = Residuals(Quantity.FORCES, "", 8, 1.0, error, std, sigma)
        crystals.append((frame, part))
    found = fitted_local_scale(bare.terms, crystals, PLAIN)
    for line in found.lines.values():
        assert not line.vector.any()
        assert line.least == line.most == line.offset


def test_environments_beyond_those_of_the_calibration_are_at_the_limits(bare, local):
    found = fitted_local_scale(bare.terms, errors_of(bare, local, 50), PLAIN)
    far = [frame_of(bare, salt(k)) for k in range(3)]
    for frame in far:
        frame.positions[:] *= 0.6
        frame.cell[:] *= 0.6
    for z, line in found.lines.items():
        own = found.of(bare.terms, far)[np.concatenate([f.numbers for f in far]) == z]
        assert line.least <= own.min() <= own.max() <= line.most
        assert -1.5 <= line.least < line.most <= 1.5


@pytest.mark.parametrize("power", [0.3, 1.0, 1.6])
def test_the_power_of_sums_is_recovered(power):
    rng = np.random.default_rng(5)
    n = 4000
    std, logs = np.exp(rng.normal(-3, 0.7, n)), rng.normal(0.4, 0.5, n)
    error = np.hypot(2 * std, 0.01) * np.exp(power * logs) * rng.normal(size=n)
    found = with_local(tilted_scale(error, std, n), error, std, logs, n)
    # Fisher information of the power: twice the sum of squares of the logs.
    assert abs(found.tilt.power - power) < 4 / np.sqrt(2 * n * 0.5**2)
    z = error / found.std(std, local=logs)
    for group in np.array_split(np.argsort(logs), 5):
        assert np.sqrt(np.mean(z[group] ** 2)) == pytest.approx(1.0, abs=0.1)
    few = slice(0, 3)
    weak = with_local(found, error[few], std[few], logs[few], 1e-6)
    assert weak.tilt.power < 1e-3


def test_the_bars_of_all_force_components_have_the_size_of_the_errors():
    """Also where a few large structures, which count for little in the lines, err more."""
    rng = np.random.default_rng(12)
    parts = []
    for n_atoms, size in [(8, 1.0)] * 20 + [(216, 3.0)] * 2:
        std = np.exp(rng.normal(-2, 0.4, 3 * n_atoms))
        error = size * std * rng.normal(size=len(std))
        logs = np.repeat(rng.normal(0, 0.3, n_atoms), 3)
        sigma = np.full(len(std), 0.1)
        parts.append(
            Residuals(Quantity.FORCES, "", n_atoms, 1.0, error, std, sigma, logs)
        )
    scale = calibration_of(parts, "validation", len(parts)).kinds["forces"].scale
    assert scale.tilt.power == 1.0
    error, std, logs = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("error", "std", "local")
    )
    z = error / scale.std(std, local=logs)
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.02)


def test_predictions_have_the_scale_of_their_environments(model, local):
    atoms = salt(40)
    logs = local.of(model.terms, [frame_of(model, atoms)])
    assert np.ptp(logs) > 0.1
    function = model.predict(atoms, std=True, observation=False)
    raw = model.predict(atoms, std=True, observation=False, calibrated=False)
    found = model.predict(atoms, std=True)
    root = np.sqrt(len(atoms))
    forces, energy = (
        model.calibration.kinds[q].scale for q in (Quantity.FORCES, Quantity.ENERGY)
    )
    ROUNDING.check(found.forces_std, forces.std(raw.forces_std, local=logs[:, None]))
    mean = 0.5 * np.log(np.mean(np.exp(2 * logs)))
    ROUNDING.check(found.energy_std, energy.std(np.array(raw.energy_std), root, mean))
    # Of the potential alone, and where no calibration is asked for, nothing changes.
    ROUNDING.check(function.forces_std, forces.of_function(raw.forces_std))
    plain = replace(model, calibration=replace(model.calibration, local=None))
    for options in ({"observation": False}, {"calibrated": False}):
        one, other = (m.predict(atoms, std=True, **options) for m in (model, plain))
        np.testing.assert_array_equal(one.forces_std, other.forces_std)
        assert one.energy_std == other.energy_std


def test_evaluations_judge_the_numbers_that_predictions_write(model):
    atoms = label(salt(41))
    predicted = model.predict(atoms, std=True)
    found = {p.quantity: p for p in predicted_residuals(model, frame_of(model, atoms))}
    forces, energy = found[Quantity.FORCES], found[Quantity.ENERGY]
    for part, wanted in (
        (forces, predicted.forces_std.ravel()),
        (energy, np.array([predicted.energy_std])),
    ):
        std = model.calibration.observed(
            part.quantity, part.std, part.sigma, part.root, local=part.local
        )
        np.testing.assert_allclose(std, wanted, rtol=1e-8)


def test_logs_of_a_sum_are_those_of_the_mean_square():
    logs = np.log([1.0, 2.0, 3.0])
    assert log_of_observations(logs, Quantity.ENERGY) == pytest.approx(
        0.5 * np.log(14 / 3)
    )
    np.testing.assert_array_equal(
        log_of_observations(logs, Quantity.FORCES), np.repeat(logs, 3)
    )


def test_the_file_holds_it_bit_by_bit(model, tmp_path):
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz", training_sums=True)
    one, other = (own.predict(salt(3), std=True) for own in (model, loaded))
    np.testing.assert_array_equal(one.forces_std, other.forces_std)
    assert one.energy_std == other.energy_std
    loaded.save(tmp_path / "again.npz")
    again = (tmp_path / "again.npz").read_bytes()
    assert again == (tmp_path / "m.npz").read_bytes()


def test_a_file_from_before_local_scales_is_read_without_one(model, tmp_path):
    model.save(tmp_path / "m.npz")
    header = header_of(tmp_path / "m.npz")
    del header["calibration"]["local"]
    for kind in header["calibration"]["kinds"].values():
        del kind["scale"]["tilt"]["power"]
    old = rewritten(tmp_path / "m.npz", tmp_path / "f.npz", header=json.dumps(header))
    plain = replace(model, calibration=replace(model.calibration, local=None))
    one, other = (own.predict(salt(3), std=True) for own in (gapfit.load(old), plain))
    np.testing.assert_array_equal(one.forces_std, other.forces_std)
    assert one.energy_std == other.energy_std


@pytest.mark.parametrize(
    "damage",
    [
        {"term": 0},
        {"term": 0, "lines": {}},
        {"term": 2},
        {"term": -1},
        {"lines": {"14": {"offset": 0.0, "least": 1.0, "most": 0.0}}},
        {"lines": {"32": {"offset": "x", "least": 0.0, "most": 0.0}}},
        {"lines": {"6": {"offset": 0.0, "least": 0.0, "most": 0.0}}},
        {"lines": {"14": {"offset": 0.0, "least": 0.0}}},
        {"lines": None},
    ],
)
def test_a_damaged_one_is_refused(damage, model, tmp_path):
    model.save(tmp_path / "m.npz")
    header = header_of(tmp_path / "m.npz")
    header["calibration"]["local"] |= damage
    forged = rewritten(
        tmp_path / "m.npz", tmp_path / "f.npz", header=json.dumps(header)
    )
    with pytest.raises(ModelFileError, match="damaged"):
        gapfit.load(forged)


def test_bars_of_silicon_fit_crystals_and_liquids():
    """Test structures that neither fit nor calibration has seen, with no config_type."""
    train, test = (
        read(DATA / "silicon" / f"{n}.extxyz", ":") for n in ("train", "test")
    )
    terms = [{"type": "distance_2b"}, {"r_cut": 5.0, "n_sparse": 200}]
    model = gapfit.fit(train, {**config(), "terms": terms})
    found = gapfit.evaluate(model, test)["all"]
    print(found["forces"]["uncertainty"], found["energy"]["uncertainty"])
