"""Scales, intervals and scores of standard deviations against refits and statistics."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from conftest import config, label, labelled_frames, silicon
from scipy.integrate import quad
from scipy.stats import norm
from test_posterior import PAIR, SOAP, frames_of, salt, settings

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.observations import KINDS
from gapfit.errors import GapfitError, LeftOutError
from gapfit.evaluation.calibrate import calibration_of, representative
from gapfit.evaluation.residuals import (
    Residuals,
    left_out_residuals,
    predicted_residuals,
)
from gapfit.evaluation.scores import ScoreTally
from gapfit.gp.conformal import conformal_quantiles, quantile
from gapfit.gp.posterior import Posterior
from gapfit.gp.reliability import DIAGRAM_LEVELS, rank_correlation, reliability
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.calibration import Calibration, KindCalibration, Scale, fitted_scale
from gapfit.model.rows import row_block

METHODS = ("cholesky", "qr")


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    """A model with the calibration that a fit gives it."""
    return gapfit.fit(frames_of(5), settings(calibration={}))


# Structures left out.


@pytest.mark.parametrize("n_sparse", [3, 12])
@pytest.mark.parametrize("method", METHODS)
def test_left_out_residuals_are_those_of_refits(method, n_sparse):
    """Errors and standard deviations, of the fit without it, same sparse points.

    A crystal has 31 observations: more, and fewer, than there are sparse points.
    """
    frames, soap = frames_of(4), SOAP | {"n_sparse": n_sparse}
    model = gapfit.fit(frames, settings(method, terms=[PAIR, soap]))
    assert (model.n_sparse < 31) == (n_sparse == 3)
    every = read(frames, model.config.data).frames
    for n, frame in enumerate(every):
        rest = row_block(
            every[:n] + every[n + 1 :], model.terms, model.e0, model.config.sigma
        )
        sums = TrainingSums(model.posterior.whitening, method)
        sums.add(("all", ""), rest.K, rest.y, rest.sigma)
        solution = sums.solve()
        refit = replace(
            with_coefficients(model, solution.coefficients),
            posterior=Posterior(model.posterior.whitening, solution.R),
        )
        expected = list(predicted_residuals(refit, frame))
        found = list(left_out_residuals(model, frame))
        assert [own.kind for own in found] == [own.kind for own in expected]
        for a, b in zip(found, expected, strict=True):
            largest = np.abs(b.error).max()
            np.testing.assert_allclose(a.error, b.error, rtol=1e-6, atol=1e-7 * largest)
            np.testing.assert_allclose(a.std, b.std, rtol=1e-6, atol=1e-7 * b.std.max())
            np.testing.assert_array_equal(a.sigma, b.sigma)


def test_structures_lost_in_rounding_are_left_to_the_others(caplog):
    """With an energy that is all but exact, H is 1 to all digits."""
    frames = [label(salt(k), config_type=f"type {min(k, 1)}") for k in range(4)]
    sigma = {"energy": 0.1, "forces": 1.0, "virial": 1.0}
    sigma["config_types"] = {"type 0": {"energy": 1e-8}}
    solver = {"method": "qr", "jitter": 1e-8}
    model = gapfit.fit(frames, settings(calibration={}, sigma=sigma, solver=solver))
    text = "calibration without 1 structures: frame 0: its sigmas are so small that"
    assert sum(own.startswith(text) for own in model.info["warnings"]) == 1
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
    assert "calibration without 1 structures" in model.info["warnings"][-1]
    assert np.isfinite(model.predict(frames[0], std="forces").forces_std).all()
    with pytest.raises(GapfitError, match="too small to leave it out"):
        gapfit.calibrate(model, frames)


def with_coefficients(model: gapfit.GAPModel, c: np.ndarray) -> gapfit.GAPModel:
    terms, first = [], 0
    for term in model.terms:
        own = {}
        for block, points in term.sparse.items():
            own[block] = c[first : first + len(points)]
            first += len(points)
        terms.append(replace(term, coefficients=own, lossless={}))
    return replace(model, terms=tuple(terms))


def test_residuals_are_predictions_minus_references(model):
    atoms = label(salt(50))
    frame = read([atoms], model.config.data).frames[0]
    found = {own.kind: own for own in predicted_residuals(model, frame)}
    bare = model.predict(atoms, std=True, calibrated=False)
    volume = atoms.get_volume()
    for kind, error, std in (
        ("energy", bare.energy - atoms.get_potential_energy(), bare.energy_std),
        ("forces", bare.forces - atoms.get_forces(), bare.forces_std),
        (
            "virial",
            -volume * (bare.stress - atoms.get_stress()),
            volume * bare.stress_std,
        ),
    ):
        own = found[kind]
        np.testing.assert_allclose(own.error, np.ravel(error), rtol=0, atol=1e-6)
        np.testing.assert_allclose(own.std, np.ravel(std), rtol=1e-9)
    assert found["energy"].root == found["virial"].root == np.sqrt(8)
    assert found["forces"].root == 1.0


# Scales.


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
            pull = p - np.log([around.factor, around.floor])
            value += 60 / 10 * 0.5 * pull @ pull / 2.0**2
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


def residuals(
    rng: np.random.Generator,
    config_type: str,
    factor: float,
    n: int = 24,
    floor: float = 0.02,
    kind: str = "forces",
) -> Residuals:
    std = np.exp(rng.normal(-2, 0.8, n))
    error = np.hypot(factor * std, floor) * rng.normal(size=n)
    return Residuals(kind, config_type, 8, 100.0, error, std, np.full(n, 0.05))


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
        factor, floor = scale.factor / own.scale.factor, scale.floor / own.scale.floor
        return float(np.hypot(np.log(factor), np.log(floor)))

    assert distance(own.by_type["few"]) < 0.95 * distance(alone)
    assert own.by_type["few"] == fitted_scale(error, std, own.scale, 45)
    # One residual only: the prior all but decides.
    weak = fitted_scale(error[:1], std[:1], own.scale, 1e-6)
    assert weak.factor == pytest.approx(own.scale.factor, rel=1e-3)
    assert weak.floor == pytest.approx(own.scale.floor, rel=1e-3)


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
    assert both.scale("virial") == Scale(2.0, 0.0)
    assert Calibration({"energy": energy}, "x", 3).scale("forces") == Scale(3.0, 0.0)
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
    bare = model.predict(salt(40), std=True, calibrated=False)
    found = some.predict(salt(40), std=True, observation=True)
    sigma = model.config.sigma
    assert found.energy_std == pytest.approx(
        np.hypot(factor * bare.energy_std, sigma.energy * np.sqrt(8)), rel=1e-12
    )


def test_predictions_are_scaled(model):
    atoms = salt(41)
    bare = model.predict(atoms, std=True, calibrated=False)
    scaled = model.predict(atoms, std=True)
    noisy = model.predict(atoms, std=True, observation=True)
    volume = atoms.get_volume()
    for kind, name, root in (
        ("energy", "energy_std", np.sqrt(8)),
        ("forces", "forces_std", 1.0),
        ("virial", "stress_std", np.sqrt(8) / volume),
    ):
        scale = model.calibration.kinds[kind].scale
        std = np.asarray(getattr(bare, name))
        np.testing.assert_allclose(
            getattr(scaled, name), scale.factor * std, rtol=1e-12
        )
        expected = np.sqrt((scale.factor * std) ** 2 + (scale.floor * root) ** 2)
        np.testing.assert_allclose(getattr(noisy, name), expected, rtol=1e-12)
    np.testing.assert_array_equal(scaled.energies_std, bare.energies_std)


# Calibrations of models.


def test_a_fit_is_calibrated_by_structures_left_out(model):
    known = model.calibration
    every = read(frames_of(5), model.config.data).frames
    found = [own for frame in every for own in left_out_residuals(model, frame)]
    assert known.method == "leave one out"
    assert known.n_structures == 6
    assert set(known.kinds) == set(KINDS)
    for kind, own in known.kinds.items():
        some = [r for r in found if r.kind == kind]
        error = np.concatenate([r.error / r.root for r in some])
        std = np.concatenate([r.std / r.root for r in some])
        expected = fitted_scale(error, std)
        assert own.n == len(error)
        assert own.scale.factor == pytest.approx(expected.factor, rel=1e-6)
        assert own.scale.floor == pytest.approx(expected.floor, rel=1e-6)


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
    data = {"train": "train.xyz", "check_stress": False}
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
    for kind in KINDS:
        a, b = (own.kinds[kind] for own in found)
        assert a.scale.factor == pytest.approx(b.scale.factor, rel=1e-5)
        assert a.scale.floor == pytest.approx(b.scale.floor, rel=1e-4)


def test_the_calibration_is_stored_bit_by_bit(tmp_path, model):
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    assert loaded.calibration == model.calibration
    a, b = (own.predict(salt(3), std=True, observation=True) for own in (model, loaded))
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
        {"kinds": {"forces": {"quantiles": [1.0]}}},
        {"kinds": {"forces": {"levels": [0.5, 0.4], "quantiles": [1.0, 2.0]}}},
    ],
)
def test_damaged_calibrations_are_refused(tmp_path, model, change):
    from test_storage import header_of, rewritten

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


def test_append_keeps_the_calibration_and_refit_drops_it(model):
    larger = gapfit.append(model, [label(salt(90))])
    assert larger.calibration == model.calibration
    changed = gapfit.refit(model, sigma={"forces": 2.0})
    assert changed.calibration is None
    warnings = changed.info["warnings"]
    assert sum("no longer calibrated" in text for text in warnings) == 1
    assert "no longer calibrated" not in " ".join(
        gapfit.refit(changed, sigma={"forces": 3.0}).info["warnings"][len(warnings) :]
    )


def test_warnings_of_the_calibration_end_with_a_new_one(model):
    said = "calibration is still that of the earlier data"
    more = [label(salt(90 + k)) for k in range(12)]
    larger = gapfit.append(model, more)
    assert sum(said in text for text in larger.info["warnings"]) == 1
    changed = gapfit.refit(model, sigma={"forces": 2.0})
    few = "calibration from 4 structures only"
    for old in (larger, changed):
        little = gapfit.calibrate(old, more[:4])
        assert [few in text for text in little.info["warnings"]].count(True) == 1
        enough = gapfit.calibrate(little, more)
        assert enough.info["warnings"] == model.info["warnings"]
    bare = gapfit.append(replace(model, calibration=None), more)
    assert bare.info["warnings"] == model.info["warnings"]


# Intervals.


def observed(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Return scores by structure: heavy-tailed, of sizes and scales of their own."""
    sizes = rng.choice([1, 3, 24, 96], n)
    scales = np.exp(rng.normal(0, 0.7, n)) * np.where(sizes == 1, 3.0, 1.0)
    return [
        np.abs(scale * rng.standard_t(2.5, size))
        for scale, size in zip(scales, sizes, strict=True)
    ]


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9])
def test_intervals_hold_new_observations(level):
    """Of all observations of new structures, over repetitions of everything."""
    rng, held, sizes = np.random.default_rng(5), [], []
    n_structures, n = 60, 1000
    for _ in range(n):
        *known, new = observed(rng, n_structures + 1)
        structure = np.repeat(np.arange(n_structures), [len(own) for own in known])
        levels, quantiles = conformal_quantiles(np.concatenate(known), structure)
        held.append(np.mean(new <= quantile(levels, quantiles, level)))
        sizes.append(len(new))
    share = np.average(held, weights=sizes)
    error = np.sqrt(level * (1 - level) / n) * np.sqrt(np.mean(np.square(sizes)))
    error /= np.mean(sizes)
    # The largest structure is what they may hold more than asked.
    assert level - 3 * error <= share <= level + 0.1 + 3 * error


