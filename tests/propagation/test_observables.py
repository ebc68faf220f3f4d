"""Observables along a trajectory."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from gapfit.errors import GapfitError
from gapfit.propagation import Observable, radial_distribution
from gapfit.propagation.observables import observe, radial_distributions


def test_a_crystal_has_its_shells_of_neighbours():
    """4, 12 and 12 neighbours in diamond, also beyond half of the cell."""
    atoms = bulk("Si", a=5.43)
    rdf = radial_distribution(5.0, n_bins=100)
    g = rdf.function(atoms)
    density = len(atoms) / atoms.get_volume()
    counts = g * density * 4 * np.pi * (rdf.grid**2 + 0.05**2 / 12) * 0.05
    filled = np.flatnonzero(g)
    np.testing.assert_allclose(counts[filled], [4, 12, 12], rtol=1e-10)
    d = 5.43 * np.array([np.sqrt(3) / 4, np.sqrt(2) / 2, np.sqrt(11) / 4])
    assert (np.abs(rdf.grid[filled] - d) <= 0.025).all()


def test_a_gas_has_none():
    rng = np.random.default_rng(0)
    atoms = Atoms("Ar2000", rng.random((2000, 3)) * 40, cell=[40] * 3, pbc=True)
    from scipy.spatial.distance import pdist

    # Atoms on top of each other are refused, as everywhere.
    keep, D = np.ones(2000, dtype=bool), pdist(atoms.positions)
    i, j = np.triu_indices(2000, 1)
    keep[j[D < 0.4]] = False
    g = radial_distribution(8.0, n_bins=8).function(atoms[keep])
    np.testing.assert_allclose(g[1:], 1.0, atol=0.1)
    assert i.size == D.size


def test_pairs_of_species_have_their_own():
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    found = radial_distributions(4.2, atoms.numbers)
    assert list(found) == ["rdf Na-Na", "rdf Na-Cl", "rdf Cl-Cl"]
    values = observe(found, [atoms])
    place = {name: found[name].grid[g[0] > 0] for name, g in values.items()}
    assert place["rdf Na-Cl"] == pytest.approx([2.75], abs=0.06)
    assert place["rdf Na-Na"] == pytest.approx([3.95], abs=0.06)
    total = radial_distribution(4.2).function(atoms)
    mixed = [values[name][0] for name in found]
    np.testing.assert_allclose(
        total, 0.25 * mixed[0] + 0.5 * mixed[1] + 0.25 * mixed[2]
    )
    assert list(radial_distributions(4.0, bulk("Si").numbers)) == ["rdf"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda _: np.eye(2), r"shape \(2, 2\)"),
        (lambda _: np.nan, "not finite"),
        (lambda atoms: np.ones(len(atoms)), "16 values, and 2 for the first"),
    ],
)
def test_functions_must_return_finite_numbers_of_one_shape(function, message):
    si = bulk("Si")
    with pytest.raises(GapfitError, match=message):
        observe({"mine": Observable(function)}, [si, si * 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: radial_distribution(-1.0), "reach = -1 Å"),
        (lambda: radial_distribution(4.0, n_bins=0), "n_bins = 0"),
        (lambda: radial_distribution(4.0).function(molecule("H2O")), "no density"),
        (lambda: radial_distribution(4.0, pair=(14, 8)).function(bulk("Si")), "Si-O"),
    ],
)
def test_what_has_no_radial_distribution_is_told(make, message):
    with pytest.raises(GapfitError, match=message):
        make()
