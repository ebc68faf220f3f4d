"""The two-body term: exact Gaussian process algebra, derivatives, table, mixtures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from builders import STRUCTURES, config, label, labelled_frames, silicon

import gapfit
from gapfit.config.sections import Distance2bConfig
from gapfit.data.frame import structure_arrays, to_voigt
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.blocks import pair_key
from gapfit.descriptors.kernels import PiecewisePolynomial
from gapfit.descriptors.switch import Switch
from gapfit.errors import DataError, GapfitError
from gapfit.model.terms import FittedTerm, build_term
from gapfit.sparse.methods import select
from gapfit.testing import FORCE_SLOPE, REORDERED_SUMS, TABULATED, forces_error

pytestmark = pytest.mark.core

SETTINGS = {
    "type": "distance_2b",
    "r_cut": 4.5,
    "width": 0.8,
    "theta": 0.6,
    "delta": 1.0,
}
SOAP = {"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 20}


def random_pair_term(atoms: Atoms, **settings: object) -> FittedTerm:
    species = tuple(sorted(set(atoms.numbers.tolist())))
    term = build_term(Distance2bConfig(**SETTINGS | settings), species, {})
    rng = np.random.default_rng(4)
    sparse = {z: np.linspace(2.0, 4.4, 12)[:, None] for z in term.descriptor.blocks}
    coefficients = {z: rng.normal(size=12) for z in sparse}
    return replace(term, sparse=sparse, coefficients=coefficients)


def two_body(*more: dict, **changes: object) -> dict:
    return config() | {"terms": [SETTINGS | changes, *more]}


@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_is_the_sum_of_the_potentials_of_all_pairs(name):
    """Against a plain loop over pairs: table, species and half shares."""
    atoms = STRUCTURES[name]()
    term = random_pair_term(atoms)
    pairs = pair_list(structure_arrays(atoms), 4.5)
    expected = np.zeros(len(atoms))
    for i, j, R in zip(pairs.i, pairs.j, pairs.R, strict=True):
        key = pair_key(atoms.numbers[i], atoms.numbers[j])
        r, points = np.linalg.norm(R), term.sparse[key][:, 0]
        t = np.clip((r - 3.7) / 0.8, 0, 1)
        s = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5
        k = np.exp(-0.5 * ((r - points) / 0.6) ** 2)
        expected[i] += 0.5 * s * (k @ term.coefficients[key])
    found = term.predict(pairs, gradients=True, atom_virials=True)
    REORDERED_SUMS.check(found.energies, expected)
    total = to_voigt(found.atom_virials.sum(axis=0))
    REORDERED_SUMS.check(total, found.virials[0])


@pytest.mark.parametrize("theta", [0.05, 0.2, 0.6, 3.0])
def test_the_table_equals_the_kernel_sum(theta):
    """Error below 1e-8 eV, at the meeting of the pieces, too."""
    term = random_pair_term(silicon(), theta=theta)
    fine = np.unique(np.r_[np.linspace(1.0, 4.6, 7001), 3.7, 4.5])
    found, slopes = [], []
    for r in fine:
        pair = structure_arrays(Atoms("Si2", [[0, 0, 0], [r, 0, 0]]))
        both = term.predict(pair_list(pair, 5.0), gradients=True)
        found.append(both.energies.sum())
        slopes.append(both.forces[0, 0])
    exact = term.descriptor._potential(
        term.sparse[14014], term.coefficients[14014], fine
    )
    TABULATED.check(found, exact[0])
    assert np.abs(np.array(slopes) - exact[1]).max() < 1e-8 * np.abs(exact[1]).max()


def test_the_switch_has_two_continuous_derivatives():
    r = np.linspace(3.0, 5.0, 2001)
    s, s1, s2 = Switch(4.5, 0.8)(r)
    np.testing.assert_allclose(np.gradient(s, r)[1:-1], s1[1:-1], atol=5e-5)
    # The third derivative jumps at both ends.
    np.testing.assert_allclose(np.gradient(s1, r)[1:-1], s2[1:-1], atol=4e-2)
    assert s[r < 3.7].min() == 1
    assert np.abs(s[r >= 4.5]).max() == 0


def lennard_jones(atoms: Atoms) -> Atoms:
    """Label with a pair potential of short range."""
    atoms.calc = LennardJones(sigma=1.9, epsilon=0.5, rc=5.0, ro=3.5, smooth=True)
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_a_pair_potential_is_learnt():
    def dimer(r: float) -> Atoms:
        return lennard_jones(Atoms("Si2", [[0, 0, 0], [r, 0, 0]]))

    frames = [lennard_jones(atoms) for atoms in labelled_frames(silicon, 6)]
    frames += [dimer(r) for r in np.arange(2.0, 5.4, 0.3)]
    settings = two_body(r_cut=5.5, width=1.0, n_sparse=200, theta=0.3)
    settings |= {"e0": {"Si": 0.0}, "sigma": {"energy": 0.001, "forces": 0.005}}
    model = gapfit.fit(frames, settings)
    unseen = lennard_jones(silicon(99))
    forces = unseen.get_forces()
    error = model.predict(unseen).forces - forces
    assert np.abs(error).max() < 0.03 * np.abs(forces).max()
    for r in (2.15, 2.6, 3.45):
        expected = dimer(r).get_forces()[0, 0]
        found = model.predict(dimer(r)).forces[0, 0]
        assert found == pytest.approx(expected, abs=0.02)


def test_variance_is_that_of_an_exact_gaussian_process():
    """All distances as sparse points, forces left out: dense algebra over energies."""
    frames = labelled_frames(silicon, 3)
    settings = two_body(n_sparse=2000, sparse_method="random", delta=0.7)
    settings["data"] = settings["data"] | {"use_forces": False, "use_stress": False}
    settings["e0"] = {"Si": 0.0}
    settings["solver"] = {"jitter": 1e-10}
    model = gapfit.fit(frames, settings)

    def shares(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pairs = pair_list(structure_arrays(atoms), 4.5)
        r = np.linalg.norm(pairs.R, axis=1)
        return pairs.i, r, 0.5 * Switch(4.5, 0.8)(r)[0]

    def covariance(a: tuple, b: tuple, n_a: int, n_b: int) -> np.ndarray:
        k = 0.49 * np.exp(-0.5 * ((a[1][:, None] - b[1]) / 0.6) ** 2)
        left = np.zeros((n_a, len(a[0])))
        right = np.zeros((n_b, len(b[0])))
        left[a[0], np.arange(len(a[0]))] = a[2]
        right[b[0], np.arange(len(b[0]))] = b[2]
        return left @ k @ right.T

    known = [shares(atoms) for atoms in frames]
    K = np.array([[covariance(a, b, 8, 8).sum() for b in known] for a in known])
    noise = np.diag([8 * 0.002**2] * 3)
    test = shares(silicon(50))
    k = np.array([covariance(test, a, 8, 8).sum(axis=1) for a in known])
    prior = np.diag(covariance(test, test, 8, 8))
    expected = prior - np.einsum("ni,ni->i", k, np.linalg.solve(K + noise, k))
    found = model.predict(silicon(50), std=True).energies_std
    np.testing.assert_allclose(found**2, expected, rtol=2e-3)


def test_pairs_of_species_that_never_meet_get_no_potential():
    frames = labelled_frames(silicon, 2)
    lone = label(Atoms("Ge", [[0, 0, 0]]))
    model = gapfit.fit([*frames, lone], two_body())
    n_sparse = [len(points) for points in model.terms[0].sparse.values()]
    assert n_sparse[0] > 10
    assert n_sparse[1:] == [0, 0]
    together = Atoms("SiGe", [[0, 0, 0], [2.4, 0, 0]])
    assert np.isfinite(model.predict(together, std=True).energies_std).all()


def test_uniform_points_are_spread_evenly():
    values = np.random.default_rng(0).gamma(4.0, size=(5000, 1))
    index = select(values, 25, "uniform", np.random.default_rng(0))
    chosen = np.sort(values[index, 0])
    width = np.ptp(values) / 25
    inner = np.diff(chosen)[:12]
    assert np.all(np.abs(inner - width) < 0.5 * width)
    assert len(index) <= 25


def test_nothing_to_choose_from_is_an_error():
    far = [label(Atoms("Si2", [[0, 0, 0], [9, 0, 0]]))]
    with pytest.raises(DataError, match="no term has a sparse point"):
        gapfit.fit(far, two_body())


def test_pairs_that_do_not_occur_are_noted(caplog):
    frames = [*labelled_frames(silicon, 2), label(Atoms("Ge", [[0, 0, 0]]))]
    gapfit.fit(frames, two_body())
    assert "no environments of Ge-Ge in the data" in caplog.text


def test_rows_do_not_depend_on_how_pairs_are_split():
    atoms = STRUCTURES["three_species"]()
    term = random_pair_term(atoms)
    pairs = pair_list(structure_arrays(atoms), 4.5)
    whole, parts = (
        term.descriptor.kernel_rows(pairs, term.sparse, gradients=True, **chunk)
        for chunk in ({}, {"chunk_pairs": 7})
    )
    np.testing.assert_allclose(parts.forces, whole.forces, atol=1e-13)
    np.testing.assert_allclose(parts.virials, whole.virials, atol=1e-12)


def test_the_prior_mean_holds_where_there_are_no_data(tmp_path):
    """Dimers around 2 Å say nothing about 3.2 Å if theta is short."""

    def dimer(r: float) -> Atoms:
        return Atoms("Si2", [[0, 0, 0], [r, 0, 0]])

    frames = [label(dimer(r)) for r in np.arange(1.9, 2.2, 0.05)]
    settings = two_body(f0=0.7, theta=0.2) | {"e0": {"Si": 0.0}}
    model = gapfit.fit(frames, settings)
    model.save(tmp_path / "m.npz")
    for found in (model, gapfit.load(tmp_path / "m.npz")):
        assert found.predict(dimer(3.2)).energy == pytest.approx(0.7, abs=1e-4)
        half = Switch(4.5, 0.8)(np.array([4.1]))[0, 0]
        assert found.predict(dimer(4.1)).energy == pytest.approx(0.7 * half, abs=1e-4)
        expected = label(dimer(2.03)).get_potential_energy()
        assert found.predict(dimer(2.03)).energy == pytest.approx(expected, abs=0.02)
    FORCE_SLOPE.check(forces_error(model, dimer(2.1)))
    left_out = gapfit.leave_one_out(model, frames)
    assert left_out["all"]["energy"]["mae"] < 100


POLYNOMIAL = {"kernel": "polynomial", "switch": "cosine", "theta": 1.3}


def test_pieces_of_polynomials_are_exact_between_all_knots():
    term = random_pair_term(silicon(), **POLYNOMIAL)
    kernel, switch = term.descriptor.kernel_of_g, term.descriptor.switch
    (block,) = term.descriptor.blocks
    r = np.random.default_rng(1).uniform(1.0, 4.49, 300)
    k = kernel.derivatives(r, term.sparse[block][:, 0]) @ term.coefficients[block]
    dimers = [Atoms("Si2", [[0, 0, 0], [0, 0, x]], cell=[30] * 3, pbc=True) for x in r]
    found = [
        term.predict(pair_list(structure_arrays(a), 4.5), gradients=True)
        for a in dimers
    ]
    energies = [part.energies.sum() for part in found]
    slopes = [-part.forces[1, 2] for part in found]
    s, s1, _ = switch(r)
    np.testing.assert_allclose(energies, s * k[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(slopes, s1 * k[0] + s * k[1], rtol=0, atol=1e-12)


def test_derivatives_of_the_polynomial_are_those_of_its_values():
    kernel = PiecewisePolynomial(0.7, 1.3)
    x, y, h = np.linspace(0.5, 4.0, 40), np.array([2.03]), 1e-5
    value, slope, curvature = kernel.derivatives(x, y)
    higher, lower = (kernel.derivatives(x + step, y) for step in (h, -h))
    np.testing.assert_allclose((higher[0] - lower[0]) / (2 * h), slope, atol=1e-8)
    np.testing.assert_allclose((higher[1] - lower[1]) / (2 * h), curvature, atol=1e-4)
    u = np.abs(x - 2.03) / 1.3
    expected = 0.7**2 * np.where(u < 1, (1 - u) ** 3 * (3 * u + 1), 0.0)
    np.testing.assert_allclose(value[:, 0], expected, rtol=1e-14)


def test_polynomials_are_not_for_fits():
    with pytest.raises(GapfitError, match=r"polynomial.* not for fits"):
        gapfit.fit(labelled_frames(silicon), two_body(**POLYNOMIAL))
    with pytest.raises(ValueError, match="needs switch"):
        Distance2bConfig(r_cut=4.5, kernel="polynomial")
