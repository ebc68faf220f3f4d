"""Properties of crystals: closed forms, published numbers, brute force, whole reports."""

from __future__ import annotations

import json
from dataclasses import replace
from math import gcd

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator
from ase.calculators.tersoff import Tersoff, TersoffParameters

import gapfit
from gapfit.cli import main
from gapfit.data.frame import GPA
from gapfit.errors import GapfitError, StructureError
from gapfit.model.calibration import Scale
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
    soap = {"r_cut": 5.0, "n_max": 6, "l_max": 4, "n_sparse": 150, "atom_sigma": 0.6}
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
    rattled = bulk("Si", a=5.4, cubic=True)
    rattled.rattle(0.2, seed=1)
    with pytest.raises(GapfitError, match=r"Si8 has a force of .* after 2 steps"):
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
    with pytest.raises(
        GapfitError, match="unknown prototype 'dimond'; known are sc, fcc"
    ):
        prototype("dimond", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Cu' cannot be built as rocksalt"):
        prototype("rocksalt", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Xx7' cannot be built as fcc"):
        prototype("fcc", "Xx7", EMT())
    with pytest.raises(GapfitError, match="lattice = -1 Å"):
        prototype("fcc", "Cu", EMT(), lattice=-1.0)
    repulsive = MorsePotential(epsilon=1.0, rho0=1.0, r0=50.0, rcut1=0.1, rcut2=0.12)
    with pytest.raises(
        GapfitError, match=r"no minimum .* give the lattice constant \(--lattice\)"
    ):
        prototype("fcc", "Cu", repulsive)


# elasticity -----------------------------------------------------------------------------


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


# defects and surfaces -------------------------------------------------------------------


def test_a_vacancy_costs_what_two_runs_of_ase_say(copper):
    found = vacancy(copper, EMT(), width=7.0)
    bulk_cell = copper * (2, 2, 2)
    assert len(found.bulk) == len(bulk_cell) == 32
    bulk_cell.calc = EMT()
    hole = bulk_cell.copy()
    del hole[17]
    hole.calc = EMT()
    share = 31 / 32 * bulk_cell.get_potential_energy()
    assert found.unrelaxed == pytest.approx(hole.get_potential_energy() - share)
    hole = relaxed(hole, EMT(), cell="fixed", fmax=1e-4)
    expected = hole.get_potential_energy() - share
    assert found.energy == pytest.approx(expected, abs=1e-4)
    assert found.energy < found.unrelaxed - 1e-3
    for is_relaxed, value in ((True, found.energy), (False, found.unrelaxed)):
        parts = found.parts(relaxed=is_relaxed)
        total = sum(w * atoms.get_potential_energy() for w, atoms in parts)
        assert total == pytest.approx(value)
    larger = vacancy(copper, EMT(), width=7.0, extra=1, site=3)
    assert len(larger.bulk) == 108
    assert larger.energy == pytest.approx(found.energy, abs=0.05)


def test_the_site_of_a_vacancy_is_the_one_that_was_asked_for():
    """Two kinds of sites: chosen in a crystal whose layers are stacked ABAC."""
    a, h = 2.55, 2.55 * (2 / 3) ** 0.5
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, 4 * h]]
    sites = [[0, 0, 0], [1 / 3, 2 / 3, 1 / 4], [0, 0, 1 / 2], [2 / 3, 1 / 3, 3 / 4]]
    crystal = relaxed(
        Atoms("Cu4", scaled_positions=sites, cell=cell, pbc=True), EMT(), cell="free"
    )
    energies = []
    for site in (0, 1):
        perfect = supercell(crystal, 7.0)
        perfect.calc = EMT()
        share = (len(perfect) - 1) / len(perfect) * perfect.get_potential_energy()
        # That of another image of the same atom.
        hole = perfect[[n for n in range(len(perfect)) if n != site + 4]]
        hole.calc = EMT()
        energies.append(hole.get_potential_energy() - share)
        found = vacancy(crystal, EMT(), width=7.0, site=site)
        assert found.unrelaxed == pytest.approx(energies[-1], abs=1e-9)
    assert abs(energies[0] - energies[1]) > 1e-5


def test_vacancies_that_have_no_energy_are_refused(copper):
    with pytest.raises(GapfitError, match="chemical potentials"):
        vacancy(bulk("NiAl", "cesiumchloride", a=2.9), EMT())
    with pytest.raises(GapfitError, match="site = 4: the crystal has the atoms 0 to 3"):
        vacancy(copper, EMT(), site=4)


