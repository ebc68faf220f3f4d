"""Structures predicted by fits without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.tuning import Case, frames_of, settings

import gapfit
from gapfit.errors import GapfitError
from gapfit.evaluation.leave_one_out import leave_one_out
from gapfit.testing import REFIT


def test_left_out_structures_are_calibrated_on_the_whole():
    """Of a potential that the model can describe: coverage as it should be."""
    frames = [*labelled_frames(silicon, 12)]
    model = gapfit.fit(frames, config(n_sparse=30))
    found = gapfit.leave_one_out(model, frames)["all"]
    for kind in ("energy", "forces"):
        scores = found[kind]["uncertainty"]
        assert scores["rms_z"] == pytest.approx(1.0, abs=0.15)
        assert 0.5 < scores["coverage_68"] < 0.9


@pytest.fixture(scope="module")
def case() -> Case:
    overrides = {"odd": {"energy": 0.01, "forces": 0.1}}
    return Case(frames_of(), settings(sigma={"config_types": overrides}))


def test_leave_one_out_errors_are_those_of_refits(case):
    model = gapfit.fit(case.dataset, case.config)
    found = leave_one_out(model, case.dataset)
    errors: dict[int, list] = {0: [], 1: []}
    for n, frame in enumerate(case.frames):
        c = case.refit(case.frames[:n] + case.frames[n + 1 :])
        block = case.rows([frame])
        residual = block.K @ c - block.y
        errors[0] += list(1000 * residual[block.kind == 0] / frame.n_atoms)
        errors[1] += list(residual[block.kind == 1])
    for kind, name in enumerate(("energy", "forces")):
        own = np.abs(errors[kind])
        REFIT.check(found["all"][name]["mae"], own.mean())
        REFIT.check(found["all"][name]["max"], own.max())
    stress = gapfit.evaluate(model, case.dataset)["all"]["stress"]
    assert found["all"]["stress"]["rmse"] > stress["rmse"]


def test_leave_one_out_refuses_other_data_and_models_without_posterior(case):
    model = gapfit.fit(case.dataset, case.config)
    with pytest.raises(GapfitError, match="not those that the model was fitted to"):
        leave_one_out(model, frames_of(2))
    with pytest.raises(GapfitError, match="without its posterior"):
        leave_one_out(replace(model, posterior=None), case.dataset)