def test_one_observation_each_gives_order_statistics():
    scores = np.random.default_rng(6).exponential(size=19)
    levels, quantiles = conformal_quantiles(scores, np.arange(19))
    assert levels[-1] == 0.95
    ordered = np.sort(scores)
    for level, found in zip(levels, quantiles, strict=True):
        assert found == ordered[int(np.ceil(round(20 * level, 9))) - 1]
    assert (np.diff(quantiles) >= 0).all()


def test_multipliers_grow_with_the_level_and_end():
    rng = np.random.default_rng(7)
    found = calibration_of([residuals(rng, "a", 5.0) for _ in range(9)], "x", 9)
    levels = np.linspace(0.01, 0.9, 90)
    values = [found.multiplier("forces", level) for level in levels]
    assert (np.diff(values) >= 0).all()
    # A level in between has the multiplier of the next one.
    assert found.multiplier("forces", 0.655) == found.multiplier("forces", 0.66)
    # Nine structures weigh 9/10, so level 0.63 is the share 0.7 of their errors.
    expected = norm.ppf(0.5 + 0.5 * 0.7)
    assert found.multiplier("forces", 0.63) == pytest.approx(expected, abs=0.15)
    for level in (0.91, 0.99, 0.0, 1.0, -0.1, 1.2, np.nan):
        with pytest.raises(GapfitError, match=r"9 structures .* up to 0\.9;"):
            found.multiplier("forces", level)
    many = calibration_of([residuals(rng, "a", 5.0) for _ in range(120)], "x", 120)
    with pytest.raises(GapfitError, match=r"up to 0\.99, the highest there is$"):
        many.multiplier("forces", 0.999)
    with pytest.raises(GapfitError, match=r"interval 0\.5 of the virial.*at no level"):
        found.multiplier("virial", 0.5)