@pytest.mark.parametrize(
    ("build", "plane"), [(fcc100, (1, 0, 0)), (fcc110, (1, 1, 0)), (fcc111, (1, 1, -1))]
)
def test_surfaces_of_copper_are_those_of_ases_slabs(copper, build, plane):
    a, per_atom = copper.cell[0, 0], copper.get_potential_energy() / 4
    slab = build("Cu", (1, 1, 12), a=a, vacuum=8, periodic=True)
    slab.calc = EMT()
    area = slab.get_volume() / slab.cell[2, 2]

    def energy(atoms) -> float:
        return J_PER_M2 * (atoms.get_potential_energy() - 12 * per_atom) / (2 * area)

    found = surface(copper, plane, EMT())
    assert found.unrelaxed == pytest.approx(energy(slab), abs=1e-6)
    expected = energy(relaxed(slab, EMT(), cell="fixed", fmax=1e-3))
    assert found.energy == pytest.approx(expected, abs=1e-4)
    assert found.energy < found.unrelaxed
    total = sum(w * atoms.get_potential_energy() for w, atoms in found.parts())
    assert total == pytest.approx(found.energy)


def test_diamond_is_cut_where_one_bond_breaks():
    """Of the two 111 cuts one breaks one bond for each atom of a layer, the other three."""
    r0 = 2.35
    bonds = MorsePotential(epsilon=1.0, rho0=4.0, r0=r0, rcut1=1.2, rcut2=1.3)
    crystal = bulk("Si", a=4 * r0 / 3**0.5, cubic=True)
    both = slabs(crystal, (1, 1, 1), thickness=12, vacuum=12)
    broken = []
    for slab in both:
        near = slab.get_all_distances(mic=True) < 1.1 * r0
        broken.append(4 - (near.sum(axis=1) - 1).min())
    assert sorted(broken) == [1, 3]
    found = surface(crystal, (1, 1, 1), bonds)
    area = crystal.cell[0, 0] ** 2 * 3**0.5 / 4
    assert found.unrelaxed == pytest.approx(J_PER_M2 * 0.5 / area, rel=1e-6)


@pytest.mark.parametrize(
    "plane", [(1, 0, 0), (0, 1, 1), (2, 1, 0), (3, -1, 2), (0, 0, -1), (-2, 4, 6)]
)
def test_slabs_are_pieces_of_the_crystal_along_the_plane(plane):
    """Also of a crystal without any symmetry, whose composition they have."""
    rng = np.random.default_rng(1)
    crystal = bulk("NaCl", "rocksalt", a=5.6, cubic=True)[:3]
    crystal.set_cell(crystal.cell[:] + rng.normal(scale=0.5, size=(3, 3)), True)
    normal = np.linalg.inv(crystal.cell[:]) @ np.array(plane)
    divisor = gcd(*plane)
    # Neighbouring lattice planes are this far apart, and hold one lattice point each.
    distance = divisor / np.linalg.norm(normal)
    found = slabs(crystal, plane, thickness=9.0, vacuum=10.0)
    for slab in found:
        np.testing.assert_allclose(slab.cell[:2] @ normal, 0, atol=1e-9)
        area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
        assert area * distance == pytest.approx(crystal.get_volume())
        assert len(slab) == 3 * np.ceil(9.0 / distance)
        assert (slab.symbols == "Na").sum() * 2 == (slab.symbols == "Cl").sum() * (
            2 * (crystal.symbols == "Na").sum() / (crystal.symbols == "Cl").sum()
        )
        # Each atom sits on a site of the crystal, up to one shift of all.
        sites = np.linalg.solve(crystal.cell[:].T, slab.positions.T).T
        kinds = sites - crystal.get_scaled_positions()[np.argmax(crystal.numbers == 11)]
        offset = kinds[np.argmax(slab.numbers == 11)]
        own = (kinds - offset)[slab.numbers == 11]
        known = crystal.get_scaled_positions()[crystal.numbers == 11]
        gaps = own[:, None] - (known - known[0])[None]
        gaps = np.abs(gaps - np.rint(gaps)).max(axis=2).min(axis=1)
        assert gaps.max() < 1e-8
        heights = slab.positions @ normal / np.linalg.norm(normal)
        along = abs(slab.cell[2] @ normal) / np.linalg.norm(normal)
        assert along - np.ptp(heights) == pytest.approx(10.0, abs=1e-6)
    with pytest.raises(GapfitError, match="plane 0 0 0"):
        slabs(crystal, (0, 0, 0), thickness=9.0, vacuum=10.0)


