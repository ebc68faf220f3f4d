"""Properties against closed forms and ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase.eos import EquationOfState as AseEquationOfState
from ase.eos import birchmurnaghan

from gapfit.errors import GapfitError
from gapfit.properties import birch_murnaghan


def test_recovers_the_parameters_of_the_equation():
    V = np.linspace(17, 24, 9)
    E = birchmurnaghan(V, -5.4, 90 / 160.21766208, 4.3, 20.4)
    eos = birch_murnaghan(V, E)
    assert eos.volume == pytest.approx(20.4, abs=1e-8)
    assert eos.energy == pytest.approx(-5.4, abs=1e-9)
    assert eos.bulk_modulus == pytest.approx(90, rel=1e-6)
    assert eos.derivative == pytest.approx(4.3, rel=1e-6)
    np.testing.assert_allclose(eos.energies(V), E, rtol=0, atol=1e-9)


def test_equals_ase_on_noisy_data():
    V = np.linspace(17, 24, 9)
    noise = 1e-3 * np.random.default_rng(0).normal(size=9)
    E = birchmurnaghan(V, -5.4, 90 / 160.21766208, 4.3, 20.4) + noise
    v0, e0, B = AseEquationOfState(V, E, eos="birchmurnaghan").fit()
    eos = birch_murnaghan(V, E)
    assert eos.volume == pytest.approx(v0, rel=1e-5)
    assert eos.energy == pytest.approx(e0, rel=1e-6)
    assert eos.bulk_modulus == pytest.approx(B * 160.21766208, rel=1e-4)


def test_too_few_volumes_and_no_minimum():
    with pytest.raises(GapfitError, match="at least 4 volumes, there are 3"):
        birch_murnaghan(np.array([1.0, 2, 3]), np.array([1.0, 0, 1]))
    V = np.linspace(17, 24, 6)
    with pytest.raises(GapfitError, match=r"no energy minimum between .* 17\.000"):
        birch_murnaghan(V, V)
