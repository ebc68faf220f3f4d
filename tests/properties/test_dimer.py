"""Curves of dimers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from gapfit.data.pair_data import PairData
from gapfit.errors import StructureError
from gapfit.properties import DimerCurve, dimer_curve
from gapfit.properties.plausibility import doubts_of_dimers


def test_dimers_are_relative_to_the_atoms(model):
    """Also their error bars: beyond the cutoff nothing is uncertain."""
    curve = dimer_curve(model, 29, 29)
    factor = model.calibration.scale("energy").factor
    drawn = model.sample(2000, seed=6, scale=factor)
    atom = Atoms("Cu")
    for k in (20, curve.lowest):
        pair = Atoms("Cu2", [[0, 0, 0], [0, curve.distances[k], 0]])
        expected = model.predict(pair).energy - 2 * model.predict(atom).energy
        assert curve.energies[k] == pytest.approx(expected)
        spread = drawn.predict(pair).energies - 2 * drawn.predict(atom).energies
        assert curve.std[k] == pytest.approx(np.std(spread), rel=0.1)
    assert curve.distances[-1] == pytest.approx(model.cutoff)
    assert curve.energies[-1] == pytest.approx(0.0, abs=1e-9)
    assert curve.std[-1] == pytest.approx(0.0, abs=1e-6)
    assert dimer_curve(replace(model, posterior=None), 29, 29).std is None
    with pytest.raises(StructureError, match="unknown species Si"):
        dimer_curve(model, 14, 29)


def test_curves_know_the_pairs_in_the_data_of_the_fit(model):
    data = dimer_curve(model, 29, 29).data
    assert (data.species, data.n_dimers) == ((29, 29), 0)
    assert 2.0 < data.closest < 2.6
    assert dimer_curve(model.with_record(pairs=()), 29, 29).data is None


def test_few_of_many_pairs_without_dimers_are_listed():
    r = np.array([1.0, 2.0])
    curves = {
        f"A-{n}": DimerCurve(r, -r, None, PairData((1, n), 2.0, n > 8, 3.5))
        for n in range(1, 12)
    }
    (text,) = doubts_of_dimers(curves)
    assert "A-6 (no dimer in the data, pairs from 2.00 Å); and 2 more pairs" in text
    assert "A-7" not in text


def test_an_attractive_core_is_reported():
    r = np.array([1.0, 1.5, 2.0, 2.5])
    assert DimerCurve(r, np.array([9.0, 4.0, -1.0, 0.0]), None).is_repulsive
    assert not DimerCurve(r, np.array([3.0, 4.0, -1.0, 0.0]), None).is_repulsive
