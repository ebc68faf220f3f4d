"""Baselines of all kinds: impossible settings, targets."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from builders import ROOT, config, silicon

import gapfit
from gapfit._support.progress import silent
from gapfit.baseline.baseline import build_baseline, without_baseline
from gapfit.config.toml import as_config
from gapfit.data.dataset import as_dataset
from gapfit.errors import ConfigError
from gapfit.threads import use_threads


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ({"calculator": "ase.calculators.lj"}, "package.module:Name"),
        ({"calculator": "ase lj:LJ"}, "package.module:Name"),
        ({"calculator_options": {"rc": 5.0}}, "no calculator"),
        (
            {"calculator": "a:b", "calculator_options": {"rc": float("inf")}},
            "rc must be a finite number",
        ),
        (
            {"calculator": "a:b", "calculator_options": {"f": [{"g": object()}]}},
            "f must be a finite number",
        ),
    ],
)
def test_impossible_settings(baseline, words):
    with pytest.raises(ConfigError, match=words):
        gapfit.fit([silicon()], config() | {"baseline": baseline})


def test_targets_do_not_depend_on_the_number_of_threads():
    frames = ase.io.read(ROOT / "data" / "silicon" / "train.extxyz", ":120")
    settings = as_config(
        config() | {"baseline": {"repulsion": "zbl", "r_cut": 5}}, frames
    )
    dataset = as_dataset(frames, settings)
    baseline = build_baseline(settings, dataset.species, {}, trusted=True)

    def forces(n_threads):
        with use_threads(n_threads):
            found = without_baseline(dataset.frames, baseline, silent)
        return np.concatenate([frame.forces for frame in found])

    np.testing.assert_array_equal(forces(1), forces(2))
    np.testing.assert_array_equal(forces(1), forces(3))
