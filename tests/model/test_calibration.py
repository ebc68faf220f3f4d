"""Scales of standard deviations: recovered from statistics, applied, stored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from builders import config, label
from helpers.error_bars import frames_of, residuals, salt, settings

import gapfit
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.evaluation.residual_scales import calibration_of
from gapfit.evaluation.residuals import Residuals
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.scales import Scale, Tilt, fitted_scale, tilted_scale
from gapfit.testing import ROUNDING

TILTED = {"factor": 1.0, "floor": 0.1}
TILT = {"factor": 1.0, "exponent": 0.1, "least": 0.5, "usual": 1.0, "most": 2.0}


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    """A model with the calibration that a fit gives it."""
    return gapfit.fit(frames_of(5), settings(calibration={}))


def test_scales_are_recovered():
    """a and b of e ~ N(0, a² s² + b²), within four standard errors of each."""
    rng = np.random.default_rng(0)
    n, a, b = 20_000, 2.5, 0.03
    std = np.exp(rng.normal(-4, 1.5, n))
    variance = (a * std) ** 2 + b**2
    found = fitted_scale(np.sqrt(variance) * rng.normal(size=n), std)
    # Fisher information of log a and log b: half the mean product of d log variance.
    slopes = np.stack([2 * (a * std) ** 2 / variance, np.full(n, 2 * b**2) / variance])
    errors = np.sqrt(np.diag(np.linalg.inv(0.5 * slopes @ slopes.T)))
    assert errors.max() < 0.02
    assert abs(np.log(found.factor / a)) < 4 * errors[0]
    assert abs(np.log(found.floor / b)) < 4 * errors[1]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_scales_follow_the_units(unit):
    rng = np.random.default_rng(1)
    std = np.exp(rng.normal(0, 1, 300))
    error = std * rng.normal(size=300) + 0.3 * rng.normal(size=300)
    found, base = fitted_scale(unit * error, std), fitted_scale(error, std)
    assert found.factor == pytest.approx(unit * base.factor, rel=1e-4)
    assert found.floor == pytest.approx(unit * base.floor, rel=1e-4)


def test_scales_are_the_most_likely():
    rng = np.random.default_rng(2)
    std = np.exp(rng.normal(0, 1, 60))
    error = np.hypot(1.7 * std, 0.4) * rng.standard_t(4, 60)

    def loss(p: np.ndarray, around: Scale | None = None) -> float:
        variance = np.exp(2 * p[0]) * std**2 + np.exp(2 * p[1])
        value = 0.5 * np.sum(error**2 / variance + np.log(variance))
        if around is not None:
            usual = np.exp(np.mean(np.log(std)))
            own, centre = (
                complex(factor * usual, floor)
                for factor, floor in (np.exp(p), (around.factor, around.floor))
            )
            size, turn = np.log(own / centre).real, np.angle(own / centre)
            value += 60 / 10 * 0.5 * ((size / 0.5) ** 2 + (turn / 0.4) ** 2)
        return value

    around = Scale(0.5, 3.0)
    for args, given in (((), ()), ((around,), (around, 10))):
        found = fitted_scale(error, std, *given)
        best = np.log([found.factor, found.floor])
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            step = 0.02 * np.array([np.cos(angle), np.sin(angle)])
            assert loss(best + step, *args) > loss(best, *args)


def test_perfect_predictions_and_constant_ones_have_scales():
    assert fitted_scale(np.zeros(5), np.ones(5)) == Scale(1.0, 0.0)
    found = fitted_scale(np.array([1.0, -1.0]), np.zeros(2))
    assert found == Scale(1.0, 1.0)


def test_scales_of_config_types_are_pulled_to_that_of_all():
    """The fewer structures, the more; below three there is no own scale at all."""
    rng = np.random.default_rng(3)
    common = [residuals(rng, "common", 1.0) for _ in range(60)]
    many = [residuals(rng, "many", 8.0) for _ in range(60)]
    few = [replace(own, config_type="few") for own in many[:3]]
    found = calibration_of([*common, *many, *few, residuals(rng, "rare", 50.0)], "x", 4)
    own = found.kinds["forces"]
    assert set(own.by_type) == {"common", "many", "few"}
    assert own.by_type["common"].factor == pytest.approx(1.0, rel=0.1)
    assert own.by_type["many"].factor == pytest.approx(8.0, rel=0.1)
    error, std = (
        np.concatenate([getattr(r, name) for r in few]) for name in ("error", "std")
    )
    alone = fitted_scale(error, std)

    def distance(scale: Scale) -> float:
        bars, centre = (
            np.hypot(one.factor * std, one.floor) for one in (scale, own.scale)
        )
        return float(np.abs(np.log(bars / centre)).mean())

    assert 0.5 * distance(alone) < distance(own.by_type["few"]) < 0.95 * distance(alone)
    tilt = own.scale.tilt
    expected = fitted_scale(error / tilt.of(std), std, own.scale, 45)
    assert own.by_type["few"] == replace(expected, tilt=tilt)
    # One residual only: the prior all but decides.
    weak = fitted_scale(error[:1], std[:1], own.scale, 1e-6)
    assert weak.factor == pytest.approx(own.scale.factor, rel=1e-3)
    assert weak.floor == pytest.approx(own.scale.floor, rel=1e-3)


def test_small_floors_of_all_are_the_same_to_a_config_type():
    """Errors of all cannot tell them apart, though their logs differ by tens."""
    rng = np.random.default_rng(9)
    std, wide = (np.exp(rng.normal(-7, width, 90)) for width in (0.3, 1.0))
    error, of_all = (20.0 * own * rng.normal(size=90) for own in (std, wide))
    losses, bars = [], []
    for floor in (0.0, 1e-12, 1e-9, 1e-6, 1e-4):
        variance = (20.0 * wide) ** 2 + floor**2
        losses.append(0.5 * np.sum(of_all**2 / variance + np.log(variance)))
        scale = fitted_scale(error, std, Scale(20.0, floor), 90.0)
        bars.append(scale.std(np.array([1e-3, 1e-2])))
    assert np.ptp(losses) < 0.1
    assert np.ptp(np.log(bars), axis=0).max() < 0.02


def test_a_config_type_has_a_floor_of_its_own_if_it_has_many_structures():
    rng = np.random.default_rng(11)
    std = np.exp(rng.normal(-5, 1.0, 1000))
    error = np.hypot(2.0 * std, 0.02) * rng.normal(size=1000)
    around = Scale(6.0, 1e-6)
    many = fitted_scale(error, std, around, 1000.0)
    assert many.floor == pytest.approx(0.02, rel=0.1)
    assert many.factor == pytest.approx(2.0, rel=0.2)
    few = fitted_scale(error[:3], std[:3], around, 0.01)
    np.testing.assert_allclose(few.std(std), around.std(std), rtol=0.05)


def test_beyond_its_structures_a_config_type_has_the_factor_of_all():
    rng = np.random.default_rng(14)
    std, around = rng.uniform(4e-4, 5e-4, 90), Scale(20.0, 1e-6)
    scale = fitted_scale(2e-3 * rng.normal(size=90), std, around, 90.0)
    assert scale.factor < 15.0
    inside = np.linspace(0.0, scale.reach, 9)
    expected = np.hypot(scale.factor * inside, scale.floor)
    np.testing.assert_allclose(scale.std(inside), expected)
    far = scale.std(np.array([1.0, 2.0]))
    assert far[1] - far[0] == pytest.approx(20.0, rel=1e-3)
    # Energies of n atoms reach sqrt(n) as far.
    np.testing.assert_allclose(scale.std(np.array([3.0]), 3.0), 3.0 * far[:1])
    # A larger factor of its own stays, and none of all scales down what lies beyond.
    steep = fitted_scale(90.0 * std * rng.normal(size=90), std, around, 90.0)
    assert steep.factor > 40.0
    assert steep.of_function(np.array(1.0)) == pytest.approx(steep.factor)
    assert fitted_scale(std, std, Scale(0.3, 0.1), 9.0).beyond == 1.0


def test_alike_structures_do_not_hide_the_errors_of_others_of_their_type():
    """Small cells of a type, by chance with errors that do not grow, and then large ones.

    All errors are 20 std; those of all types show it.
    """
    rng = np.random.default_rng(15)

    def energies(
        config_type: str, std: np.ndarray, error: np.ndarray
    ) -> list[Residuals]:
        sigma = np.full(1, 1e-3)
        columns = zip(error[:, None], std[:, None], strict=True)
        return [
            Residuals(Quantity.ENERGY, config_type, 1, 0.0, own, one, sigma)
            for own, one in columns
        ]

    std, wide = rng.uniform(4e-4, 9e-4, 90), np.exp(rng.normal(-6.5, 1.2, 60))
    small = energies("small", std, 0.01 * rng.normal(size=90))
    others = energies("others", wide, 20.0 * wide * rng.normal(size=60))
    scale = calibration_of([*small, *others], "x", 150).kinds["energy"].by_type["small"]
    large = np.array([4e-3, 8e-3])
    np.testing.assert_allclose(scale.std(large), 20.0 * large, rtol=0.4)


def test_the_tilt_is_recovered_and_ends_with_the_evidence():
    """Errors of hypot(a s, b) (s / median)^p, within four standard errors of p."""
    rng = np.random.default_rng(6)
    n, a, exponent = 5000, 2.0, 0.3
    std = np.exp(rng.normal(-3, 1.0, n))
    usual = float(np.median(std))
    error = a * std * (std / usual) ** exponent * rng.normal(size=n)
    scale = tilted_scale(error, std, n)
    # The two numbers of the scale take up a part; what is left is a power of std.
    slope = np.polyfit(np.log(std), np.log(scale.std(std)), 1)[0]
    assert abs(slope - 1 - exponent) < 4 / np.sqrt(2 * n)
    z = error / scale.std(std)
    for group in np.array_split(np.argsort(std), 5):
        assert np.sqrt(np.mean(z[group] ** 2)) == pytest.approx(1.0, abs=0.08)
    tilt = scale.tilt
    far = tilt.of(np.array([1e3, 2e3]) * tilt.most)
    np.testing.assert_array_equal(far, tilt.of(np.full(2, tilt.most)))
    near = tilt.of(np.array([0.0, tilt.least]))
    assert near[0] == near[1] > 0
    # The prior decides where there is next to nothing to learn from.
    assert abs(tilted_scale(error[:3], std[:3], 1e-6).tilt.exponent) < 1e-3


@pytest.mark.parametrize("exponent", [-0.6, -0.2, 0.0, 0.4])
@pytest.mark.parametrize("floor", [0.0, 0.3, 30.0])
def test_larger_deviations_have_larger_bars(exponent, floor):
    """Also where errors fall with the deviations, and beyond the calibration."""
    rng = np.random.default_rng(8)
    std = np.exp(rng.normal(0, 1.0, 2000))
    error = np.hypot(0.6 * std, floor) * std**exponent * rng.normal(size=2000)
    scale = tilted_scale(error, std, 2000)
    x = np.geomspace(1e-4 * std.min(), 1e4 * std.max(), 400)
    for root in (1.0, 3.0):
        bars = scale.std(root * x, root)
        assert (np.diff(bars) > -1e-12 * bars[1:]).all()
        np.testing.assert_allclose(bars, root * scale.std(x), rtol=1e-12)


def test_a_tilt_scales_nothing_down_beyond_the_evidence():
    tilt = Tilt(1.0, -0.4, 0.01, 0.1, 1.0)
    scale = Scale(2.0, 0.0, 1.0, tilt)
    inside, far = scale.std(np.array([1.0, 101.0]))
    assert inside == pytest.approx(2 * 10**-0.4)
    assert far - inside == pytest.approx(200.0)


def test_errors_of_zero_have_no_tilt():
    assert tilted_scale(np.zeros(5), np.ones(5), 5).tilt is None


def test_nothing_is_scaled_down_beyond_the_evidence():
    """Alike structures say little about others: there the posterior stands."""
    rng = np.random.default_rng(5)
    std = rng.uniform(0.5, 1.0, 200)
    found = fitted_scale(0.2 * std * rng.standard_normal(200), std)
    assert found.factor == pytest.approx(0.2, rel=0.2)
    assert found.reach == std.max()
    inside = np.array([0.1, 0.5, found.reach])
    np.testing.assert_allclose(found.of_function(inside), found.factor * inside)
    far = found.of_function(np.array([2.0, 3.0, 1000.0]))
    assert far[1] - far[0] == pytest.approx(1.0)
    assert far[2] == pytest.approx(1000.0, rel=1e-3)
    # Energies of n atoms reach sqrt(n) as far.
    assert found.of_function(np.array(2 * found.reach), 2.0) == pytest.approx(
        2 * found.factor * found.reach
    )
    larger = Scale(3.0, 0.1, 1.0)
    np.testing.assert_allclose(larger.of_function(far), 3 * far)


def test_a_shared_factor_scales_nothing_down():
    forces = KindCalibration(Scale(0.2, 0.1, 1.0))
    scale = Calibration({"forces": forces}, "x", 3).scale("energy")
    assert scale.of_function(np.array(0.7)) == pytest.approx(0.7)


def test_an_unknown_config_type_has_the_scale_of_all():
    scales = {"a": Scale(3.0, 0.2)}
    known = Calibration({"forces": KindCalibration(Scale(2.0, 0.1), scales)}, "x", 3)
    assert known.scale("forces", "a") == Scale(3.0, 0.2)
    for name in (None, "b", ""):
        assert known.scale("forces", name) == Scale(2.0, 0.1)


def test_components_that_symmetry_makes_zero_do_not_count():
    rng = np.random.default_rng(4)
    some = [residuals(rng, "a", 1.5) for _ in range(20)]
    padded = [
        replace(
            own,
            error=np.append(own.error, [0.0, 1e-12]),
            std=np.append(own.std, [0.0, 1e-12]),
            sigma=np.append(own.sigma, [0.05, 0.05]),
        )
        for own in some
    ]
    a, b = (calibration_of(own, "x", 20).kinds["forces"] for own in (some, padded))
    assert a == b
    assert a.n == 480
    perfect = [replace(own, std=0 * own.std) for own in some]
    assert calibration_of(perfect, "x", 20).kinds == {}


def test_forces_of_perfect_crystals_are_not_calibrated():
    frames = [label(bulk("Si", a=a, cubic=True)) for a in (5.2, 5.3, 5.4, 5.5, 5.6)]
    model = gapfit.fit(frames, config(n_max=3, l_max=2, n_sparse=5))
    assert set(model.calibration.kinds) == {"energy", "virial"}
    # Shears are zero by symmetry, too.
    assert model.calibration.kinds["virial"].n == 15


def test_kinds_without_residuals_share_the_factor_of_others():
    forces, energy = KindCalibration(Scale(2.0, 0.1)), KindCalibration(Scale(3.0, 0.2))
    both = Calibration({"energy": energy, "forces": forces}, "x", 3)
    assert both.scale("virial") == Scale(2.0, 0.0, 0.0)
    alone = Calibration({"energy": energy}, "x", 3)
    assert alone.scale("forces") == Scale(3.0, 0.0, 0.0)
    virial = Calibration({"virial": forces}, "x", 3)
    assert virial.scale("energy") is None
    std = np.array([1.0, 2.0])
    expected = np.hypot(2.0 * std, 0.5)
    np.testing.assert_array_equal(both.observed("virial", std, 0.5, 3.0), expected)
    np.testing.assert_array_equal(
        virial.observed("energy", std, 0.5, 3.0), np.hypot(std, 0.5)
    )
    np.testing.assert_array_equal(
        both.observed("energy", std, 0.5, 3.0), np.hypot(3.0 * std, 0.6)
    )


def test_observations_of_a_kind_without_residuals_have_the_noise_of_the_fit(model):
    kinds = {"forces": model.calibration.kinds["forces"]}
    some = replace(model, calibration=replace(model.calibration, kinds=kinds))
    factor = kinds["forces"].scale.factor
    bare = model.predict(salt(40), std=True, calibrated=False, observation=False)
    found = some.predict(salt(40), std=True)
    sigma = model.config.sigma
    ROUNDING.check(
        found.energy_std, np.hypot(factor * bare.energy_std, sigma.energy * np.sqrt(8))
    )


def test_predictions_are_scaled(model):
    atoms = salt(41)
    bare = model.predict(atoms, std=True, calibrated=False, observation=False)
    scaled = model.predict(atoms, std=True, observation=False)
    noisy = model.predict(atoms, std=True)
    volume = atoms.get_volume()
    for kind, name, root in (
        ("energy", "energy_std", np.sqrt(8)),
        ("forces", "forces_std", 1.0),
        ("virial", "stress_std", np.sqrt(8) / volume),
    ):
        scale = model.calibration.kinds[kind].scale
        std = np.asarray(getattr(bare, name))
        ROUNDING.check(getattr(scaled, name), scale.factor * std)
        expected = np.sqrt((scale.factor * std) ** 2 + (scale.floor * root) ** 2)
        ROUNDING.check(getattr(noisy, name), expected * scale.tilt.of(std / root))
    np.testing.assert_array_equal(scaled.energies_std, bare.energies_std)


def test_a_calibration_becomes_plain_data_and_back(model):
    plain, local = model.calibration.as_dict(), model.calibration.local
    vectors = {z: line.vector for z, line in local.lines.items()} if local else {}
    assert {type(name) for name in plain["kinds"]} == {str}
    back = Calibration.from_dict(json.loads(json.dumps(plain)), vectors)
    assert back == model.calibration
    assert set(back.kinds) <= set(Quantity)


def test_the_calibration_is_stored_bit_by_bit(tmp_path, model):
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    assert loaded.calibration == model.calibration
    a, b = (own.predict(salt(3), std=True) for own in (model, loaded))
    np.testing.assert_array_equal(a.forces_std, b.forces_std)
    assert a.energy_std == b.energy_std
    replace(model, calibration=None).save(tmp_path / "bare.npz")
    assert gapfit.load(tmp_path / "bare.npz").calibration is None


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": {"force": None}},
        {"kinds": {"forces": {"scale": {"factor": None, "floor": 0.1}}}},
        {"kinds": {"forces": {"scale": {"factor": -1.0, "floor": 0.1}}}},
        {"kinds": {"forces": {"scale": {"factor": 1.0, "floor": "x"}}}},
        {"kinds": {"forces": {"scale": TILTED | {"tilt": {"exponent": 0.1}}}}},
        {"kinds": {"forces": {"scale": TILTED | {"tilt": TILT | {"usual": 3.0}}}}},
        {"kinds": {"forces": {"scale": TILTED | {"tilt": TILT | {"exponent": 2.0}}}}},
        {"kinds": {"forces": {"scale": TILTED | {"tilt": TILT | {"factor": 0.0}}}}},
        {"kinds": {"forces": {"scale": TILTED | {"beyond": -1.0}}}},
        {"kinds": {"forces": {"quantiles": [1.0]}}},
        {"kinds": {"forces": {"levels": [0.5, 0.4], "quantiles": [1.0, 2.0]}}},
    ],
)
def test_damaged_calibrations_are_refused(tmp_path, model, change):
    from helpers.model_files import header_of, rewritten

    model.save(tmp_path / "m.npz")
    header = header_of(tmp_path / "m.npz")
    kinds = header["calibration"]["kinds"]
    for kind, own in change["kinds"].items():
        kinds[kind] = kinds.get(kind, kinds["energy"]) | (own or {})
    path = rewritten(
        tmp_path / "m.npz", tmp_path / "bad.npz", header=json.dumps(header).encode()
    )
    with pytest.raises(GapfitError, match="damaged"):
        gapfit.load(path)
