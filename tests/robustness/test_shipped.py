"""The examples pass the stress test; fits to half of their data fail where they should."""

from __future__ import annotations

from pathlib import Path

import pytest
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
#: Those whose data have dimers, which are left out of the halves.
WITH_DIMERS = SYSTEMS[:-1]
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


@pytest.mark.parametrize("system", WITH_DIMERS)
def test_half_of_the_data_without_walls_fails(system):
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
    model = gapfit.fit(Dataset(half), bare, base=base)
    only = ("dimers", "trimers")
    report = stress_test(model, data=Dataset(half), only=only)
    assert "dimers" in _failures(report)
