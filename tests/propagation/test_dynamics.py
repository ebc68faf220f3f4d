"""Reweighted averages against dynamics that are really run with each sample."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.md.langevin import Langevin
from builders import DATA

import gapfit
from gapfit.propagation import radial_distribution
from gapfit.propagation.correlation import standard_error

T, REACH = 600.0, 5.0


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    """A model with few sparse points, so that its samples differ."""
    frames = [
        atoms
        for atoms in ase.io.read(DATA / "silicon" / "train.extxyz", ":")
        if atoms.info["config_type"] in ("bulk_rattled", "bulk_eos", "isolated_atom")
    ]
    soap = {"type": "soap", "r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 20}
    pairs = {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 10}
    return gapfit.fit(
        frames,
        {
            "terms": [soap, pairs],
            "data": {"train": ["in memory"], "check_labels": False},
        },
    )


def dynamics(model: gapfit.GAPModel, seed: int, steps: int) -> list[Atoms]:
    atoms = bulk("Si", cubic=True, a=5.46)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False, n_threads=1)
    rng = np.random.default_rng(seed)
    width = np.sqrt(units.kB * T * atoms.get_masses())[:, None]
    atoms.set_momenta(width * rng.standard_normal((len(atoms), 3)))
    run = Langevin(
        atoms,
        2 * units.fs,
        temperature_K=T,
        friction=0.01 / units.fs,
        fixcm=False,
        rng=rng,
    )
    run.run(1000)
    frames: list[Atoms] = []
    run.attach(lambda: frames.append(atoms.copy()), interval=20)
    run.run(steps)
    return frames


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "cumulant"])
def test_reweighted_averages_are_those_of_the_dynamics_of_samples(model, method):
    """Mean energy and radial distribution, within the statistical errors of both."""
    samples = model.sample(4, seed=1, scale=6.0)
    found = gapfit.reweight(
        model,
        dynamics(model, 1, 60_000),
        temperature=T,
        samples=samples,
        rdf=REACH,
        method=method,
    )
    rdf = radial_distribution(REACH).function
    pulls: dict[str, list[np.ndarray]] = {"energy": [], "rdf": []}
    within = []
    for k, sample in enumerate(samples):
        run = dynamics(sample, 2 + k, 30_000)
        predictions = sample.predict(run, forces=False, stress=False)
        own = {
            "energy": np.array([[p.energy / len(run[0])] for p in predictions]),
            "rdf": np.stack([rdf(atoms) for atoms in run]),
        }
        for name, series in own.items():
            average = found[name]
            some = average.value != 0 if name == "energy" else average.value > 0.05
            error = np.sqrt(
                standard_error(series) ** 2
                + average.statistical_std**2
                + average.noise**2
            )
            off = series.mean(axis=0) - average.samples[k]
            pulls[name].append(off[some] / error[some])
            low, high = average.interval()
            inside = (low <= series.mean(axis=0)) & (series.mean(axis=0) <= high)
            within.append(inside[some])
    # The samples differ by far more than statistics, in both.
    assert found["energy"].model_std[0] > 3 * found["energy"].statistical_std[0]
    for values in pulls.values():
        assert np.sqrt(np.mean(np.concatenate(values) ** 2)) < 2.0
    assert np.mean(np.concatenate(within)) > 0.9
