"""Other sigmas from the sums of a fit: the same as a fit with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.io import write
from conftest import config, labelled_frames, silicon, three_species

import gapfit
from gapfit.cli import main
from gapfit.data.dataset import read
from gapfit.errors import ConfigError, GapfitError

SIGMA = {"energy": 0.01, "forces": 0.1, "virial": 0.1}
METHODS = ("cholesky", "qr")


def settings(method="cholesky", sigmas=SIGMA, **soap) -> dict:
    return config(**soap) | {"sigma": sigmas, "solver": {"method": method}}


def assert_same(found, expected, frames, atol=1e-9):
    pairs = zip(
        found.without_shortcuts().predict(frames, std=True),
        expected.without_shortcuts().predict(frames, std=True),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=atol)
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=10 * atol)
        np.testing.assert_allclose(a.stress, b.stress, rtol=0, atol=atol)
        np.testing.assert_allclose(a.energies_std, b.energies_std, rtol=0, atol=1e-7)
    assert found.info["log_marginal_likelihood"] == pytest.approx(
        expected.info["log_marginal_likelihood"], rel=1e-9
    )


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
    assert found.info["shortcuts"] == expected.info["shortcuts"]
    before = model.info["log_marginal_likelihood"]
    assert abs(found.info["log_marginal_likelihood"] - before) > 1.0


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
    before = model.info["log_marginal_likelihood"]
    first = gapfit.refit(model, sigma={"forces": 0.7}, frames=frames)
    back = gapfit.refit(first, sigma={"forces": 0.1}, frames=frames)
    assert_same(back, model, frames)
    assert model.config.sigma.forces == 0.1
    assert model.training_sums.solve().log_marginal_likelihood == pytest.approx(
        before, rel=1e-12
    )


def test_sigmas_of_frames_themselves_stay(frames):
    some = [atoms.copy() for atoms in frames]
    for own, atoms in zip(some, frames, strict=True):
        own.calc = atoms.calc
    some[0].info["energy_sigma"] = 0.1
    model = gapfit.fit(some, settings())
    found = gapfit.refit(model, sigma={"energy": 0.002}, frames=some)
    assert_same(found, gapfit.fit(some, found.config), some)
    assert any("1 observations of the energy" in t for t in found.info["warnings"])
    other = gapfit.refit(model, sigma={"forces": 0.2}, frames=some)
    assert not any("their own sigma" in t for t in other.info["warnings"])


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


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a fit whose predictions are projected."""
    monkeypatch.chdir(tmp_path)
    frames = labelled_frames(lambda: silicon() * (2, 1, 1), 6)
    write("train.extxyz", frames, format="extxyz")
    given = {**SIGMA, "config_types": {"odd": {"energy": 0.02}}}
    soap = {"n_max": 8, "l_max": 6, "n_sparse": 96, "atom_sigma": 1.0}
    whole = config(**soap) | {"sigma": given}
    whole["data"] = {"train": ["train.extxyz"], "check_stress": False}
    gapfit.fit(config=whole).save("model.npz")
    return tmp_path


def test_projections_need_the_training_data(here, monkeypatch):
    model = gapfit.load("model.npz", training_sums=True)
    assert model.terms[0].lossless
    verified = gapfit.refit("model.npz", sigma={"forces": 0.2})
    assert verified.info["shortcuts"][0]["n_atoms"] == 96
    assert verified.terms[0].lossless
    assert not any("missing or changed" in text for text in verified.info["warnings"])
    # The configuration that names the files may stand beside the folder of the model.
    folder = here / "fit-model"
    folder.mkdir()
    model.save(folder / "model.npz")
    monkeypatch.chdir(folder)
    assert gapfit.refit(folder / "model.npz", sigma={"forces": 0.2}).terms[0].lossless
    # From there alone nothing tells where the files are.
    left_out = gapfit.refit(model, sigma={"forces": 0.2})
    assert not left_out.terms[0].lossless
    assert left_out.info["shortcuts"] == []
    assert any(
        "train.extxyz) are missing or changed" in t for t in left_out.info["warnings"]
    )
    data = read(here / "train.extxyz", model.config.data)
    again = gapfit.refit(model, sigma={"forces": 0.2}, frames=data)
    assert again.info["shortcuts"] == verified.info["shortcuts"]


def test_other_data_under_the_same_name_do_not_verify(here):
    write("train.extxyz", labelled_frames(silicon, 3), format="extxyz")
    assert not gapfit.refit("model.npz", sigma={"forces": 0.2}).terms[0].lossless


def test_the_command(here, capsys):
    argv = ["refit", "model.npz", "--output", "model.npz", "--sigma-forces", "0.2"]
    before = gapfit.load("model.npz").info["log_marginal_likelihood"]
    assert main([*argv, "--config-type", "odd:energy=0.04,forces=0.3"]) == 0
    text = capsys.readouterr().out
    model = gapfit.load("model.npz")
    assert model.config.sigma.forces == 0.2
    assert model.config.sigma.config_types["odd"].energy == 0.04
    assert model.config.sigma.config_types["odd"].forces == 0.3
    after = model.info["log_marginal_likelihood"]
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
