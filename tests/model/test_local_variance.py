"""Variances that come with energies, against the formula from all covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import (
    STRUCTURES,
    config,
    labelled_frames,
    random_term,
    silicon,
    three_species,
)

import gapfit
from gapfit.config.sections import Distance2bConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import core_pairs, pair_list, pairs_of
from gapfit.errors import PosteriorError
from gapfit.gp.posterior import Posterior
from gapfit.gp.sound_posterior import inverse
from gapfit.gp.whitening import whiten
from gapfit.model.gap_model import GAPModel
from gapfit.model.local_variance import explaining_factor
from gapfit.model.terms import FittedTerm, build_term
from gapfit.testing import ROUNDING

pytestmark = pytest.mark.core

SOAP = {"type": "soap", "r_cut": 4.5, "n_max": 4, "l_max": 3, "n_sparse": 25}
PAIR = {"type": "distance_2b", "r_cut": 4.5, "theta": 0.6, "delta": 1.0}
ANGLE = {"type": "angle_3b", "r_cut": 3.2, "n_sparse": 15}
MIXTURES = {
    "zeta 2": [SOAP | {"zeta": 2}],
    "zeta 2.5": [SOAP | {"zeta": 2.5}],
    "zeta 4": [SOAP | {"zeta": 4}],
    "components": [SOAP | {"components": 12}],
    "2b + soap": [PAIR, SOAP],
    "soap + 2b": [SOAP, PAIR],
    "2b + soap + 3b": [PAIR, SOAP, ANGLE],
    "two soaps": [SOAP | {"r_cut": 3.5, "n_sparse": 10}, SOAP | {"zeta": 3}],
    "soap between": [SOAP | {"n_sparse": 5}, SOAP, PAIR],
}


def fitted(build, terms: list[dict]) -> tuple[GAPModel, list[Atoms]]:
    frames = labelled_frames(build, 5)
    return gapfit.fit(frames, config() | {"terms": terms}), frames


def exact(model: GAPModel, atoms: Atoms | list[Atoms]) -> np.ndarray:
    """Return the variances from all covariances and the factors of the fit."""
    frames = atoms if isinstance(atoms, list) else [atoms]
    pairs = pairs_of([structure_arrays(frame) for frame in frames], model.cutoff)
    parts = [
        term.descriptor.covariances(pairs.within(term.descriptor.cutoff), term.sparse)
        for term in model.terms
    ]
    k_m = np.concatenate([part for part, _ in parts], axis=1)
    return model.posterior.variance(k_m, sum(prior for _, prior in parts))[0]


def strange(atoms: Atoms) -> Atoms:
    """Return a structure unlike the data."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell * 1.1, scale_atoms=True)
    atoms.rattle(0.4, seed=5)
    return atoms


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("build", [silicon, three_species])
@pytest.mark.parametrize("name", MIXTURES)
def test_variances_are_those_of_all_covariances(name, build, n_threads):
    model, frames = fitted(build, MIXTURES[name])
    atoms = [*frames, strange(frames[0])]
    found = model.predict(atoms, std="energies", n_threads=n_threads)
    variances = np.concatenate([p.energies_std for p in found]) ** 2
    expected = exact(model, atoms)
    assert expected.max() > 2 * expected.min()
    np.testing.assert_allclose(variances, expected, rtol=1e-4, atol=1e-9)
    for a, b in zip(found, model.predict(atoms, n_threads=n_threads), strict=True):
        assert a.energy == b.energy
        np.testing.assert_array_equal(a.forces, b.forces)


def test_variances_do_not_depend_on_what_was_predicted_before():
    model, frames = fitted(silicon, MIXTURES["2b + soap"])
    first = model.predict(frames[0], std="energies", n_threads=2)
    fresh = replace(model)
    fresh.predict(frames[1], std="energies", n_threads=1)
    second = fresh.predict(frames[0], std="energies", n_threads=2)
    np.testing.assert_array_equal(first.energies_std, second.energies_std)


@pytest.mark.parametrize("tolerance", [1e-6, 1e-2])
def test_projections_leave_variances_alone(tolerance):
    """Those of energies are used where they are accurate, and not otherwise."""
    frames = [
        frame
        for seed in range(20)
        for frame in labelled_frames(lambda seed=seed: silicon(seed) * (2, 1, 1), 2)
    ]
    settings = config(n_max=8, l_max=6, n_sparse=400, atom_sigma=0.6) | {
        "prediction": {
            "energy_tolerance": tolerance,
            "forces_tolerance": 10 * tolerance,
        }
    }
    model = gapfit.fit(frames, settings)
    assert model.terms[0].lossless
    atoms = [frames[3], strange(frames[0])]
    changes = []
    for a, b in zip(
        model.predict(atoms, std="energies"),
        model.without_projections().predict(atoms, std="energies"),
        strict=True,
    ):
        assert not np.array_equal(a.forces, b.forces)
        changes.append(np.abs(a.energies_std / b.energies_std - 1).max())
    assert max(changes) < (1e-3 if tolerance == 1e-6 else 1e-9)


