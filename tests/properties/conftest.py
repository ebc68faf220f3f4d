"""Relaxed crystals, and a model of copper."""

from __future__ import annotations

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.crystals import copper_frames, tersoff

import gapfit
from gapfit.properties import (
    relaxed,
)


@pytest.fixture(scope="session")
def silicon():
    return relaxed(bulk("Si", a=5.4, cubic=True), tersoff(), cell="free", fmax=1e-6)


@pytest.fixture(scope="session")
def copper():
    return relaxed(bulk("Cu", a=3.6, cubic=True), EMT(), cell="free", fmax=1e-6)


@pytest.fixture(scope="session")
def model() -> gapfit.GAPModel:
    soap = {"r_cut": 5.0, "n_max": 6, "l_max": 4, "n_sparse": 150, "atom_sigma": 0.6}
    return gapfit.fit(
        copper_frames(),
        {
            "e0": {"method": "least_squares"},
            "sigma": {"energy": 0.0005, "forces": 0.01, "virial": 0.005},
            "terms": [soap],
            "data": {"train": ["in memory"], "check_labels": False},
        },
    )