# phonons and dynamics -------------------------------------------------------------------


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


def test_dynamics_keep_the_energy_and_its_temperature(copper):
    kept = run_nve(copper, EMT(), temperature=300, timestep=2.0, steps=300, width=7.0)
    assert kept.n_atoms == 32
    assert 200 < kept.temperature < 400
    assert abs(kept.drift) < 1.0
    rough = run_nve(copper, EMT(), temperature=300, timestep=8.0, steps=75, width=7.0)
    # Errors of velocity Verlet go with the square of the timestep.
    assert 8 < rough.fluctuation / kept.fluctuation < 32


class Heater(EMT):
    """Pushes atoms along: energy grows."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = (
            self.results["forces"] + 5 * self.atoms.get_velocities()
        )


def test_a_drift_is_measured(copper):
    found = run_nve(copper, Heater(), steps=60, width=5.0, timestep=2.0)
    assert found.drift > 1.0
    told = []
    run_nve(copper, EMT(), steps=12, width=3.0, progress=lambda *own: told.append(own))
    assert told[-1] == (12, 12)


def test_dynamics_that_cannot_run_are_refused(copper):
    with pytest.raises(GapfitError, match="the atoms fly apart"):
        run_nve(copper, EMT(), timestep=100.0, steps=200, width=3.0)
    with pytest.raises(GapfitError, match="5 steps of 1 fs at 300 K: give at least 10"):
        run_nve(copper, EMT(), steps=5)


# a fitted potential and its error bars --------------------------------------------------

SMALL = Settings(samples=8, width=7.0, steps=50)


@pytest.fixture(scope="module")
def report(model):
    crystal = prototype("fcc", "Cu", gapfit.GAPCalculator(model, uncertainty=False))
    only = ("eos", "elastic", "vacancy", "surface", "dimer", "nve")
    return compute(model, crystal, only=only, settings=SMALL)


def test_a_fit_has_the_properties_of_what_it_was_fitted_to(report, copper):
    values = {name: own.value for name, own in report.quantities.items()}
    assert values["structure.a"] == pytest.approx(copper.cell[0, 0], abs=0.003)
    C = elastic_response(copper, by_calculator(EMT())).constants[0]
    c11, c12, c44 = cubic_constants(C)
    assert values["elastic.C11"] == pytest.approx(c11, rel=0.05)
    assert values["elastic.C12"] == pytest.approx(c12, rel=0.05)
    assert values["elastic.C44"] == pytest.approx(c44, rel=0.05)
    assert values["eos.bulk_modulus"] == pytest.approx((c11 + 2 * c12) / 3, rel=0.03)
    assert values["elastic.bulk_hill"] == pytest.approx(
        values["eos.bulk_modulus"], rel=0.02
    )
    assert report.facts["elastic.stable"]
    hole = vacancy(copper, EMT(), width=7.0, extra=1)
    assert values["vacancy.energy"] == pytest.approx(hole.energy, abs=0.05)
    assert report.facts["vacancy.n_atoms"] == 108
    for plane in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        expected = surface(copper, plane, EMT()).energy
        name = f"surface.{''.join(map(str, plane))}.energy"
        assert values[name] == pytest.approx(expected, rel=0.06), name
    assert abs(values["nve.drift"]) < 20
    assert not [text for text in report.warnings if not text.startswith("dimer")]


def test_error_bars_are_the_spread_of_the_samples(model, report):
    """Each of them taken through its own curve, at the same geometries."""
    samples = model.sample(SMALL.samples, SMALL.seed)
    a = report.crystal.cell[0, 0]
    lattice, modulus = [], []
    for sample in samples:
        cells = [bulk("Cu", a=a * x ** (1 / 3)) for x in np.linspace(0.94, 1.06, 9)]
        energies = [sample.predict(cell).energy for cell in cells]
        eos = birch_murnaghan([cell.get_volume() for cell in cells], energies)
        lattice.append((4 * eos.volume) ** (1 / 3))
        modulus.append(eos.bulk_modulus)
    own = report.quantities
    assert own["eos.bulk_modulus"].std == pytest.approx(
        np.std(modulus, ddof=1), rel=1e-3
    )
    # The strain of the elastic response, and the curve, find the same minimum.
    assert own["structure.a"].std == pytest.approx(np.std(lattice, ddof=1), rel=0.2)
    volume = 3 * own["structure.a"].std / own["structure.a"].value
    assert own["structure.volume"].std == pytest.approx(
        volume * own["structure.volume"].value, rel=0.01
    )


def test_reports_hold_the_error_bars_of_both_geometries(model, report):
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(report.crystal, calculator, width=7.0, extra=1)
    cut = surface(report.crystal, (1, 1, 0), calculator, vacuum=7.0)
    for name, found in (("vacancy", hole), ("surface.110", cut)):
        for kind, is_relaxed in (("energy", True), ("unrelaxed", False)):
            expected = energy_std(model, found.parts(relaxed=is_relaxed))
            own = report.quantities[f"{name}.{kind}"]
            assert own.value == pytest.approx(
                found.energy if is_relaxed else found.unrelaxed, abs=1e-4
            )
            assert own.std == pytest.approx(expected, rel=1e-3)


def test_the_cohesive_energy_is_that_against_single_atoms(model, report):
    crystal = report.crystal.copy()
    whole = model.predict(crystal).energy / len(crystal)
    own = report.quantities["structure.cohesive_energy"]
    assert own.value == pytest.approx(model.predict(Atoms("Cu")).energy - whole)
    factor = model.calibration.scale("energy").factor
    drawn = model.sample(2000, seed=7, scale=factor)
    spread = drawn.predict(Atoms("Cu")).energies
    spread = spread - drawn.predict(crystal).energies / len(crystal)
    assert own.std == pytest.approx(np.std(spread), rel=0.1)


def test_errors_are_of_the_size_of_the_error_bars(report, copper):
    C = elastic_response(copper, by_calculator(EMT())).constants[0]
    known = dict(zip(("C11", "C12", "C44"), cubic_constants(C), strict=True))
    expected = {f"elastic.{name}": value for name, value in known.items()}
    expected["structure.a"] = copper.cell[0, 0]
    expected["vacancy.energy"] = vacancy(copper, EMT(), width=7.0, extra=1).energy
    off = []
    for name, value in expected.items():
        own = report.quantities[name]
        off.append((own.value - value) / own.std)
    assert 0.1 < np.sqrt(np.mean(np.square(off))) < 5


def test_error_bars_of_differences_are_those_of_many_samples(model, copper):
    crystal = relaxed(
        copper, gapfit.GAPCalculator(model, uncertainty=False), cell="free"
    )
    factor = model.calibration.scale("energy").factor
    drawn = model.sample(2000, seed=3, scale=factor)
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(crystal, calculator, width=7.0)
    cut = surface(crystal, (1, 1, 0), calculator, thickness=6.0, vacuum=7.0)
    for parts in (hole.parts(), hole.parts(relaxed=False), cut.parts()):
        energies = sum(w * drawn.predict(atoms).energies for w, atoms in parts)
        expected = np.std(energies)
        assert energy_std(model, parts) == pytest.approx(expected, rel=0.1)
        # The parts alone are far less certain in sum: their errors cancel.
        alone = [abs(w) * np.std(drawn.predict(atoms).energies) for w, atoms in parts]
        assert expected < 0.9 * sum(alone)


def test_error_bars_of_differences_have_the_factor_of_energies(model, copper):
    kinds = dict(model.calibration.kinds)
    kinds["energy"] = replace(kinds["energy"], scale=Scale(3.0, 7.0))
    scaled = replace(model, calibration=replace(model.calibration, kinds=kinds))
    bare = replace(model, calibration=None)
    parts = [(2.0, copper), (-8.0, Atoms("Cu"))]
    assert energy_std(scaled, parts) == pytest.approx(3 * energy_std(bare, parts))


def test_relaxation_changes_the_energy_of_a_sample_to_second_order_only(model, copper):
    """Each sample relaxed by itself: the spread is that at the mean's geometry."""
    crystal = copper.copy()
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(crystal, calculator, width=7.0)
    fixed, free = [], []
    for sample in model.sample(6, seed=4):
        own = gapfit.GAPCalculator(sample)
        energies = []
        for atoms in (hole.defect, relaxed(hole.defect, own, cell="fixed", fmax=5e-3)):
            found = atoms.copy()
            found.calc = own
            perfect = hole.bulk.copy()
            perfect.calc = own
            share = len(found) / len(perfect)
            energies.append(
                found.get_potential_energy() - share * perfect.get_potential_energy()
            )
        fixed.append(energies[0])
        free.append(energies[1])
    assert np.std(free) == pytest.approx(np.std(fixed), rel=0.15)


