"""Curves of dimers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from gapfit.errors import StructureError
from gapfit.properties import (
    dimer_curve,
)


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


def test_an_attractive_core_is_reported():
    from gapfit.properties import DimerCurve

    r = np.array([1.0, 1.5, 2.0, 2.5])
    assert DimerCurve(r, np.array([9.0, 4.0, -1.0, 0.0]), None).is_repulsive
    assert not DimerCurve(r, np.array([3.0, 4.0, -1.0, 0.0]), None).is_repulsive
