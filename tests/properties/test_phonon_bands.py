"""Phonons, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from gapfit.errors import GapfitError
from gapfit.properties import (
    phonons,
    relaxed,
)


def test_phonons_of_springs_have_the_closed_form():
    """Fcc, nearest neighbours: ω² = 8 k/m at X (longitudinal), 4 k/m (transverse)."""
    pytest.importorskip("phonopy")
    from ase import units

    r0, depth, rho = 2.5, 1.0, 6.0
    morse = MorsePotential(epsilon=depth, rho0=rho, r0=r0, rcut1=1.2, rcut2=1.32)
    crystal = bulk("Cu", a=r0 * 2**0.5, cubic=True)
    found = phonons(crystal, morse, width=7.0)
    squared = 2 * depth * (rho / r0) ** 2 / crystal.get_masses()[0]
    # An angular frequency in ASE's unit of time, to THz.
    thz = 1e3 * units.fs / (2 * np.pi)
    assert found.n_atoms == 32
    distance = {name: x for x, name in found.labels}
    assert {"G", "X", "L"} < set(distance)
    # U and K are one point of the axis, where the path jumps.
    assert len(found.labels) == len({x for x, _ in found.labels})
    assert any(set(name) == set("U|K") for name in distance)
    at_x = found.bands[np.argmin(np.abs(found.distances - distance["X"]))]
    expected = thz * np.sqrt(squared * np.array([4, 4, 8]))
    np.testing.assert_allclose(np.sort(at_x), expected, rtol=2e-3)
    np.testing.assert_allclose(found.gamma, 0, atol=1e-4)
    assert found.highest == pytest.approx(expected[-1], rel=2e-3)
    assert found.is_stable
    # Three modes of the one atom of a primitive cell.
    assert np.trapezoid(found.density, found.frequencies) == pytest.approx(3, abs=0.05)


def test_imaginary_modes_are_seen():
    """Springs to nearest neighbours do not hold a simple cubic crystal of Cauchy's kind."""
    pytest.importorskip("phonopy")
    morse = MorsePotential(epsilon=1.0, rho0=4.0, r0=2.5, rcut1=1.2, rcut2=1.9)
    crystal = relaxed(bulk("Cu", "sc", a=2.4), morse, cell="shape")
    found = phonons(crystal, morse, width=6.0)
    assert found.lowest < -0.5
    assert not found.is_stable


def test_phonons_without_phonopy_name_the_extra(monkeypatch, copper):
    import sys

    monkeypatch.setitem(sys.modules, "phonopy", None)
    with pytest.raises(GapfitError, match=r"pip install 'gapfit\[phonons\]'"):
        phonons(copper, EMT())
