"""Properties of crystals: closed forms, published numbers, brute force, whole reports."""

from __future__ import annotations

import json
from dataclasses import replace
from math import gcd

import ase.io
import numpy as np
import pytest
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator
from ase.calculators.tersoff import Tersoff, TersoffParameters

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError, StructureError
from gapfit.frame import GPA
from gapfit.properties import (
    Settings,
    birch_murnaghan,
    by_calculator,
    by_samples,
    compute,
    dimer_curve,
    elastic_response,
    energy_std,
    moduli,
    phonons,
    prototype,
    relaxed,
    run_nve,
    slabs,
    supercell,
    surface,
    vacancy,
    volume_scan,
)
from gapfit.properties.elastic import cubic_constants
from gapfit.properties.surfaces import J_PER_M2

# Phys. Rev. B 39, 5566 (1989), table I.
SILICON = TersoffParameters(
    m=3.0,
    gamma=1.0,
    lambda3=0.0,
    c=1.0039e5,
    d=16.217,
    h=-0.59825,
    n=0.78734,
    beta=1.1e-6,
    lambda2=1.7322,
    B=471.18,
    R=2.85,
    D=0.15,
    lambda1=2.4799,
    A=1830.8,
)


def tersoff() -> Tersoff:
    return Tersoff({("Si", "Si", "Si"): SILICON})


@pytest.fixture(scope="module")
def silicon():
    return relaxed(bulk("Si", a=5.4, cubic=True), tersoff(), cell="free", fmax=1e-6)


@pytest.fixture(scope="module")
def copper():
    return relaxed(bulk("Cu", a=3.6, cubic=True), EMT(), cell="free", fmax=1e-6)


def copper_frames() -> list:
    """Return crystals, some with holes and surfaces, and atoms, labelled by EMT."""
    rng, frames = np.random.default_rng(0), []
    for k in range(40):
        atoms = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
        if k % 4 == 1:
            del atoms[0]
        elif k % 4 == 2:
            hkl = [(1, 0, 0), (1, 1, 0), (1, 1, 1)][k // 4 % 3]
            atoms = slabs(bulk("Cu", a=3.6, cubic=True), hkl, thickness=7, vacuum=9)[0]
        strain = rng.normal(scale=0.015, size=(3, 3))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.06, size=atoms.positions.shape)
        frames.append(labelled(atoms))
    atom = labelled(bulk("Cu", a=20.0, cubic=True)[:1])
    return [*frames, atom]


def labelled(atoms):
    atoms.calc = EMT()
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    soap = {"r_cut": 5.0, "n_max": 6, "l_max": 4, "n_sparse": 150, "sigma": 0.6}
    return gapfit.fit(
        copper_frames(),
        {
            "e0": {"method": "least_squares"},
            "sigma": {"energy": 0.0005, "forces": 0.01, "virial": 0.005},
            "terms": [soap],
            "data": {"train": ["in memory"], "check_stress": False},
        },
    )


# relaxing and building ------------------------------------------------------------------


def test_a_relaxed_cell_is_at_the_minimum_of_its_energy(silicon):
    def energy(a: float) -> float:
        atoms = bulk("Si", a=a, cubic=True)
        atoms.calc = tersoff()
        return atoms.get_potential_energy() / 8

    a = silicon.cell[0, 0]
    assert a == pytest.approx(5.432, abs=5e-4)  # Tersoff's table II
    assert energy(a) == pytest.approx(-4.63, abs=5e-3)
    assert min(energy(a - 0.005), energy(a + 0.005)) > energy(a)


def test_a_relaxation_without_an_end_is_refused():
    with pytest.raises(GapfitError, match=r"Si8 has a force of .* left after 2 steps"):
        rattled = bulk("Si", a=5.4, cubic=True)
        rattled.rattle(0.2, seed=1)
        relaxed(rattled, tersoff(), cell="free", steps=2)


