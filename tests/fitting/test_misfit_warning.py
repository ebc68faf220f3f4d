"""Fits that miss their training data by many sigmas are told, with the numbers."""

from __future__ import annotations

import re

import pytest
from builders import config, labelled_frames, silicon

import gapfit
from gapfit.fitting.misfit_warning import MISFIT

#: Sigmas far below what 5 sparse points reach.
TIGHT = {"energy": 1e-6, "forces": 1e-5, "virial": 1e-4}


def fitted(frames, method: str = "cholesky", **changes) -> gapfit.GAPModel:
    settings = config(n_sparse=5) | {"solver": {"method": method}}
    return gapfit.fit(frames, settings | {"calibration": {"method": "none"}} | changes)


def told(model: gapfit.GAPModel, start: str = MISFIT) -> list[str]:
    return [text for text in model.record.warnings if text.startswith(start)]


def test_errors_of_the_size_of_the_sigmas_are_not_told():
    sigma = {"energy": 0.1, "forces": 0.5}
    assert told(fitted(labelled_frames(silicon), sigma=sigma)) == []


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_errors_far_above_the_sigmas_are_told(method):
    frames = labelled_frames(silicon)
    model = fitted(frames, method, sigma=TIGHT)
    (text,) = told(model)
    errors = gapfit.evaluate(model, frames, uncertainty=False)["all"]
    forces = float(re.search(r"forces by about (\S+) eV/Å", text)[1])
    assert forces == pytest.approx(errors["forces"]["rmse"], rel=0.01)
    assert "where sigma is 1e-05" in text
    energies = float(re.search(r"energies by about (\S+) meV/atom", text)[1])
    assert energies == pytest.approx(errors["energy"]["rmse"], rel=0.01)
    assert "where sigma is 0.001" in text
    assert "run gapfit tune" in text
    assert "labels contradict each other" in text


def test_a_refit_with_larger_sigmas_takes_the_warning_back():
    model = fitted(labelled_frames(silicon), sigma=TIGHT)
    wide = {"energy": 1.0, "forces": 1.0, "virial": 1.0}
    assert told(gapfit.refit(model, sigma=wide)) == []


def test_large_calibration_factors_get_advice_once():
    frames = labelled_frames(silicon)
    model = fitted(frames, sigma=TIGHT, calibration={"method": "leave_one_out"})
    start = "standard deviations: their calibration factors are large"
    (text,) = told(model, start)
    assert "for forces" in text
    assert "5 to 20 are usual" in text
    again = gapfit.calibrate(model, frames)
    assert len(told(again, start)) == 1
