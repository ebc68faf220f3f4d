"""Potentials of the shipped silicon: a good one, and one without walls."""

from __future__ import annotations

import pytest
from builders import DATA
from helpers.stress import NEAR, SETTINGS

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read


@pytest.fixture(scope="session")
def silicon_data() -> Dataset:
    return read(DATA / "silicon" / "train.extxyz", DataConfig(train=["in memory"]))


@pytest.fixture(scope="session")
def good(silicon_data) -> gapfit.GAPModel:
    baseline = {"repulsion": "zbl", "r_cut": 1.6, "width": 0.8}
    return gapfit.fit(silicon_data, {**SETTINGS, "baseline": baseline})


@pytest.fixture(scope="session")
def crystal_data(silicon_data) -> Dataset:
    """The data without dimers and disorder."""
    frames = [f for f in silicon_data.frames if f.config_type not in NEAR]
    return Dataset(frames)


@pytest.fixture(scope="session")
def without_walls(crystal_data) -> gapfit.GAPModel:
    """Return a fit to the data without close contacts, and without a repulsion."""
    return gapfit.fit(crystal_data, SETTINGS)
