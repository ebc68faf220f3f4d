"""Fits that rounding spoils are told, with the setting that is to blame."""

from __future__ import annotations

import logging
import re

import ase.io
import numpy as np
import pytest
from builders import config, label, labelled_frames, silicon, three_species

import gapfit
from gapfit.cli import main
from gapfit.config.sections import FitConfig, SigmaConfig
from gapfit.errors import ConfigError, DataError, GapfitError
from gapfit.fitting.rounding_warning import (
    LOCAL_TOLERANCE,
    ROUNDED,
    TOLERANCE,
    rounding_warning,
)
from gapfit.gp.rounding import Loss, Rounding
from gapfit.gp.training_sums import TrainingSums

ORDINARY = 1e-7


def fitted(build=silicon, **changes) -> gapfit.GAPModel:
    soap = changes.pop("soap", {})
    # Fits that keep a posterior are summed up again by QR instead.
    settings = config(n_sparse=40, **soap) | {
        "calibration": {"method": "none"},
        "run": {"store_posterior": False},
    }
    return gapfit.fit(labelled_frames(build), settings | changes)


def told(model: gapfit.GAPModel) -> list[str]:
    return [text for text in model.record.warnings if text.startswith(ROUNDED)]


def rounding(model: gapfit.GAPModel) -> Rounding:
    return model.training_sums.rounding(model.training_sums.solve())


@pytest.mark.parametrize("method", ["cholesky", "qr"])
@pytest.mark.parametrize("build", [silicon, three_species])
def test_ordinary_fits_are_far_from_rounding(build, method):
    model = fitted(build, solver={"method": method})
    found = rounding(model)
    assert set(found.groups) == set(model.training_sums.groups)
    assert 0 < found.groups[found.worst].share < ORDINARY < TOLERANCE
    assert 0 < found.local < ORDINARY < LOCAL_TOLERANCE
    assert not told(model)


@pytest.mark.parametrize("model", ["si_full", "gst_full"])
def test_fits_of_several_terms_are_far_from_rounding(model, request):
    model = request.getfixturevalue(model)
    found = rounding(model)
    assert max(found.groups[found.worst].share, found.local) < ORDINARY
    assert not told(model)


ENERGIES = {
    "data": {
        "train": ["in memory"],
        "check_labels": False,
        "use_forces": False,
        "use_stress": False,
    }
}
EXTREMES = {
    "delta": (
        {"soap": {"delta": 1e5}} | ENERGIES,
        r'delta = 100000 eV of \[\[terms\]\] 1 is too .* smaller one, or solver.*"qr"',
    ),
    "energy": ({"sigma": {"energy": 1e-8}}, r"sigma\.energy = 1e-08 eV/atom is too"),
    "energy_qr": (
        {"sigma": {"energy": 1e-10}, "solver": {"method": "qr"}},
        r"sigma\.energy = 1e-10 eV/atom is too small .*; give a larger one$",
    ),
    "config_type": (
        {"sigma": {"config_types": {"odd": {"energy": 1e-8}}}},
        r"sigma\.config_types\.odd\.energy = 1e-08 eV/atom is too small",
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_settings_are_named(name):
    changes, expected = EXTREMES[name]
    (text,) = told(fitted(**changes))
    assert re.search(expected, text)
    assert re.match(ROUNDED + r"the (fitted|energies of).* by about \S+ eV", text)


def noise(monkeypatch, changes: dict) -> tuple[Rounding, float]:
    """Return what is said, and what rounding of the rows does to the forces, eV/Å."""
    forces, add = [], TrainingSums.add
    frames = labelled_frames(silicon)
    for seed in (1, 2):
        rng = np.random.default_rng(seed)

        def rounded(self, group, K, y, sigma, rng=rng):
            return add(
                self, group, K * (1 + 1e-16 * rng.normal(size=K.shape)), y, sigma
            )

        monkeypatch.setattr(TrainingSums, "add", rounded)
        model = fitted(**changes)
        forces.append([model.predict(frame).forces for frame in frames])
    monkeypatch.setattr(TrainingSums, "add", add)
    return rounding(model), float(np.sqrt(np.mean(np.square(np.subtract(*forces)))))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"solver": {"method": "qr"}},
        {"soap": {"delta": 1e8}},
        {"sigma": {"energy": 1e-6}},
        {"sigma": {"energy": 1e-8}},
    ],
)
def test_what_is_said_is_what_rounding_does(changes, monkeypatch):
    said, change = noise(monkeypatch, changes)
    assert change / 30 < said.groups["forces", ""].change < 100 * change


