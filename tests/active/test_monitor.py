"""Thresholds of the uncertainty."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import pytest
from helpers.learning import THRESHOLD, config_of, learn, log, settings

from gapfit.active.monitor import UncertaintyMonitor
from gapfit.config.learn import LearnConfig
from gapfit.config.toml import validated
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.scales import Scale

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


def test_a_relative_threshold_is_a_multiple_of_the_noise(whole, tmp_path):
    config = config_of(whole, tmp_path)
    config["threshold"] = {"forces_relative": THRESHOLD / 0.05, "every": 5}
    learn(config, tmp_path / "out")
    found, expected = (
        [(r["job"], r["step"], r["largest"]) for r in log(folder)]
        for folder in (tmp_path / "out", whole[0])
    )
    assert found == expected


def test_thresholds_of_energies(whole):
    folder, model, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    largest = max(model.predict(a, std="energies").energies_std.max() for a in frames)
    hot = frames[-1].copy()
    hot.rattle(0.3, seed=1)
    std = model.predict(hot, std="energies").energies_std
    tables = {"energies_relative": 2.0}
    config = validated(LearnConfig, settings(folder.parent, threshold=tables), "config")
    look = UncertaintyMonitor(config.threshold, model, frames).read(hot)
    assert (look.kind, look.unit, look.atom) == ("energies", "eV", std.argmax())
    assert look.ratio == pytest.approx(std.max() / (2 * largest))
    both = config.threshold.model_copy(update={"forces": 1e-3})
    assert UncertaintyMonitor(both, model, frames).read(hot).kind == "forces"


@pytest.mark.parametrize("factor", [0.2, 1.5])
def test_a_factor_below_1_is_not_believed(whole, factor):
    folder, model, _, _ = whole
    hot = ase.io.read(folder / "labelled.extxyz", "-1")
    hot.rattle(0.3, seed=1)
    kinds = {"forces": KindCalibration(Scale(factor, 0.0, 1.0))}
    model = replace(model, calibration=Calibration(kinds, "leave one out", 5))
    config = validated(LearnConfig, settings(folder.parent), "config")
    look = UncertaintyMonitor(config.threshold, model, []).read(hot)
    options = {} if factor > 1 else {"calibrated": False, "form": "dtc"}
    std = model.predict(hot, std="forces", observation=False, **options).forces_std
    assert look.largest == pytest.approx(std.max())