def test_the_lattice_of_a_sample_is_where_it_relaxes(model, copper):
    """The first-order strain against relaxations of each sample."""
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    crystal = relaxed(copper, calculator, cell="free")
    samples = model.sample(4, seed=5)
    found = elastic_response(crystal, by_samples(samples))
    a = crystal.cell[0, 0] * (1 + found.strain[:, :3].mean(axis=1))
    moved = []
    for n, sample in enumerate(samples):
        own = relaxed(crystal, gapfit.GAPCalculator(sample), cell="free")
        moved.append(own.cell.lengths().mean())
        single = elastic_response(crystal, by_calculator(gapfit.GAPCalculator(sample)))
        np.testing.assert_allclose(single.constants[0], found.constants[n], atol=1e-4)
    shift = np.array(moved) - crystal.cell[0, 0]
    assert np.abs(shift).max() > 1e-4
    np.testing.assert_allclose(a - crystal.cell[0, 0], shift, rtol=0.1, atol=2e-5)


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


def test_without_a_posterior_there_are_values_only(model, copper):
    bare = replace(model, posterior=None)
    found = compute(bare, copper, only=("eos", "elastic"), settings=SMALL)
    assert all(own.std is None for own in found.quantities.values())
    assert (
        "no error bars: this model was saved without its posterior" in found.warnings[0]
    )
    none = compute(model, copper, only=("eos",), settings=Settings(samples=0))
    assert none.quantities["eos.volume"].std is None
    assert not none.warnings