def test_at_a_fixed_volume_only_the_shape_relaxes():
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.set_cell(np.diag([3.5, 3.7, 3.9]), scale_atoms=True)
    found = relaxed(atoms, EMT(), cell="shape", fmax=1e-5)
    assert found.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-9)
    np.testing.assert_allclose(
        found.cell.lengths(), np.cbrt(atoms.get_volume()), rtol=1e-5
    )


@pytest.mark.parametrize("width", [5.0, 10.86, 14.0])
def test_faces_of_supercells_are_far_apart(width):
    primitive = bulk("Si", a=5.43)
    found = supercell(primitive, width)
    heights = 1 / np.linalg.norm(np.linalg.inv(found.cell[:]), axis=0)
    assert heights.min() > width - 1e-4
    step = 1 / np.linalg.norm(np.linalg.inv(primitive.cell[:]), axis=0)
    assert (heights - step).max() < width
    assert len(supercell(bulk("Si", a=5.43, cubic=True), 10.86)) == 64


@pytest.mark.parametrize(
    ("name", "formula", "contact"),
    [("fcc", "Cu", 2**0.5), ("bcc", "Cu", 2 / 3**0.5), ("hcp", "Cu", 1.0)],
)
def test_prototypes_find_their_lattice(name, formula, contact):
    """Copper's nearest neighbours are 2.4 to 2.7 Å apart in all of them."""
    found = prototype(name, formula, EMT())
    assert 2.3 < found.cell.lengths()[0] / contact < 2.8
    given = prototype(name, formula, EMT(), lattice=3.1)
    assert given.cell.lengths()[0] == pytest.approx(3.1)


def test_prototypes_that_cannot_be_are_refused():
    with pytest.raises(GapfitError, match="unknown prototype 'dimond'; known are sc, fcc"):
        prototype("dimond", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Cu' cannot be built as rocksalt"):
        prototype("rocksalt", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Xx7' cannot be built as fcc"):
        prototype("fcc", "Xx7", EMT())
    with pytest.raises(GapfitError, match="lattice = -1 Å"):
        prototype("fcc", "Cu", EMT(), lattice=-1.0)
    repulsive = MorsePotential(epsilon=1.0, rho0=1.0, r0=50.0, rcut1=0.1, rcut2=0.12)
    with pytest.raises(GapfitError, match=r"no minimum .* give one \(--lattice\)"):
        prototype("fcc", "Cu", repulsive)


# elasticity -----------------------------------------------------------------------------


def test_springs_between_nearest_neighbours_have_the_closed_form():
    """Of fcc: C11 = 2 k/a, C12 = C44 = k/a (Born's central forces, with Cauchy's C12 = C44)."""
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
    assert found.bulk_voigt == found.bulk_reuss == pytest.approx((c11 + 2 * c12) / 3)
    assert found.shear_voigt == pytest.approx((c11 - c12 + 3 * c44) / 5)
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert found.shear_reuss == pytest.approx(reuss)
    B, G = found.bulk_hill, (found.shear_voigt + reuss) / 2
    assert found.young == pytest.approx(9 * B * G / (3 * B + G))
    assert found.poisson == pytest.approx(found.young / (2 * G) - 1)


def test_the_strain_leads_to_the_equilibrium(copper):
    """From a cell 0.4 % too large, to second order in that."""
    cell = copper.copy()
    cell.set_cell(copper.cell * 1.004, scale_atoms=True)
    found = elastic_response(cell, by_calculator(EMT()))
    expected = [1 / 1.004 - 1] * 3 + [0] * 3
    np.testing.assert_allclose(found.strain[0], expected, atol=1e-4)


def test_a_crystal_that_shears_by_itself_is_not_stable():
    """A simple cubic crystal of springs to nearest neighbours resists no shear."""
    morse = MorsePotential(epsilon=1.0, rho0=4.0, r0=2.5, rcut1=1.2, rcut2=1.3)
    crystal = relaxed(bulk("Cu", "sc", a=2.4) * 2, morse, cell="free")
    found = elastic_response(crystal, by_calculator(morse))
    assert not found.is_stable.any()