def test_dscribe_gives_the_same_variances():
    native, frames = fitted(silicon, [PAIR, SOAP])
    terms = list(native.terms)
    settings = terms[1].config.model_copy(update={"engine": "dscribe"})
    other = build_term(settings, native.species, terms[1].basis)
    terms[1] = replace(terms[1], config=settings, descriptor=other.descriptor)
    slow = replace(native, terms=tuple(terms))
    a, b = (m.predict(frames[1], forces=False, std="energies") for m in (native, slow))
    np.testing.assert_allclose(a.energies_std, b.energies_std, rtol=1e-4)


def test_factor_against_dense_algebra():
    """Any blocks, and directions of which the data say nothing."""
    rng = np.random.default_rng(0)
    whitening = whiten(
        [A @ A.T + np.eye(len(A)) for A in map(rng.random, [(5, 5), (3, 3), (7, 7)])], 0
    )
    phi = 10 * rng.normal(size=(9, 15))
    phi[:, [1, 6, 14]] = 0.0
    B = np.eye(15) + phi.T @ phi
    U = np.zeros((15, 15))
    for factor, block in zip(whitening.cholesky, whitening.blocks, strict=True):
        U[block, block] = factor
    Q = np.linalg.inv(U) @ (np.eye(15) - np.linalg.inv(B)) @ np.linalg.inv(U).T
    B_inverse = inverse(np.linalg.cholesky(B).T)
    for blocks, columns in {
        (0, 1, 2): np.r_[:15],
        (0, 2): np.r_[:5, 8:15],
        (1,): np.r_[5:8],
        (): np.r_[:0],
    }.items():
        W = explaining_factor(whitening, B_inverse, blocks)
        assert np.array_equal(W, np.triu(W))
        np.testing.assert_allclose(W @ W.T, Q[np.ix_(columns, columns)], atol=1e-7)


def with_posterior(*terms: FittedTerm) -> GAPModel:
    """Return a model of these terms, of which made-up data have told a little."""
    rng = np.random.default_rng(2)
    kernels = [
        term.descriptor.kernel(points, points)
        for term in terms
        for points in term.sparse.values()
    ]
    whitening = whiten(kernels, 1e-6)
    phi = 30 * rng.normal(size=(60, whitening.n_sparse))
    R = np.linalg.cholesky(np.eye(whitening.n_sparse) + phi.T @ phi).T
    species = terms[0].species
    whole = gapfit.FitConfig.model_validate(
        {"data": {"train": ["in memory"]}, "terms": [t.config for t in terms]}
    )
    e0 = dict.fromkeys(species, 0.0)
    return GAPModel(whole, species, e0, terms, posterior=Posterior(whitening, R))


def test_many_sparse_points():
    """More than the core takes together."""
    term = random_term(silicon(), repeat=270, n_max=3, l_max=2, zeta=3)
    model = with_posterior(term)
    assert model.n_sparse > 2048
    atoms = silicon(70) * (2, 1, 1)
    found = model.predict(atoms, std="energies").energies_std ** 2
    np.testing.assert_allclose(found, exact(model, atoms), rtol=1e-4, atol=1e-8)


def test_species_without_sparse_points():
    """Of a species that has none, and of one that the term is not for."""
    atoms = three_species()
    term = random_term(atoms, n_max=3, l_max=2)
    bare = replace(term, sparse=term.sparse | {51: term.sparse[51][:0]})
    bare = replace(bare, coefficients=bare.coefficients | {51: np.zeros(0)})
    pair = build_term(Distance2bConfig(r_cut=4.0), term.species, {})
    points = {z: np.linspace(2.2, 3.9, 6)[:, None] for z in pair.descriptor.blocks}
    zeros = {z: np.zeros(6) for z in points}
    pair = replace(pair, sparse=points, coefficients=zeros)
    some = build_term(
        term.config.model_copy(update={"centres": ["Ge", "Te"]}),
        term.species,
        term.basis,
    )
    some = replace(
        some,
        sparse={z: term.sparse[z] for z in (32, 52)},
        coefficients={z: term.coefficients[z] for z in (32, 52)},
    )
    for terms in ((bare,), (pair, bare), (some, pair)):
        model = with_posterior(*terms)
        found = model.predict(atoms, std="energies").energies_std ** 2
        np.testing.assert_allclose(found, exact(model, atoms), rtol=1e-5, atol=1e-9)
    prior = term.config.delta**2
    lone = with_posterior(bare).predict(atoms, std="energies").energies_std
    ROUNDING.check(lone[atoms.numbers == 51] ** 2, prior)