# Scores.


def test_normal_errors_are_reliable():
    rng, n = np.random.default_rng(8), 40_000
    std = np.exp(rng.normal(size=n))
    found = reliability(std * rng.normal(size=n), std)
    assert found["n"] == n
    for key, p in (("coverage_68", 2 * norm.cdf(1) - 1), ("coverage_95", 0.95)):
        assert abs(found[key] - p) < 4 * np.sqrt(p * (1 - p) / n)
    # Mean distance of a Brownian bridge: sqrt(pi/32) / sqrt(n), and its tails.
    assert found["miscalibration_area"] < 4 * np.sqrt(np.pi / 32 / n)
    assert found["rms_z"] == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))
    assert found["sharpness"] == pytest.approx(np.sqrt(np.mean(std**2)))
    assert len(found["diagram"]) == len(DIAGRAM_LEVELS)
    np.testing.assert_allclose(
        found["diagram"], DIAGRAM_LEVELS, rtol=0, atol=4 * 0.5 / np.sqrt(n)
    )


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_wrong_standard_deviations_have_the_area_they_should(factor):
    """Errors `factor` times the std: the share inside level p is known."""
    n = 20_001
    # Quantiles of the normal distribution instead of random numbers.
    error = factor * norm.ppf((np.arange(n) + 0.5) / n)
    found = reliability(error, np.ones(n))

    def share(p: float) -> float:
        return 2 * norm.cdf(norm.ppf(0.5 + 0.5 * p) / factor) - 1

    area, _ = quad(lambda p: abs(share(p) - p), 0, 1)
    assert area > 0.1
    assert found["miscalibration_area"] == pytest.approx(area, abs=1e-3)
    assert found["coverage_68"] == pytest.approx(2 * norm.cdf(1 / factor) - 1, abs=1e-3)
    assert found["rms_z"] == pytest.approx(factor, rel=1e-3)
    expected = [share(p) for p in DIAGRAM_LEVELS]
    np.testing.assert_allclose(found["diagram"], expected, atol=1e-3)


