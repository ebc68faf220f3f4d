"""Energies of all samples along a trajectory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import (
    ZBL,
    config,
    labelled_frames,
    silicon,
    three_species,
    without_tables,
)

import gapfit
from gapfit.errors import GapfitError, StructureError
from gapfit.model.terms import FittedTerm
from gapfit.propagation import ensemble, sample_energies


def _without_tables(term: FittedTerm) -> FittedTerm:
    return without_tables(term) if term.config.type == "angle_3b" else term


def rattled(model: gapfit.GAPModel, n: int) -> list:
    """Return structures of different sizes that a model knows."""
    build = silicon if model.species == (14,) else three_species
    frames = []
    for k in range(n):
        atoms = build() * (1 + k % 2, 1, 1)
        atoms.rattle(0.03, seed=k)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def with_ace() -> gapfit.GAPModel:
    term = {"type": "ace", "r_cut": 4.5}
    return gapfit.fit(
        labelled_frames(silicon, 4), {**config(), "terms": [term], "baseline": ZBL}
    )


@pytest.mark.parametrize("name", ["si_model", "gst_full", "with_ace"])
def test_they_are_those_that_each_sample_predicts(request, monkeypatch, name):
    """To rounding, whatever the terms, the baseline and the batches."""
    given = request.getfixturevalue(name)
    # Predictions have tables for three-body terms, which are less accurate.
    terms = tuple(map(_without_tables, given.terms))
    model = replace(given, terms=terms)
    frames = rattled(model, 5)
    samples = model.sample(3, seed=1)
    found = sample_energies(samples, frames)
    sizes = np.array([len(atoms) for atoms in frames])
    for k, sample in enumerate(samples):
        expected = [p.energy for p in sample.predict(frames)]
        np.testing.assert_allclose(
            found.energies[:, k] / sizes, expected / sizes, rtol=0, atol=5e-10
        )
    mean = [p.energy for p in model.without_projections().predict(frames)]
    np.testing.assert_allclose(found.mean / sizes, mean / sizes, rtol=0, atol=5e-10)
    monkeypatch.setattr(ensemble, "_BATCH_ATOMS", 1)
    alone = sample_energies(samples, frames)
    np.testing.assert_allclose(alone.differences, found.differences, rtol=0, atol=4e-9)


def test_samples_without_spread_have_no_differences(si_model):
    found = sample_energies(si_model.sample(2, scale=0.0), rattled(si_model, 2))
    assert not found.differences.any()


def test_progress_and_errors(si_model):
    samples, calls = si_model.sample(2), []
    sample_energies(
        samples, rattled(si_model, 2), progress=lambda *call: calls.append(call)
    )
    assert calls[-1] == ("energies", 2, 2)
    other = silicon()
    other.numbers[0] = 6
    with pytest.raises(StructureError, match="structure 1"):
        sample_energies(samples, [silicon(), other])
    samples.coefficients = np.full_like(samples.coefficients, np.inf)
    with np.errstate(invalid="ignore"), pytest.raises(GapfitError, match="not finite"):
        sample_energies(samples, [silicon()])
