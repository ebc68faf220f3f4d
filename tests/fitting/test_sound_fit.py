"""Fits whose error bars rounding would spoil: noticed, and cured."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from builders import config, labelled_frames, silicon

import gapfit
from gapfit.cli import main
from gapfit.errors import LostDigitsError, PosteriorError
from gapfit.fitting.sound_fit import SPOILT
from gapfit.gp.posterior import Posterior
from gapfit.gp.sound_posterior import excess
from gapfit.model.gap_model import GAPModel

pytestmark = pytest.mark.core

TINY = {"energy": 1e-6, "forces": 1e-4, "virial": 1e-4}
USUAL = {"energy": 1e-3, "forces": 0.1, "virial": 0.1}


def settings(sigma: dict, **more: object) -> dict:
    pair = {"type": "distance_2b", "r_cut": 4.5, "delta": 300.0}
    soap = {"r_cut": 4.5, "n_max": 4, "l_max": 3, "n_sparse": 40, "delta": 300.0}
    wanted = config() | {
        "terms": [pair, soap],
        "sigma": sigma,
        "calibration": {"method": "none"},
        "prediction": {"project": False},
    }
    return wanted | more


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon, 6)


@pytest.fixture(scope="module")
def usual(frames):
    return gapfit.fit(frames, settings(USUAL))


def notes(model: GAPModel) -> list[str]:
    return [text for text in model.record.warnings if text.startswith(SPOILT)]


def test_ordinary_fits_stay_as_they_are(usual):
    assert not notes(usual)
    assert usual.config.solver.method == "cholesky"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fit_sums_up_again_by_qr(frames, workers, tmp_path):
    run = {"workers": workers, "threads": 1}
    folder = tmp_path / "checkpoint" if workers > 1 else None
    found = gapfit.fit(frames, settings(TINY, run=run), checkpoint=folder)
    solver = {"method": "qr"}
    expected = gapfit.fit(frames, settings(TINY, run=run, solver=solver))
    assert not notes(expected)
    assert 'summed up again with solver.method = "qr"' in notes(found)[0]
    assert found.config.solver.method == "qr"
    assert found.training_sums.method == "qr"
    for a, b in zip(found.terms, expected.terms, strict=True):
        for block, coefficients in a.coefficients.items():
            np.testing.assert_array_equal(coefficients, b.coefficients[block])
    atoms = frames[0].copy()
    atoms.calc = gapfit.GAPCalculator(found)
    atoms.get_potential_energy()
    assert np.isfinite(atoms.calc.extra_results["energies_std"]).all()
    assert [path.name for path in tmp_path.iterdir()] in ([], ["checkpoint"])


def test_a_fit_that_loses_all_digits_sums_up_again_by_qr(frames, usual):
    lost = {"energy": 1e-7, "forces": 1e-5, "virial": 1e-5}
    found = gapfit.fit(frames, settings(lost))
    assert found.config.solver.method == "qr"
    assert "and the fit: the rows were summed up again" in notes(found)[0]
    with pytest.raises(LostDigitsError, match="raise"):
        gapfit.refit(usual, sigma=lost)


def test_without_rows_the_prior_is_a_little_narrower(usual, frames):
    found = gapfit.refit(usual, sigma=TINY)
    (note,) = notes(found)
    assert "narrower in variance" in note
    assert found.config.solver.method == "cholesky"
    assert excess(found.posterior.R) == 0.0
    found.predict(frames[0], std=True)
    again = gapfit.append(found, labelled_frames(silicon, 8)[6:])
    assert len(notes(again)) == 1
    assert not notes(gapfit.refit(again, sigma=USUAL))


def test_too_little_memory_for_qr_narrows_the_prior(frames, monkeypatch):
    monkeypatch.setattr("gapfit.fitting.fit_prepared.enough_memory", lambda *_: False)
    assert "narrower in variance" in notes(gapfit.fit(frames, settings(TINY)))[0]


def test_what_nothing_cures_is_refused_unless_no_posterior_is_wanted(
    usual, frames, monkeypatch
):
    monkeypatch.setattr("gapfit.gp.sound_posterior._MOST_RIDGE", 0.0)
    with pytest.raises(PosteriorError, match="store_posterior = false"):
        gapfit.refit(usual, sigma=TINY)
    bare = settings(TINY, run={"store_posterior": False})
    model = gapfit.fit(frames, bare)
    assert model.posterior is None
    assert not notes(model)


@pytest.fixture(scope="module")
def spoilt(usual):
    """A model whose file brings a spoilt posterior."""
    whitening = usual.posterior.whitening
    R = 0.9 * np.eye(whitening.n_sparse)
    return replace(usual, posterior=Posterior(whitening, R))


def test_a_spoilt_posterior_does_not_stop_a_calculator(spoilt, frames, caplog):
    atoms = frames[0].copy()
    with caplog.at_level(logging.WARNING, "gapfit"):
        atoms.calc = gapfit.GAPCalculator(spoilt)
        atoms.get_potential_energy()
        atoms.rattle(0.01)
        atoms.get_forces()
    (record,) = caplog.records
    assert 'solver.method = "qr"' in record.getMessage()
    assert "energies_std" not in atoms.calc.extra_results
    with pytest.raises(PosteriorError):
        atoms.calc.get_property("energies_std", atoms)


def test_it_stops_commands_only_where_deviations_are_asked_for(
    spoilt, frames, tmp_path, capsys
):
    from ase.io import write

    path, data = tmp_path / "model.npz", tmp_path / "data.extxyz"
    spoilt.save(path)
    write(data, frames[:2])
    out = str(tmp_path / "out.extxyz")
    assert main(["predict", str(path), str(data), "--output", out]) == 0
    assert main(["predict", str(path), str(data), "--output", out, "--std"]) != 0
    assert 'solver.method = "qr"' in capsys.readouterr().err
    exported = str(tmp_path / "model.gapfit")
    assert main(["export-lammps", str(path), "--output", exported]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("without standard deviations: rounding has spoilt") == 1
