"""The examples pass the stress test; fits to half of their data fail where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import ROOT

import gapfit
from gapfit.config import load_config
from gapfit.data import read
from gapfit.data.dataset import Dataset
from gapfit.robustness import StressReport, StressSettings, stress_test

pytestmark = pytest.mark.slow

SYSTEMS = (
    "silicon",
    "carbon",
    "tungsten",
    "phosphorus",
    "ge2sb2te5",
    "fe7cr2ni",
)
#: Halves without dimers and other close contacts: those that hold compressed crystals
#: still have a wall, and the others have none.
WITH_WALLS, WITHOUT_WALLS = SYSTEMS[:2], SYSTEMS[2:5]
_NEAR = ("dimer", "random", "liquid", "amorphous")


def _config(system: str) -> tuple[gapfit.FitConfig, Path]:
    path = ROOT / "examples" / system / "fit.toml"
    return load_config(path), path.parent


def _failures(report: StressReport) -> dict[str, str]:
    return {v.name: v.failure for v in report.verdicts if not v.passed}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_passes(system):
    config, base = _config(system)
    data = read(config.data.train, config.data, base=base)
    model = gapfit.fit(data, config, base=base)
    report = stress_test(model, data=data, settings=StressSettings(steps=1000))
    assert not _failures(report)


def _half_without_walls(system: str) -> tuple[gapfit.GAPModel, Dataset]:
    """Fit half of the data, without the repulsion and all close contacts."""
    config, base = _config(system)
    frames = read(config.data.train, config.data, base=base).frames
    half = [
        frame
        for n, frame in enumerate(frames)
        if frame.config_type not in _NEAR and (n % 2 or frame.n_atoms == 1)
    ]
    bare = config.model_copy(
        update={"baseline": config.baseline.model_copy(update={"repulsion": "none"})}
    )
    return gapfit.fit(Dataset(half), bare, base=base), Dataset(half)


@pytest.mark.parametrize("system", WITHOUT_WALLS)
def test_half_of_the_data_without_walls_fails(system):
    model, half = _half_without_walls(system)
    report = stress_test(model, data=half, only=("dimers", "trimers"))
    assert "dimers" in _failures(report)


@pytest.mark.parametrize("system", WITH_WALLS)
def test_half_of_the_data_has_a_wall_where_crystals_are_compressed(system):
    """Those of silicon and carbon teach it: two atoms repel each other all the way."""
    model, half = _half_without_walls(system)
    z = model.species[0]
    distances = np.arange(0.5, 1.0, 0.05)
    dimers = [Atoms([z, z], [[0, 0, 0], [r, 0, 0]]) for r in distances]
    found = model.predict(dimers, stress=False)
    energies = np.array([one.energy for one in found]) - 2 * model.e0[z]
    assert (np.diff(energies) < 0).all()
    assert energies[0] > 20.0
    assert all(one.forces[1, 0] > 10.0 for one in found)
    report = stress_test(model, data=half, settings=StressSettings(steps=1000))
    assert not _failures(report)
