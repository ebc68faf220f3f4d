"""Other sigmas from the sums of a fit: the same as a fit with them."""

from __future__ import annotations

import pytest
from builders import labelled_frames, silicon, three_species
from helpers.refits import METHODS, SIGMA, assert_same, settings

import gapfit
from gapfit.errors import ConfigError, GapfitError
from gapfit.testing import ROUNDING


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon)


@pytest.fixture(scope="module", params=METHODS)
def model(request, frames):
    own = {"odd": {"energy": 0.02}}
    return gapfit.fit(frames, settings(request.param, {**SIGMA, "config_types": own}))


@pytest.mark.parametrize(
    "sigma",
    [
        {"energy": 0.003},
        {"forces": 0.4, "virial": 0.02},
        {"energy": 0.05, "config_types": {"odd": {"energy": 0.001}}},
        {"config_types": {"odd": {"forces": 0.01}}},
    ],
)
def test_it_is_a_fit_with_the_new_sigmas(frames, model, sigma):
    found = gapfit.refit(model, sigma=sigma, frames=frames)
    assert found.config.sigma != model.config.sigma
    expected = gapfit.fit(frames, found.config)
    assert_same(found, expected, frames)
    for key, value in sigma.items():
        if key != "config_types":
            assert getattr(found.config.sigma, key) == value
    assert found.record.projections == expected.record.projections
    before = model.record.log_marginal_likelihood
    assert abs(found.record.log_marginal_likelihood - before) > 1.0


def test_what_is_not_given_stays(model):
    sigma = gapfit.refit(model, sigma={"config_types": {"odd": {"forces": 0.2}}}).config
    assert sigma.sigma.config_types["odd"].energy == 0.02
    assert sigma.sigma.config_types["odd"].forces == 0.2
    assert (sigma.sigma.energy, sigma.sigma.forces) == (0.01, 0.1)


@pytest.mark.parametrize("method", METHODS)
def test_relative_sigmas_change_along(method):
    frames = labelled_frames(three_species)
    given = {
        **SIGMA,
        "forces_relative": 0.1,
        "energy_relative": 0.2,
        "config_types": {"odd": {"forces": 0.3}},
    }
    model = gapfit.fit(frames, settings(method, given, n_sparse=12))
    found = gapfit.refit(model, sigma={"forces": 0.2, "energy": 0.005}, frames=frames)
    sigma = found.config.sigma
    assert sigma.forces_relative == pytest.approx(0.2)
    assert sigma.energy_relative == pytest.approx(0.1)
    assert sigma.config_types["odd"].forces == pytest.approx(0.6)
    assert_same(found, gapfit.fit(frames, found.config), frames)


def test_twice_is_the_same_as_once_and_the_model_is_not_changed(frames, model):
    before = model.record.log_marginal_likelihood
    first = gapfit.refit(model, sigma={"forces": 0.7}, frames=frames)
    back = gapfit.refit(first, sigma={"forces": 0.1}, frames=frames)
    assert_same(back, model, frames)
    assert model.config.sigma.forces == 0.1
    ROUNDING.check(model.training_sums.solve().log_marginal_likelihood, before)


def test_sigmas_of_frames_themselves_stay(frames):
    some = [atoms.copy() for atoms in frames]
    for own, atoms in zip(some, frames, strict=True):
        own.calc = atoms.calc
    some[0].info["energy_sigma"] = 0.1
    model = gapfit.fit(some, settings())
    found = gapfit.refit(model, sigma={"energy": 0.002}, frames=some)
    assert_same(found, gapfit.fit(some, found.config), some)
    assert any("1 observations of the energy" in t for t in found.record.warnings)
    other = gapfit.refit(model, sigma={"forces": 0.2}, frames=some)
    assert not any("their own sigma" in t for t in other.record.warnings)


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (
            {"config_types": {"liquid": {"energy": 0.1}}},
            r"liquid had no.*\(these had one: odd",
        ),
        ({"forces": -1.0}, r"`forces` = -1.0 must be"),
        ({"force": 1.0}, r"`force`.*unknown|unknown.*`force`"),
        ({"forces_relative": 0.3}, r"forces_relative cannot be changed by itself"),
        ({"config_types": {"odd": 3}}, r"odd"),
    ],
)
def test_what_cannot_be_told_from_the_sums_is_refused(model, sigma, message):
    with pytest.raises(ConfigError, match=message):
        gapfit.refit(model, sigma=sigma)


def test_one_factor_where_sigmas_are_relative(frames):
    given = {**SIGMA, "forces_relative": 0.5, "config_types": {"odd": {"forces": 0.3}}}
    model = gapfit.fit(frames[:3], settings(sigmas=given))
    with pytest.raises(ConfigError, match="odd cannot be changed alone"):
        gapfit.refit(model, sigma={"config_types": {"odd": {"forces": 0.4}}})
    with pytest.raises(ConfigError, match=r"from 0.5 to 1.5.*at most forces = 0.2$"):
        gapfit.refit(model, sigma={"forces": 0.3})


def test_sums_that_are_not_there(frames, tmp_path):
    kept = gapfit.fit(frames[:3], settings())
    kept.save(tmp_path / "kept.npz")
    with pytest.raises(GapfitError, match=r"gapfit.load\(path, training_sums=True\)"):
        gapfit.refit(gapfit.load(tmp_path / "kept.npz"), sigma={"energy": 0.1})
    lost = gapfit.fit(frames[:3], settings() | {"run": {"store_sums": False}})
    lost.save(tmp_path / "lost.npz")
    for model in (lost, tmp_path / "lost.npz"):
        with pytest.raises(GapfitError, match=r"with run.store_sums = true"):
            gapfit.refit(model, sigma={"energy": 0.1})
