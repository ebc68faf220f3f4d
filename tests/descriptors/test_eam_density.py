"""The embedded-atom density: its definition, tables, and what it can learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list
from builders import (
    DATA,
    STRUCTURES,
    config,
    label,
    labelled_frames,
    silicon,
    three_species,
)

import gapfit
from gapfit import _core
from gapfit.config import EamDensityConfig, config_from_dict
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import core_pairs, pair_list
from gapfit.errors import ConfigError
from gapfit.model.terms import FittedTerm, build_term
from gapfit.testing import REORDERED_SUMS, TABULATED

pytestmark = pytest.mark.core

WEIGHTS = {"Te": 1.4, "Ge-Te": 0.6}
FORMS = {
    "power": ({}, lambda r: np.clip(1 - r / 4.5, 0, None) ** 3),
    "power 2": ({"power": 2}, lambda r: np.clip(1 - r / 4.5, 0, None) ** 2),
    "smooth": (
        {"form": "smooth"},
        lambda r: np.polyval([-6, 15, -10, 0, 0, 1], np.minimum(r / 4.5, 1)),
    ),
    "cosine": (
        {"form": "cosine", "width": 2.0},
        lambda r: 0.5 * (1 + np.cos(np.pi * np.clip((r - 2.5) / 2.0, 0, 1))),
    ),
}


def density_term(atoms: Atoms, **settings: object) -> FittedTerm:
    """Return a term with arbitrary sparse points and coefficients."""
    species = tuple(sorted(set(atoms.numbers.tolist())))
    keys = {"r_cut": 4.5, "theta": 0.4, **settings}
    term = build_term(EamDensityConfig(**keys), species, {})
    rng = np.random.default_rng(4)
    sparse = {z: np.linspace(0.1, 3.0, 12)[:, None] for z in term.descriptor.blocks}
    coefficients = {z: rng.normal(size=12) for z in sparse}
    return replace(term, sparse=sparse, coefficients=coefficients)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_is_a_function_of_the_summed_density(name, form):
    """Against ASE's neighbour list and a plain kernel sum, with weights of species."""
    settings, phi = FORMS[form]
    atoms = STRUCTURES[name]()
    term = density_term(atoms, species_weights=WEIGHTS, **settings)
    i, j, r = neighbor_list("ijd", atoms, 4.5)
    symbols = np.array(atoms.get_chemical_symbols())
    weights = [
        WEIGHTS.get(f"{a}-{b}", WEIGHTS.get(b, 1.0))
        for a, b in zip(symbols[i], symbols[j], strict=True)
    ]
    density = np.bincount(i, weights * phi(r), minlength=len(atoms))
    pairs = pair_list(structure_arrays(atoms), 4.5)
    found = term.descriptor.environments(pairs)
    for z, own in found.items():
        REORDERED_SUMS.check(own.values[:, 0], density[atoms.numbers == z])
    expected = [
        np.exp(-0.5 * ((x - term.sparse[z][:, 0]) / 0.4) ** 2) @ term.coefficients[z]
        for x, z in zip(density, atoms.numbers, strict=True)
    ]
    TABULATED.check(term.predict(pairs, gradients=False).energies, expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_density_ends_smoothly_and_has_the_derivatives_it_claims(form):
    density = density_term(silicon(), **FORMS[form][0]).descriptor.density
    r = np.linspace(0.5, 5.0, 4501)
    value, slope, curvature = density(r)
    np.testing.assert_allclose(np.gradient(value, r)[1:-1], slope[1:-1], atol=2e-3)
    inside = r < 4.49
    found = np.gradient(slope, r)
    # The second derivative of a cosine jumps where it begins.
    smooth = inside & (np.abs(r - 2.5) > 0.01)
    np.testing.assert_allclose(found[smooth][1:], curvature[smooth][1:], atol=5e-2)
    assert not value[r >= 4.5].any()
    np.testing.assert_allclose(slope[r >= 4.5], 0.0, atol=1e-15)


@pytest.mark.parametrize("theta", [0.01, 0.1, 1.0, 20.0])
def test_the_table_equals_the_kernel_sum(theta):
    """From no neighbours to densities beyond all sparse points, where F is zero."""
    term = density_term(silicon(), theta=theta)
    table = term.prepared
    end = table.spacing * (table.values.shape[1] - 1)
    assert end >= 3.0 + 9 * theta * (1 - 1e-12)
    distances = np.linspace(0.4, 4.4, 301)
    energies, densities = [], []
    for r in distances:
        # A tetrahedron of neighbours: four times the density of one.
        corners = (
            r
            / np.sqrt(3)
            * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        )
        pairs = pair_list(structure_arrays(Atoms("Si5", corners)), 4.5)
        energies.append(term.predict(pairs, gradients=False).energies[0])
        densities.append(term.descriptor.environments(pairs)[14].values[0, 0])
    points = term.sparse[14][:, 0]
    k = np.exp(-0.5 * ((np.array(densities)[:, None] - points) / theta) ** 2)
    TABULATED.check(energies, k @ term.coefficients[14])


def test_sparse_points_cover_the_densities_evenly():
    frames = labelled_frames(silicon, 6)
    settings = {"type": "eam_density", "r_cut": 4.5, "n_sparse": 6}
    model = gapfit.fit(frames, config() | {"terms": [settings]})
    found = np.sort(model.terms[0].sparse[14][:, 0])
    values = np.concatenate(
        [
            model.terms[0]
            .descriptor.environments(pair_list(structure_arrays(atoms), 4.5))[14]
            .values
            for atoms in frames
        ]
    )
    sides = np.linspace(values.min(), values.max(), 7)
    places = np.clip(np.searchsorted(sides, found, side="right"), 1, 6)
    assert len(set(places.tolist())) == len(found) > 3


def labelled(atoms: Atoms, **results: object) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def emt(seed: int) -> Atoms:
    """Return disturbed copper with vacancies, labelled by effective-medium theory."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", a=3.6 * rng.uniform(0.93, 1.12), cubic=True) * (2, 2, 1)
    atoms.rattle(rng.uniform(0.02, 0.25), rng=rng)
    del atoms[: rng.integers(0, 4)]
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    return labelled(atoms, energy=energy, forces=forces)


def finnis_sinclair(seed: int) -> Atoms:
    """Return a disordered alloy: E = Σ_pairs 8 (1 - r/4.5)³ - 2 Σ_i (Σ_j w (1 - r/4.5)³)^½.

    Tungsten counts 1.5 times as much as molybdenum; energies in eV.
    """
    rng = np.random.default_rng(seed)
    atoms = bulk("Mo", "bcc", a=3.15 * rng.uniform(0.95, 1.08), cubic=True) * (2, 2, 2)
    atoms.numbers[rng.random(len(atoms)) < 0.5] = 74
    atoms.rattle(rng.uniform(0.02, 0.2), rng=rng)
    i, j, r, R = neighbor_list("ijdD", atoms, 4.5)
    weight = np.where(atoms.numbers[j] == 74, 1.5, 1.0)
    density = np.bincount(i, weight * (1 - r / 4.5) ** 3, minlength=len(atoms))
    energy = 4 * ((1 - r / 4.5) ** 3).sum() - 2 * np.sqrt(density).sum()
    slope = -3 / 4.5 * (1 - r / 4.5) ** 2
    pull = (4 - weight / np.sqrt(density[i])) * slope
    pairs = (pull / r)[:, None] * R
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, pairs)
    np.add.at(forces, j, -pairs)
    return labelled(atoms, energy=energy, forces=forces)


def errors(terms: list[dict], train: list[Atoms], test: list[Atoms]) -> np.ndarray:
    """Return RMSE of energies by atom, eV, and of forces, eV/Å."""
    settings = {
        **config(),
        "terms": terms,
        "sigma": {"energy": 0.001, "forces": 0.01},
        "e0": dict.fromkeys(set(train[0].get_chemical_symbols()), 0.0),
    }
    model = gapfit.fit(train, settings)
    energies, forces = [], []
    for atoms in test:
        found = model.predict(atoms)
        energies.append((found.energy - atoms.get_potential_energy()) / len(atoms))
        forces.append(found.forces - atoms.get_forces())
    return np.sqrt([np.mean(np.square(energies)), np.mean(np.concatenate(forces) ** 2)])


PAIRS = {"type": "distance_2b", "r_cut": 6.0, "n_sparse": 30}


def test_effective_medium_theory_is_learnt_as_pairs_alone_never_do():
    """RMSE 76 meV/atom and 0.30 eV/Å of pairs, 2.7 meV/atom and 0.034 eV/Å of both."""
    train, test = [emt(s) for s in range(40)], [emt(s) for s in range(100, 115)]
    density = {"type": "eam_density", "r_cut": 6.0, "power": 8, "theta": 0.3}
    alone = errors([PAIRS], train, test)
    both = errors([PAIRS, density], train, test)
    assert (both < alone / [15, 6]).all()


def test_a_finnis_sinclair_alloy_of_this_density_is_learnt():
    """RMSE 14 meV/atom and 0.06 eV/Å of pairs, 0.14 meV/atom and 0.001 eV/Å of both."""
    train = [finnis_sinclair(s) for s in range(12)]
    test = [finnis_sinclair(s) for s in range(100, 106)]
    pairs = {**PAIRS, "r_cut": 4.5}
    density = {"type": "eam_density", "r_cut": 4.5, "species_weights": {"W": 1.5}}
    alone = errors([pairs], train, test)
    both = errors([pairs, density], train, test)
    assert (both < alone / [70, 40]).all()


def test_an_isolated_atom_among_the_data_has_its_energy():
    """Its density is 0, where no other data are."""
    atom = labelled(Atoms("Cu", cell=[20] * 3, pbc=True), energy=-0.3, forces=[[0] * 3])
    settings = {
        **config(),
        "terms": [PAIRS, {"type": "eam_density", "r_cut": 6.0}],
        "sigma": {"energy": 0.001, "forces": 0.01},
        "e0": {},
    }
    model = gapfit.fit([*(emt(s) for s in range(8)), atom], settings)
    assert model.terms[1].sparse[29].min() == 0
    assert model.predict(atom).energy == pytest.approx(-0.3, abs=0.003)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("density", np.zeros((2, 5, 3)), "one function"),
        ("density", np.zeros((1, 1, 3)), "two knots"),
        ("energy", np.zeros((1, 1, 3)), "two knots"),
        ("weights", np.ones((1, 2)), "weights and curve"),
        ("curve", np.zeros(2, dtype=np.int32), "weights and curve"),
        ("curve", np.ones(1, dtype=np.int32), "must name a function"),
        ("energy_spacing", 0.0, "two knots"),
    ],
)
def test_the_core_refuses_impossible_tables(name, value, said):
    pairs = pair_list(structure_arrays(silicon()), 4.0)
    arguments = {
        "pairs": core_pairs(pairs, (14,)),
        "density": np.zeros((1, 5, 3)),
        "start": 0.0,
        "spacing": 1.0,
        "cosine": 0.0,
        "weights": np.ones((1, 1)),
        "energy": np.zeros((1, 5, 3)),
        "energy_spacing": 0.1,
        "curve": np.zeros(1, dtype=np.int32),
        "gradients": True,
        "atom_virials": False,
        "n_threads": 1,
    }
    energies, *_ = _core.embedding_energies(**arguments)
    assert energies.shape == (pairs.n_atoms,)
    with pytest.raises(ValueError, match=said):
        _core.embedding_energies(**arguments | {name: value})


def problem(**keys: object) -> str:
    term = {"type": "eam_density", **keys}
    with pytest.raises(ConfigError) as error:
        config_from_dict({"data": {"train": "a"}, "terms": [term]})
    return str(error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"width": 1.0}, 'form = "power" has none'),
        ({"form": "smooth", "width": 5.5}, "it must be less than r_cut = 5.0"),
        ({"species_weights": {"Xx": 1.0}}, "not a chemical symbol: Xx"),
        ({"species_weights": {"Cu-Au": -1.0}}, '"Cu-Au" = -1.0 must be > 0'),
        ({"species_weights": {"Cu-Au-Cu": 1.0}}, "centre and neighbour"),
        ({"power": 1}, "`power` = 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(keys, said):
    assert said in problem(**keys)


def test_the_same_density_by_names_of_pairs_and_of_neighbours():
    atoms = three_species()
    pairs = pair_list(structure_arrays(atoms), 4.5)
    named = {f"{a}-Te": 0.7 for a in ("Ge", "Sb", "Te")}
    one = density_term(atoms, species_weights={"Te": 0.7}).predict(
        pairs, gradients=True
    )
    other = density_term(atoms, species_weights=named).predict(pairs, gradients=True)
    np.testing.assert_array_equal(one.forces, other.forces)


def test_a_fit_without_the_isolated_atom_says_so():
    frames = labelled_frames(silicon, 3)
    terms = [{"type": "distance_2b"}, {"type": "eam_density"}]
    model = gapfit.fit(frames, {"terms": terms, "e0": {"Si": -1.0}})
    text = "[[terms]] 2: no isolated atom of Si in the data"
    assert sum(t.startswith(text) for t in model.record.warnings) == 1
    alone = label(Atoms("Si", cell=[20.0] * 3, pbc=True))
    both = gapfit.fit([*frames, alone], {"terms": terms})
    assert not any("isolated atom" in t for t in both.record.warnings)


@pytest.mark.parametrize(
    ("theta", "least", "most"), [(0.3, 0.0, 0.03), (1.0, 0.9, 1.1)]
)
def test_the_default_theta_keeps_isolated_atoms(theta, least, most):
    """On tungsten, with the isolated atom in the data: a wide kernel cannot hold it."""
    assert EamDensityConfig().theta == 0.3
    term = {"type": "eam_density", "r_cut": 5.0, "theta": theta}
    model = gapfit.fit(
        str(DATA / "tungsten" / "train.extxyz"),
        {"terms": [{"type": "distance_2b", "r_cut": 5.0}, term]},
    )
    alone = Atoms("W", cell=[20.0] * 3, pbc=True)
    error = abs(model.predict(alone).energy - model.e0[74])
    assert least <= error < most
