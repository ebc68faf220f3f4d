"""Scores of standard deviations by kind and config_type."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.error_bars import residuals

from gapfit.data.observations import Quantity
from gapfit.evaluation.scores import ScoreTally
from gapfit.gp.reliability import rank_correlation
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.scales import Scale
from gapfit.testing import SAME_POSTERIOR


def test_scores_are_of_observations_in_their_units():
    rng = np.random.default_rng(9)
    scale = Calibration(
        {
            quantity: KindCalibration(Scale(2.0, 0.1), {"a": Scale(1.0, 0.0)})
            for quantity in Quantity
        },
        "x",
        3,
    )
    tally = ScoreTally(scale)
    some = {
        quantity: residuals(rng, "a", 1.0, n=n, quantity=quantity)
        for quantity, n in zip(Quantity, (1, 24, 6), strict=True)
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
        SAME_POSTERIOR.check(scores["rms_z"], np.sqrt(np.mean((own.error / std) ** 2)))
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
