"""Surfaces, against slabs of ASE and cut bonds."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from gapfit.errors import GapfitError
from gapfit.properties import (
    relaxed,
    slabs,
    surface,
)
from gapfit.properties.surfaces import J_PER_M2


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