def test_models_of_quip_say_why_there_are_no_error_bars(model, copper):
    info = {key: own for key, own in model.info.items() if key != "n_rows"}
    read = replace(model, posterior=None, info=info | {"quip": {}})
    (text,) = compute(read, copper, only=()).warnings
    assert text.startswith("no error bars: a model of QUIP holds no posterior")
    assert "store_posterior" not in text


def test_without_energies_in_the_fit_there_is_no_cohesive_energy(model, copper):
    rows = model.info["n_rows"] | {"energy": 0}
    blind = replace(model, info=model.info | {"n_rows": rows})
    for own, known in ((blind, False), (model, True)):
        found = compute(own, copper, only=(), settings=Settings(samples=0))
        assert ("structure.cohesive_energy" in found.quantities) is known
        told = any("no energies were fitted" in text for text in found.warnings)
        assert told is not known
        assert "structure.volume" in found.quantities


def test_atoms_without_neighbours_are_no_crystal(model, copper):
    apart = bulk("Cu", a=30.0, cubic=True)
    found = compute(model, apart, only=(), settings=Settings(samples=0))
    (text,) = found.warnings
    assert "4 of 4 atoms have no neighbour within the cutoff of the model, 5 Å" in text
    assert not compute(model, copper, only=(), settings=Settings(samples=0)).warnings


@pytest.mark.parametrize(("modulus", "derivative"), [(90.0, -1.0), (-2.0, 4.0)])
def test_equations_of_state_of_no_solid_are_told(
    model, copper, monkeypatch, modulus, derivative
):
    from gapfit.properties import EquationOfState

    odd = EquationOfState(11.0, -3.0, modulus, derivative)
    monkeypatch.setattr("gapfit.properties.computation.birch_murnaghan", lambda *_: odd)
    found = compute(model, copper, only=("eos",), settings=Settings(samples=0))
    (text,) = found.warnings
    assert f"eos: unphysical, B = {modulus:g} GPa and B' = {derivative:g}" in text


def test_large_cells_have_no_error_bars_of_elasticity(model, copper, monkeypatch):
    monkeypatch.setattr("gapfit.properties.computation._LARGEST", 3)
    found = compute(model, copper, only=("eos", "elastic"), settings=SMALL)
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


def test_what_fails_is_a_warning_and_the_rest_is_there(model, copper):
    wrong = replace(SMALL, steps=3)
    found = compute(model, copper, only=("nve", "dimer"), settings=wrong)
    assert any(text.startswith("nve: 3 steps") for text in found.warnings)
    assert "dimer.Cu-Cu.energy" in found.quantities


