"""Elastic constants: closed forms, published numbers, symmetries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from helpers.crystals import SMALL, tersoff

import gapfit
from gapfit.data.frame import GPA
from gapfit.properties import (
    birch_murnaghan,
    by_calculator,
    compute,
    elastic_response,
    moduli,
    prototype,
    relaxed,
    volume_scan,
)
from gapfit.properties.elastic import cubic_constants


def test_springs_between_nearest_neighbours_have_the_closed_form():
    """Of fcc: C11 = 2 k/a, C12 = C44 = k/a (Cauchy's relation)."""
    r0, depth, rho = 2.5, 1.0, 6.0
    morse = MorsePotential(epsilon=depth, rho0=rho, r0=r0, rcut1=1.2, rcut2=1.32)
    a = r0 * 2**0.5
    stiffness = 2 * depth * (rho / r0) ** 2
    crystal = bulk("Cu", a=a, cubic=True)
    found = elastic_response(crystal, by_calculator(morse))
    c11, c12, c44 = cubic_constants(found.constants[0])
    assert c11 == pytest.approx(2 * GPA * stiffness / a, rel=1e-4)
    assert c12 == pytest.approx(GPA * stiffness / a, rel=1e-4)
    assert c44 == pytest.approx(GPA * stiffness / a, rel=1e-4)
    # Every atom is a centre of inversion: none moves.
    np.testing.assert_allclose(found.clamped, found.constants, atol=1e-3)
    assert found.is_stable.all()


def test_published_constants_of_tersoffs_silicon(silicon):
    """Balamane, Halicioglu & Tiller, Phys. Rev. B 46, 2250 (1992), table III."""
    found = elastic_response(silicon, by_calculator(tersoff()))
    c11, c12, c44 = cubic_constants(found.constants[0])
    assert (c11, c12, c44) == pytest.approx((142.5, 75.4, 69.0), abs=1.0)
    assert cubic_constants(found.clamped[0])[2] == pytest.approx(118.8, abs=1.0)


def test_energies_of_strained_and_relaxed_cells_tell_the_same(silicon):
    """C44 and C11 - C12 from the curvature of the energy, each cell relaxed by itself."""
    C = elastic_response(silicon, by_calculator(tersoff())).constants[0]
    volume, step = silicon.get_volume(), 4e-3

    def energy(strain: np.ndarray) -> float:
        atoms = silicon.copy()
        atoms.set_cell(silicon.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        # Off the saddle, in case there is one.
        atoms.rattle(1e-3, seed=3)
        return relaxed(atoms, tersoff(), cell="fixed", fmax=1e-5).get_potential_energy()

    shear, stretch = np.zeros((3, 3)), np.diag([1.0, -1.0, 0.0])
    shear[1, 2] = shear[2, 1] = 0.5
    for strain, expected in ((shear, C[3, 3]), (stretch, 2 * (C[0, 0] - C[0, 1]))):
        bend = energy(step * strain) + energy(-step * strain) - 2 * energy(0 * strain)
        assert GPA * bend / step**2 / volume == pytest.approx(expected, rel=2e-3)


def test_constants_turn_with_the_crystal(silicon):
    """As a tensor of fourth rank, written out over all indices."""
    C = elastic_response(silicon, by_calculator(tersoff())).constants[0]
    R, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    R *= np.sign(np.linalg.det(R))
    turned = silicon.copy()
    turned.set_cell(silicon.cell[:] @ R.T, scale_atoms=True)
    found = elastic_response(turned, by_calculator(tersoff())).constants[0]
    index = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    full = C[index[:, :, None, None], index[None, None]]
    full = np.einsum("ai,bj,ck,dl,ijkl->abcd", R, R, R, R, full)
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    expected = np.array([[full[p + q] for q in pairs] for p in pairs])
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert cubic_constants(found) is None
    # Averages over orientations do not turn.
    assert moduli(found).shear_hill == pytest.approx(moduli(C).shear_hill, abs=0.05)


def test_the_primitive_cell_has_the_same_constants(silicon):
    primitive = bulk("Si", a=silicon.cell[0, 0])
    found = elastic_response(primitive, by_calculator(tersoff())).constants[0]
    expected = elastic_response(silicon, by_calculator(tersoff())).constants[0]
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_both_ways_to_the_bulk_modulus_agree(silicon):
    cells = volume_scan(silicon, tersoff(), span=0.03)
    eos = birch_murnaghan(
        [cell.get_volume() for cell in cells],
        [cell.get_potential_energy() for cell in cells],
    )
    C = elastic_response(silicon, by_calculator(tersoff())).constants[0]
    assert eos.bulk_modulus == pytest.approx((C[0, 0] + 2 * C[0, 1]) / 3, rel=2e-3)
    assert eos.bulk_modulus == pytest.approx(moduli(C).bulk_hill, rel=2e-3)
    assert eos.volume == pytest.approx(silicon.get_volume(), rel=1e-4)


def test_moduli_of_a_cubic_crystal_are_the_closed_forms():
    c11, c12, c44 = 166.0, 64.0, 80.0
    C = np.diag([c11, c11, c11, c44, c44, c44])
    C[:3, :3] += c12 * (1 - np.eye(3))
    found = moduli(C)
    assert found.bulk_voigt == pytest.approx((c11 + 2 * c12) / 3)
    assert found.bulk_reuss == pytest.approx((c11 + 2 * c12) / 3)
    assert found.shear_voigt == pytest.approx((c11 - c12 + 3 * c44) / 5)
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert found.shear_reuss == pytest.approx(reuss)
    B, G = found.bulk_hill, (found.shear_voigt + reuss) / 2
    assert found.young == pytest.approx(9 * B * G / (3 * B + G))
    assert found.poisson == pytest.approx(found.young / (2 * G) - 1)


def test_the_strain_leads_to_the_equilibrium(copper):
    """From a cell 0.1 % too large, to second order in that."""
    cell = copper.copy()
    cell.set_cell(copper.cell * 1.001, scale_atoms=True)
    found = elastic_response(cell, by_calculator(EMT()))
    expected = [1 / 1.001 - 1] * 3 + [0] * 3
    np.testing.assert_allclose(found.strain[0], expected, atol=1e-5)
    np.testing.assert_allclose(found.cells(cell.cell[:])[0], copper.cell[:], atol=1e-4)


def test_the_strain_undoes_a_shear(copper):
    cell = copper.copy()
    shear = 1e-4 * np.array([[0, 1, 0], [1, 0, -2], [0, -2, 0]])
    cell.set_cell(copper.cell[:] @ (np.eye(3) + shear), scale_atoms=True)
    found = elastic_response(cell, by_calculator(EMT()))
    np.testing.assert_allclose(
        found.strain[0], [0, 0, 0, 4e-4, 0, -2e-4], rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(found.cells(cell.cell[:])[0], copper.cell[:], atol=1e-5)


def test_atoms_that_leave_their_places_make_it_unstable(silicon):
    """Whatever the elastic constants are."""
    rng, step = np.random.default_rng(0), 1e-3
    found = elastic_response(silicon, by_calculator(tersoff()))
    K = np.empty((24, 24))
    for k in range(24):
        moved = silicon.copy()
        moved.positions.ravel()[k] += step
        moved.calc = tersoff()
        K[k] = -moved.get_forces().ravel() / step
    # After three translations.
    assert found.softest[0] == pytest.approx(
        np.linalg.eigvalsh(K + K.T)[3] / 2, rel=1e-2
    )
    assert found.is_stable.tolist() == [True]
    assert replace(found, softest=-found.softest).is_stable.tolist() == [False]
    twisted = found.constants - 100 * np.eye(6) * rng.uniform(0.9, 1.0)
    assert replace(found, constants=twisted).is_stable.tolist() == [False]


def test_a_crystal_that_shears_by_itself_is_not_stable():
    """A simple cubic crystal of springs to nearest neighbours resists no shear."""
    morse = MorsePotential(epsilon=1.0, rho0=4.0, r0=2.5, rcut1=1.2, rcut2=1.3)
    crystal = relaxed(bulk("Cu", "sc", a=2.4) * 2, morse, cell="free")
    found = elastic_response(crystal, by_calculator(morse))
    assert not found.is_stable.any()


def test_large_cells_have_no_error_bars_of_elasticity(model, copper):
    settings = replace(SMALL, elastic_atoms=3)
    found = compute(model, copper, only=("eos", "elastic"), settings=settings)
    assert found.quantities["elastic.C11"].std is None
    assert found.quantities["eos.volume"].std > 0
    assert "of up to 3 atoms, this has 4" in found.warnings[0]


def test_a_hexagonal_crystal_has_two_lengths_and_five_constants(model):
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    found = compute(
        model, prototype("hcp", "Cu", calculator), only=("elastic",), settings=SMALL
    )
    own = {name: one.value for name, one in found.quantities.items()}
    a, c = own["structure.a"], own["structure.c"]
    assert own["structure.b"] == pytest.approx(a, rel=1e-4)
    assert own["structure.gamma"] == pytest.approx(120, abs=0.01)
    assert c / a == pytest.approx((8 / 3) ** 0.5, rel=0.03)
    # Hexagonal symmetry.
    assert own["elastic.C11"] == pytest.approx(own["elastic.C22"], rel=1e-3)
    assert own["elastic.C66"] == pytest.approx(
        (own["elastic.C11"] - own["elastic.C12"]) / 2, rel=1e-3
    )
    assert "elastic.C14" not in own


def test_matscipy_finds_the_same_constants():
    """Of a crystal whose atoms move when it is strained, without cubic symmetry."""
    elasticity = pytest.importorskip("matscipy.elasticity")
    from ase.optimize import LBFGS

    crystal = relaxed(bulk("Cu", "hcp", a=2.55), EMT(), cell="free", fmax=1e-5)
    found = elastic_response(crystal, by_calculator(EMT())).constants[0]
    expected, _ = elasticity.fit_elastic_constants(
        crystal,
        symmetry="triclinic",
        N_steps=5,
        delta=1e-3,
        optimizer=LBFGS,
        fmax=1e-5,
        logfile=None,
        verbose=False,
        graphics=False,
    )
    np.testing.assert_allclose(found, GPA * expected, atol=0.3)
    clamped = elastic_response(crystal, by_calculator(EMT())).clamped[0]
    assert np.abs(clamped - found).max() > 3