@pytest.mark.parametrize(
    "changes",
    [{"soap": {"delta": 1e3}}, {"soap": {"delta": 1e5}}, {"sigma": {"energy": 1e-6}}],
)
def test_what_few_data_settle_is_seen_at_the_sparse_points(changes, monkeypatch):
    said, change = noise(monkeypatch, changes | ENERGIES)
    assert said.groups["energy", ""].change < 1e-11
    assert change / 30 < said.local < 100 * change


def test_frames_with_their_own_sigmas_are_named():
    frames = labelled_frames(silicon)
    for atoms in frames[:3]:
        atoms.info["energy_sigma"] = 1e-8
    settings = config() | {"calibration": {"method": "none"}}
    (text,) = told(gapfit.fit(frames, settings))
    assert "energy_sigma of frames, 2.8e-08 on average, is too small" in text


def test_a_refit_forgets_what_is_mended():
    model = fitted(sigma={"energy": 1e-8})
    assert told(model)
    assert not told(gapfit.refit(model, sigma={"energy": 1e-3}))
    assert len(told(gapfit.refit(model, sigma={"energy": 2e-8}))) == 1


def test_symmetric_crystals_have_no_forces_to_lose():
    """Forces of zero are no measure of what rounding may do."""
    frames = []
    for k in range(4):
        atoms = silicon()
        atoms.positions = np.round(atoms.get_scaled_positions() * 4) / 4 @ atoms.cell
        atoms.set_cell(atoms.cell * (0.97 + 0.02 * k), scale_atoms=True)
        frames.append(label(atoms))
    assert np.abs(frames[0].get_forces()).max() < 1e-10
    assert not told(gapfit.fit(frames, config(n_sparse=5)))


def test_nothing_but_rounding_is_refused():
    setting = FitConfig(**config() | {"sigma": SigmaConfig(energy=1e-9)})
    found = Rounding({("energy", ""): Loss(30.0, 20.0, 1e-9)}, 0.0)
    with pytest.raises(GapfitError, match=r"the fit is lost: .*sigma\.energy"):
        rounding_warning(found, setting)
    assert rounding_warning(Rounding({}, 0.0), setting) is None


def test_a_solution_beyond_numbers_is_refused():
    model = fitted()
    for sums in model.training_sums.groups.values():
        sums.b = np.full(len(sums.b), np.inf)
    with pytest.raises(GapfitError, match="coefficients are not finite"):
        model.training_sums.solve()


def test_the_command_line_says_so(tmp_path, capsys):
    ase.io.write(tmp_path / "train.xyz", labelled_frames(silicon), format="extxyz")
    (tmp_path / "fit.toml").write_text(
        'data = { train = "train.xyz", check_labels = false }\n'
        'e0 = { method = "least_squares" }\ncalibration = { method = "none" }\n'
        "[[terms]]\nr_cut = 4.5\nn_max = 5\nl_max = 4\nn_sparse = 30\n"
        "[sigma]\nenergy = 3e-8\n[run]\nstore_posterior = false\n"
    )
    assert main(["fit", str(tmp_path / "fit.toml"), "--no-report"]) == 0
    assert ROUNDED in capsys.readouterr().out.replace("\n", " ")
    log = (tmp_path / "fit-model" / "fit.log").read_text()
    assert "sigma.energy = 3e-08 eV/atom" in " ".join(log.split())
    logging.getLogger("gapfit").handlers.clear()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sigma": {"energy": 1e-11}},
            r"\[sigma\]: `energy` = 1e-11 must be .* >= 1e-10",
        ),
        ({"sigma": {"config_types": {"a": {"forces": 0.0}}}}, "`forces` = 0"),
        (
            {"soap": {"delta": 1e9}},
            r"`delta` = 1000000000\.0 must be .* 1e-10 .* 1e\+08",
        ),
        ({"soap": {"delta": 1e-12}}, "`delta` = 1e-12 must be"),
    ],
)
def test_absurd_settings_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        fitted(**changes)


def test_absurd_sigmas_of_frames_are_refused():
    frames = labelled_frames(silicon)
    frames[2].info["energy_sigma"] = 1e-12
    with pytest.raises(
        DataError, match="energy_sigma is 1e-12; a sigma must be finite"
    ):
        gapfit.fit(frames, config())