def test_reports_of_what_is_no_crystal_are_refused(model, copper):
    with pytest.raises(
        GapfitError, match="unknown property 'eso'; known are structure"
    ):
        compute(model, copper, only=("eso",))
    open_cell = copper.copy()
    open_cell.pbc = [True, True, False]
    with pytest.raises(GapfitError, match="periodic in three directions"):
        compute(model, open_cell)
    with pytest.raises(StructureError, match="unknown species Si"):
        compute(model, bulk("Si"))
    with pytest.raises(GapfitError, match="samples = 1: give 0, or at least 2"):
        Settings(samples=1)
    with pytest.raises(GapfitError, match="width = 0 Å"):
        Settings(width=0.0)


# the command ----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    model.save("model.npz")
    return tmp_path


def test_the_command_prints_compares_and_writes(saved, capsys):
    (saved / "dft.toml").write_text(
        "structure.a = 3.6\n[elastic]\nC11 = 170\nC13 = 1\n"
    )
    argv = [
        "properties",
        "model.npz",
        "--prototype",
        "fcc",
        "--only",
        "eos,elastic,dimer",
    ]
    argv += ["--reference", "dft.toml", "--output", "out", "--samples", "4"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "elastic.C11" in line).split()
    found = json.loads((saved / "out" / "properties.json").read_text())
    value = found["quantities"]["elastic.C11"]
    assert float(line[1]) == pytest.approx(value["value"], abs=0.1)
    assert float(line[2]) == pytest.approx(value["std"], abs=0.1)
    assert line[3:5] == ["GPa", "170"]
    own = found["comparison"]["elastic.C11"]
    assert own["deviation"] == pytest.approx(value["value"] - 170)
    assert own["relative"] == pytest.approx(value["value"] / 170 - 1)
    assert "the reference elastic.C13 was not computed; did you mean elastic.C1" in text
    crystal = ase.io.read(saved / "out" / "crystal.extxyz")
    assert crystal.cell[0, 0] == found["quantities"]["structure.a"]["value"]
    for name in ("eos", "dimers"):
        assert (saved / "out" / f"{name}.png").read_bytes()[1:4] == b"PNG"
    assert not (saved / "out" / "phonons.png").exists()


def test_the_command_reads_a_crystal_and_prints_json(saved, capsys):
    ase.io.write("crystal.extxyz", bulk("Cu", a=3.6))
    argv = ["properties", "model.npz", "crystal.extxyz", "--only", "surface", "--json"]
    assert main([*argv, "--planes", "111,1-10", "--samples", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"surface.111.energy", "surface.1-10.energy"} < set(found["quantities"])
    assert "comparison" not in found


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give a STRUCTURE, or a --prototype"),
        (["x.xyz", "--prototype", "fcc"], "give a STRUCTURE, or a --prototype"),
        (["x.xyz", "--lattice", "3"], "--element and --lattice go with --prototype"),
        (["--prototype", "fccc"], "unknown prototype 'fccc'"),
        (["--prototype", "fcc", "--element", "Si"], "unknown species Si"),
        (
            ["--prototype", "fcc", "--element", "Xx"],
            "'Xx' cannot be built as fcc, which",
        ),
        (["--prototype", "rocksalt", "--element", "C:x"], "a compound such as NaCl"),
        (["--prototype", "fcc", "--only", "eos,x"], "unknown property 'x'"),
        (["--prototype", "fcc", "--planes", "11"], "--planes 11: give three digits"),
        (["--prototype", "fcc", "--output", "model.npz"], "is a file; give a folder"),
        (["--prototype", "fcc", "--output", "a/b"], "there is no folder a"),
        (["--prototype", "fcc", "--reference", "x.csv"], "as .json or .toml"),
        (["--prototype", "fcc", "--reference", "bad.json"], "a = 'x': give a finite"),
        (["--prototype", "fcc", "--reference", "bad.toml"], "bad.toml: cannot be read"),
    ],
)
def test_mistakes_on_the_command_line_are_named(saved, capsys, argv, message):
    (saved / "bad.json").write_text('{"a": "x"}')
    (saved / "bad.toml").write_text("a = \n")
    assert main(["properties", "model.npz", *argv]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
