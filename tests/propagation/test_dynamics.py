"""Reweighted averages against dynamics that are really run with each sample."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import DATA
from helpers.silicon_dynamics import silicon_dynamics

import gapfit
from gapfit.model.samples import Samples
from gapfit.propagation import radial_distribution
from gapfit.propagation.correlation import standard_error

T, REACH, SCALE = 600.0, 5.0, 10.0
GROUPS = ("bulk_rattled", "bulk_eos", "liquid", "amorphous", "vacancy", "isolated_atom")


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    """A model with few sparse points, so that its samples differ."""
    frames = [
        atoms
        for atoms in ase.io.read(DATA / "silicon" / "train.extxyz", ":")
        if atoms.info["config_type"] in GROUPS
    ]
    soap = {"type": "soap", "r_cut": 4.5, "n_max": 6, "l_max": 4, "n_sparse": 80}
    pairs = {"type": "distance_2b", "r_cut": 4.5, "n_sparse": 15}
    return gapfit.fit(
        frames,
        {
            "terms": [soap, pairs],
            "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
            "data": {"train": ["in memory"], "check_labels": False},
        },
    )


@pytest.fixture(scope="module")
def runs(model) -> tuple[Samples, list[Atoms], list[list[Atoms]]]:
    """Samples, a trajectory of the mean potential, and one of each sample."""
    samples = model.sample(3, seed=0, scale=SCALE)
    own = [
        silicon_dynamics(sample, 2 + k, 8_000, T) for k, sample in enumerate(samples)
    ]
    return samples, silicon_dynamics(model, 1, 16_000, T), own


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "cumulant"])
def test_reweighted_averages_are_those_of_the_dynamics_of_samples(model, runs, method):
    """Mean energy and radial distribution, within the statistical errors of both."""
    samples, frames, own = runs
    found = gapfit.reweight(
        model, frames, temperature=T, samples=samples, rdf=REACH, method=method
    )
    rdf = radial_distribution(REACH).function
    for name, function in (("energy", None), ("rdf", rdf)):
        average, pulls, without, within = found[name], [], [], []
        some = np.abs(average.value) > 0.05
        for k, (sample, run) in enumerate(zip(samples, own, strict=True)):
            if function is None:
                predictions = sample.predict(run, forces=False, stress=False)
                series = np.array([[p.energy / len(run[0])] for p in predictions])
            else:
                series = np.stack([function(atoms) for atoms in run])
            mean = series.mean(axis=0)
            error = np.sqrt(
                standard_error(series) ** 2
                + average.statistical_std**2
                + average.noise**2
            )
            pulls.append((mean - average.samples[k])[some] / error[some])
            without.append((mean - average.value)[some] / error[some])
            low, high = average.interval()
            within.append(((low <= mean) & (mean <= high))[some])
        # The samples differ from the mean potential by more than statistics.
        assert np.sqrt(np.mean(np.square(without))) > 2.0
        assert np.sqrt(np.mean(np.square(pulls))) < 1.5
        assert np.mean(within) > 0.9
