"""Bounds and crystals from data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111

from gapfit.data.frame import structure_arrays
from gapfit.errors import GapfitError
from gapfit.robustness.bounds import find_bounds, find_crystal
from gapfit.robustness.cells import grown, has_gap, piece, scaled


def test_pairs_that_the_data_lack_get_a_distance_from_covalent_radii(gst_model):
    crystal = bulk("GeTe", "rocksalt", a=12.0)
    bounds = find_bounds(
        gst_model, [structure_arrays(crystal)], structure_arrays(crystal)
    )
    # 0.9 (1.20 + 1.38) Å, or what the record of the fit has if that is closer.
    assert 2.0 < bounds.closest[32, 52] <= 0.9 * (1.20 + 1.38) + 1e-9
    assert set(bounds.closest) == {
        (a, b) for a in (32, 51, 52) for b in (32, 51, 52) if a <= b
    }


def test_without_isolated_atoms_melting_follows_from_the_stiffness(good, silicon_data):
    crystal = find_crystal(good, silicon_data.frames)
    known = find_bounds(good, silicon_data.frames, crystal)
    unknown = good.with_record(without_atom=(14,))
    estimated = find_bounds(unknown, silicon_data.frames, crystal)
    assert "cohesive energy" in known.estimate
    assert "Lindemann" in estimated.estimate
    assert estimated.melting == pytest.approx(known.melting, rel=0.3)


def test_the_crystal_has_most_species_and_then_the_lowest_energy(gst_model):
    e0 = gst_model.e0

    def cell(formula: str, above: float):
        frame = structure_arrays(bulk(formula, "rocksalt", a=6.0))
        energy = sum(e0[z] for z in frame.numbers.tolist()) + 2 * above
        return replace(frame, energy=energy, source=f"{formula} {above}")

    pure = replace(structure_arrays(bulk("Te", "sc", a=3.0)), energy=e0[52] - 9.0)
    frames = [cell("GeTe", -1.0), pure, cell("SbTe", -2.0), cell("GeTe", -1.5)]
    with_atoms = gst_model.with_record(without_atom=())
    assert find_crystal(with_atoms, frames).source == "SbTe -2.0"
    # By least squares, energies of other compositions do not compare.
    assert find_crystal(gst_model, frames).source == "GeTe -1.5"


def test_slabs_and_molecules_are_no_crystals(good):
    slab = fcc111("Si", (1, 1, 3), a=3.9, vacuum=6.0)
    slab.pbc = True
    assert has_gap(structure_arrays(slab))
    assert not has_gap(structure_arrays(bulk("Si")))
    with pytest.raises(GapfitError, match="none of 1 structures is a crystal"):
        find_crystal(good, [structure_arrays(slab)])


@pytest.mark.parametrize(
    "crystal", [bulk("Si"), bulk("GeTe", "zincblende", a=6.0), bulk("W"), bulk("Cu")]
)
def test_atoms_of_clusters_have_two_bonds_each(crystal):
    cluster = piece(crystal, 30)
    assert not cluster.pbc.any()
    assert 15 <= len(cluster) <= 30
    distances = cluster.get_all_distances()
    nearest = np.sort(distances, axis=1)[:, 1:3]
    assert nearest.max() < 1.25 * nearest.min()
    assert distances.max() < 5 * nearest.min()


def test_supercells_grow_along_their_thinnest_direction():
    crystal = bulk("Si", cubic=True)
    cell = grown(crystal, 30)
    assert len(cell) == 32
    heights = 1 / np.linalg.norm(np.linalg.inv(cell.cell[:]), axis=0)
    assert heights.max() <= 2 * heights.min()
    assert scaled(crystal, 0.5).get_volume() == pytest.approx(crystal.get_volume() / 2)