def test_nothing_is_uncertain_of_an_atom_without_a_density():
    model, _ = fitted(silicon, [SOAP])
    term = model.terms[0]
    weighting = term.config.weighting.model_copy(update={"w0": 0.0})
    settings = term.config.model_copy(update={"weighting": weighting})
    bare = build_term(settings, (14,), term.basis)
    term = replace(term, config=settings, descriptor=bare.descriptor)
    atoms = Atoms("Si3", [[0, 0, 0], [2.4, 0, 0], [20, 0, 0]])
    found = replace(model, terms=(term,)).predict(atoms, std="energies").energies_std
    assert found[2] == 0.0
    assert np.all(found[:2] > 0.0)


def test_far_from_the_data_all_is_uncertain():
    model, frames = fitted(silicon, [SOAP | {"zeta": 6, "delta": 0.5}])
    squeezed = frames[0].copy()
    squeezed.set_cell(squeezed.cell * 0.5, scale_atoms=True)
    known, unknown = (
        model.predict(atoms, std="energies").energies_std
        for atoms in (frames[0], squeezed)
    )
    assert np.all(unknown <= 0.5)
    assert unknown.min() > 10 * known.max()


def test_contradictory_posterior_raises():
    model, frames = fitted(silicon, [SOAP])
    half = Posterior(model.posterior.whitening, 0.5 * np.eye(model.n_sparse))
    with pytest.raises(PosteriorError, match=r'solver\.method = "qr"'):
        replace(model, posterior=half).predict(frames[0], std="energies")
    none = Posterior(model.posterior.whitening, np.zeros((25, 25)))
    with pytest.raises(PosteriorError, match="singular"):
        replace(model, posterior=none).predict(frames[0], std="energies")


def test_arrays_that_do_not_fit_raise():
    term = random_term(silicon())
    core, F = term.descriptor.engine._core, term.descriptor.n_features
    pairs = core_pairs(pair_list(structure_arrays(silicon()), 4.5), (14,))
    points = gapfit._core.Points(np.ones((4, F)))
    form = gapfit._core.VarianceBlock(points, np.eye(6), 1, 1.0, 2.0)
    sums = [gapfit._core.SparseBlock(points, np.ones(4), 2.0)]

    def predict(other: np.ndarray, prior: np.ndarray, forms: list) -> None:
        asked = gapfit._core.Variances(forms, other, prior)
        core.predict(pairs, sums, False, False, 1, asked)

    predict(np.ones((8, 2)), np.ones(8), [form])
    with pytest.raises(ValueError, match="a row for each centre"):
        predict(np.ones((8, 2)), np.ones(7), [form])
    with pytest.raises(ValueError, match="not of its own points"):
        predict(np.ones((8, 1)), np.ones(8), [form])
    with pytest.raises(ValueError, match="one block for each species"):
        predict(np.ones((8, 2)), np.ones(8), [])
    for L, before in ((np.eye(3), 0), (np.ones((6, 5)), 0), (np.eye(6), 3)):
        with pytest.raises(ValueError, match="L must be square"):
            gapfit._core.VarianceBlock(points, L, before, 1.0, 2.0)


@pytest.mark.parametrize("name", STRUCTURES)
def test_pair_covariances_equal_plain_sums(name):
    atoms = STRUCTURES[name]()
    species = tuple(sorted(set(atoms.numbers.tolist())))
    term = build_term(
        Distance2bConfig(r_cut=4.5, width=0.8, theta=0.6, delta=1.3), species, {}
    )
    soft = term.descriptor
    sparse = {
        z: np.linspace(2.0, 4.4, 3 + n)[:, None] for n, z in enumerate(soft.blocks)
    }
    k_m = np.zeros((len(atoms), sum(map(len, sparse.values()))))
    prior = np.zeros(len(atoms))
    pairs = pair_list(structure_arrays(atoms), 5.5)
    r = np.linalg.norm(pairs.R, axis=1)
    t = np.clip((r - 3.7) / 0.8, 0, 1)
    s = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5
    ends = np.cumsum([0] + [len(points) for points in sparse.values()])
    for n, (block, points) in enumerate(sparse.items()):
        a, b = divmod(block, 1000)
        for i in range(len(atoms)):
            both = np.sort(atoms.numbers[np.c_[pairs.i, pairs.j]], axis=1)
            own = (pairs.i == i) & np.all(both == [a, b], axis=1)
            k = soft.kernel(r[own][:, None], points)
            k_m[i, ends[n] : ends[n + 1]] = 0.5 * s[own] @ k
            self = soft.kernel(r[own][:, None], r[own][:, None])
            prior[i] += 0.25 * s[own] @ self @ s[own]
    for chunk in pairs.chunks(60):
        found, variance = soft.covariances(chunk.within(4.5), sparse)
        own = slice(chunk.start, chunk.stop)
        np.testing.assert_allclose(found, k_m[own], atol=1e-13)
        ROUNDING.check(variance, prior[own])
