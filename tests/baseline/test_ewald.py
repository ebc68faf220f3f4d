"""Sums over point charges: Madelung constants, widths that do not matter, derivatives."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from ase.build import bulk

from gapfit.baseline.ewald import (
    COULOMB,
    Widths,
    direct_sums,
    molecule_sums,
    reciprocal_sums,
    widths,
)
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list


def charged(seed=3):
    """Return a distorted crystal in a skewed cell, and its charges."""
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    shear = np.array([[1.02, 0.1, 0], [0, 0.97, -0.08], [0.3, 0, 1.01]])
    atoms.set_cell(atoms.cell @ shear, scale_atoms=True)
    atoms.rattle(0.2, seed=seed)
    return atoms, np.where(atoms.numbers == 11, 0.8, -0.8)


def summed(atoms, charges, chosen):
    pairs = pair_list(structure_arrays(atoms), chosen.r_cut)
    direct = direct_sums(charges, pairs.i, pairs.j, pairs.R, chosen.alpha)
    waves = reciprocal_sums(charges, atoms.positions, atoms.cell.array, chosen)
    return [one + other for one, other in zip(direct, waves, strict=True)]


# Constants of the energy per formula unit, over the distance of nearest neighbours:
# Y. Sakamoto, J. Chem. Phys. 28, 164 (1958), and later to all digits here.
@pytest.mark.parametrize(
    ("structure", "madelung", "nearest"),
    [
        ("rocksalt", 1.747564594633182, 1 / 2),
        ("cesiumchloride", 1.762674773070988, 3**0.5 / 2),
        ("zincblende", 1.638055053388789, 3**0.5 / 4),
    ],
)
def test_madelung_constants(structure, madelung, nearest):
    a, charge = 5.5, 1.3
    primitive = bulk("NaCl", structure, a=a)
    expected = -COULOMB * madelung * charge**2 / (nearest * a)
    for atoms in (primitive, primitive * (3, 1, 2)):
        charges = np.where(atoms.numbers == 11, charge, -charge)
        energies, forces, virial = summed(
            atoms, charges, widths(len(atoms), atoms.get_volume())
        )
        n = len(atoms)
        # Both species have the same potential but for its sign.
        np.testing.assert_allclose(energies, expected / 2, rtol=1e-11)
        np.testing.assert_allclose(forces, 0, atol=1e-11)
        # The energy is proportional to 1 / length.
        np.testing.assert_allclose(virial, np.eye(3) * expected * n / 6, atol=1e-9)


def test_the_division_between_both_sums_does_not_matter():
    atoms, charges = charged()
    usual = summed(atoms, charges, widths(len(atoms), atoms.get_volume()))
    for alpha in (0.4, 0.6):
        other = summed(atoms, charges, Widths(alpha, 5.5 / alpha, 11.0 * alpha))
        for one, two in zip(usual, other, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-9)


def test_origin_and_cells_do_not_matter():
    atoms, charges = charged()
    chosen = widths(len(atoms), atoms.get_volume())
    usual = summed(atoms, charges, chosen)
    moved = atoms.copy()
    moved.positions += [1.2, -0.7, 33.0]
    moved.positions[2] += 2 * atoms.cell[0] - atoms.cell[2]
    turned = atoms.copy()
    turned.set_cell([atoms.cell[0], atoms.cell[1], atoms.cell[2] - 2 * atoms.cell[0]])
    for other in (moved, turned):
        for one, two in zip(usual, summed(other, charges, chosen), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-9)


def test_derivatives_are_those_of_the_energy():
    atoms, charges = charged()
    chosen = widths(len(atoms), atoms.get_volume())
    _, forces, virial = summed(atoms, charges, chosen)

    def slope(changed, step):
        plus, minus = (
            summed(changed(s), charges, chosen)[0].sum() for s in (step, -step)
        )
        return (plus - minus) / (2 * step)

    for atom, axis in ((0, 0), (5, 2)):

        def moved(x, atom=atom, axis=axis):
            out = atoms.copy()
            out.positions[atom, axis] += x
            return out

        assert forces[atom, axis] == pytest.approx(-slope(moved, 1e-4), abs=1e-6)
    np.testing.assert_allclose(virial, virial.T, atol=1e-10)
    for row, column in ((0, 0), (2, 2), (0, 1), (1, 2)):

        def strained(x, row=row, column=column):
            out = atoms.copy()
            strain = np.eye(3)
            strain[row, column] += x
            out.set_cell(out.cell @ strain, scale_atoms=True)
            return out

        assert virial[row, column] == pytest.approx(-slope(strained, 1e-5), abs=1e-5)


def test_widths_bound_the_number_of_pairs():
    assert widths(8, 180.0).r_cut == pytest.approx(7.2, abs=0.3)
    large = widths(20_000, 4e5)
    assert 4 / 3 * np.pi * large.r_cut**3 * 0.05 * 20_000 == pytest.approx(2e6)


@pytest.mark.parametrize("pairs_at_once", [1, 7 * 40, 10**6])
def test_molecules_have_the_sum_over_all_pairs(pairs_at_once, monkeypatch):
    random = np.random.default_rng(4)
    charges, positions = random.normal(size=40), random.normal(0, 9, (40, 3))
    i, j = np.nonzero(~np.eye(40, dtype=bool))
    wanted = direct_sums(charges, i, j, positions[j] - positions[i], 0.0)
    monkeypatch.setattr("gapfit.baseline.ewald._PAIRS_AT_ONCE", pairs_at_once)
    for one, two in zip(molecule_sums(charges, positions), wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)


def test_memory_of_molecules_does_not_grow_with_their_pairs():
    positions = 3.0 * np.indices((12, 12, 12)).reshape(3, -1).T
    charges = np.where(np.indices((12, 12, 12)).sum(axis=0).ravel() % 2, 1.0, -1.0)
    tracemalloc.start()
    energies, _, _ = molecule_sums(charges, positions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A list of all pairs would take 40 bytes for each, 120 MB.
    assert peak < 40e6
    # Surfaces of a large cube of rock salt bind by less than its Madelung constant.
    madelung = -COULOMB * 1.747564594633182 / 3.0
    assert madelung < 2 * energies.mean() < 0.9 * madelung