@pytest.mark.parametrize(("error", "std"), [(0.0, 1.0), (0.7, 0.4), (-3.0, 2.0)])
def test_the_crps_is_its_integral(error, std):
    """∫ (Φ((x - 0) / std) - [x >= e])² dx, of a prediction 0 with an error e."""
    below, _ = quad(lambda x: norm.cdf(x / std) ** 2, -40 * std, -error)
    above, _ = quad(lambda x: norm.sf(x / std) ** 2, -error, 40 * std)
    found = reliability(np.array([error]), np.array([std]))["crps"]
    assert found == pytest.approx(below + above, rel=1e-7)


def test_ranks():
    std = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rank_correlation(-(std**3), std) == pytest.approx(1.0)
    assert rank_correlation(1 / std, std) == pytest.approx(-1.0)
    swapped = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
    # 1 - 6 Σ d² / (n (n² - 1)).
    assert rank_correlation(swapped, std) == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert rank_correlation(std, np.ones(5)) is None
    assert rank_correlation(np.ones(5), std) is None
    assert rank_correlation(std[:2], std[:2]) is None


def test_scores_are_of_observations_in_their_units():
    rng = np.random.default_rng(9)
    scale = Calibration(
        {
            kind: KindCalibration(Scale(2.0, 0.1), {"a": Scale(1.0, 0.0)})
            for kind in ("energy", "forces", "virial")
        },
        "x",
        3,
    )
    tally = ScoreTally(scale)
    some = {
        kind: residuals(rng, "a", 1.0, n=n, kind=kind)
        for kind, n in (("energy", 1), ("forces", 24), ("virial", 6))
    }
    for own in some.values():
        tally.add(own)
    found = tally.scores()
    assert set(found) == {"all", "a"}
    gpa = 160.21766208
    for kind, name, factor in (
        ("energy", "energy", 1000 / 8),
        ("forces", "forces", 1.0),
        ("virial", "stress", gpa / 100.0),
    ):
        own = some[kind]
        root = 1.0 if kind == "forces" else np.sqrt(8)
        std = np.hypot(2.0 * own.std, 0.1 * root)
        scores = found["all"][name]
        assert scores["sharpness"] == pytest.approx(
            factor * np.sqrt(np.mean(std**2)), rel=1e-6
        )
        assert scores["rms_z"] == pytest.approx(
            np.sqrt(np.mean((own.error / std) ** 2)), rel=1e-9
        )
        assert scores["by_type"]["sharpness"] == pytest.approx(
            factor * np.sqrt(np.mean(own.std**2)), rel=1e-6
        )
    lengths = [
        np.linalg.norm(x.reshape(8, 3), axis=1)
        for x in (some["forces"].error, some["forces"].std)
    ]
    assert found["all"]["forces"]["rank_atoms"] == pytest.approx(
        rank_correlation(*lengths)
    )


@pytest.mark.parametrize("baseline", [{}, {"repulsion": "zbl", "r_cut": 3.5}])
def test_evaluate_scores_what_predict_says(baseline):
    model = gapfit.fit(frames_of(5), settings(baseline=baseline, calibration={}))
    test = [label(salt(70 + k), config_type="new") for k in range(3)]
    found = gapfit.evaluate(model, test)["all"]
    predictions = model.predict(test, std=True, observation=True)
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


def test_left_out_structures_are_calibrated_on_the_whole():
    """Of a potential that the model can describe: coverage as it should be."""
    frames = [*labelled_frames(silicon, 12)]
    model = gapfit.fit(frames, config(n_sparse=30))
    found = gapfit.leave_one_out(model, frames)["all"]
    for kind in ("energy", "forces"):
        scores = found[kind]["uncertainty"]
        assert scores["rms_z"] == pytest.approx(1.0, abs=0.15)
        assert 0.5 < scores["coverage_68"] < 0.9
