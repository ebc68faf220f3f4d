"""SOAP against dscribe, its definition; rows and projections against predictions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, config, labelled_frames, random_term, silicon
from dscribe.descriptors import SOAP

import gapfit
from gapfit.config.sections import SoapConfig
from gapfit.data.frame import structure_arrays, to_voigt
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.radial import Weighting, reach, table
from gapfit.descriptors.radial_gto import GtoDensity, gto_basis
from gapfit.descriptors.soap_features import Features
from gapfit.errors import ConfigError, StructureError
from gapfit.model.terms import build_term, new_basis
from gapfit.testing import ROUNDING

pytestmark = pytest.mark.core

WEIGHTINGS = {
    "poly": {"function": "poly", "r0": 4.5, "c": 1.0, "m": 1.0},
    "poly_m2_w0": {"function": "poly", "r0": 4.0, "c": 1.2, "m": 2.0, "w0": 0.3},
    "pow": {"function": "pow", "r0": 2.5, "c": 1.5, "d": 1.2, "m": 4.0},
    "exp": {"function": "exp", "r0": 2.0, "c": 1.0, "d": 2.0},
    "none": {"function": "none"},
}
COMPRESSIONS = ["off", "mu2", "mu1nu1", "crossover"]


def five_species() -> Atoms:
    atoms = silicon(7)
    atoms.numbers[:] = [24, 26, 28, 42, 74, 26, 24, 28]
    return atoms


def two_species() -> Atoms:
    atoms = silicon(8)
    atoms.numbers[::2] = 6
    return atoms


def isolated() -> Atoms:
    return Atoms("Si2", [[0, 0, 0], [30, 0, 0]])


MORE = STRUCTURES | {
    "two_species": two_species,
    "five_species": five_species,
    "isolated": isolated,
}


def engine_of(atoms: Atoms, engine: str = "native", **settings):
    species = tuple(sorted(set(atoms.numbers.tolist())))
    wanted = SoapConfig(**{"r_cut": 4.5, "n_max": 6, "l_max": 5, **settings})
    wanted = wanted.model_copy(update={"engine": engine})
    return build_term(wanted, species, new_basis(wanted)).descriptor.engine


def dscribe_spectrum(atoms: Atoms, **settings) -> np.ndarray:
    weighting = {
        k: v
        for k, v in settings.pop("weighting", WEIGHTINGS["poly"]).items()
        if v != "none"
    }
    symbols = sorted(set(atoms.symbols), key=lambda s: Atoms(s).numbers[0])
    weights = settings.pop("species_weights", {})
    compression = {"mode": settings.pop("compression", "off")}
    if weights:
        compression["species_weighting"] = {s: weights.get(s, 1.0) for s in symbols}
    options = {"r_cut": 4.5, "n_max": 6, "l_max": 5, "sigma": 0.5, **settings}
    soap = SOAP(
        species=symbols,
        periodic=bool(atoms.pbc.all()),
        weighting=weighting,
        compression=compression,
        **options,
    )
    return soap.create(atoms)


def assert_equals_dscribe(atoms: Atoms, **settings) -> None:
    engine = engine_of(atoms, **settings)
    q, norms = engine.environments(pair_list(structure_arrays(atoms), engine.cutoff))
    expected = dscribe_spectrum(atoms, **settings)
    size = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs((q * norms[:, None] - expected) / size).max() < 1e-10


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(
    "name",
    ["silicon", "one_atom", "two_species", "three_species", "five_species", "cluster"],
)
def test_power_spectrum_equals_dscribe(name, weighting):
    assert_equals_dscribe(MORE[name](), weighting=WEIGHTINGS[weighting])


@pytest.mark.parametrize("rbf", ["gto", "polynomial"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["silicon", "three_species", "five_species"])
def test_compressed_power_spectrum_equals_dscribe(name, compression, rbf):
    assert_equals_dscribe(MORE[name](), compression=compression, rbf=rbf)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_species_weights_are_those_of_dscribe(compression):
    weights = {"Ge": 0.6, "Te": 1.7}
    assert_equals_dscribe(
        MORE["three_species"](), compression=compression, species_weights=weights
    )


@pytest.mark.parametrize(
    ("n_max", "l_max"), [(1, 0), (3, 2), (8, 6), (9, 1), (10, 8), (12, 10)]
)
def test_any_size_of_the_basis(n_max, l_max):
    assert_equals_dscribe(MORE["silicon"](), n_max=n_max, l_max=l_max)


def test_an_atom_without_neighbours_is_described():
    assert_equals_dscribe(MORE["isolated"]())


@pytest.mark.parametrize(("r_cut", "n_max"), [(4.0, 8), (5.0, 8), (6.0, 10)])
def test_radial_table_equals_the_closed_form(r_cut, n_max):
    """Quintic Hermite interpolation of the table, as the core does it, here in NumPy."""
    density = GtoDensity(**gto_basis(r_cut, n_max, 8), sigma=0.5)
    cutoff = reach(r_cut, 0.5, Weighting("none", r_cut))
    values, h = table(density, cutoff)
    r = np.random.default_rng(0).uniform(0.2, cutoff, 500)
    k = np.minimum((r / h).astype(int), len(values) - 2)
    t = (r / h - k)[:, None, None]
    s = 1 - t
    (f0, d0, c0), (f1, d1, c1) = (np.moveaxis(values[k + n], 1, 0) for n in (0, 1))
    found = s**3 * ((1 + 3 * t + 6 * t**2) * f0 + t * (1 + 3 * t) * h * d0)
    found += s**3 * t**2 / 2 * h**2 * c0
    found += t**3 * ((1 + 3 * s + 6 * s**2) * f1 - s * (1 + 3 * s) * h * d1)
    found += t**3 * s**2 / 2 * h**2 * c1
    exact = density.exact(r)[:, 0]
    assert np.abs(found - exact).max() < 1e-11 * np.abs(exact).max()


def test_full_kernel_is_the_sum_over_all_pairs_of_channels():
    """sqrt(2) on features that stand for two makes p·p' the product of all of them."""
    n_species, n_max, l_max = 3, 4, 3
    features = Features(n_species, n_max, l_max)
    rng = np.random.default_rng(3)
    shape = (2, n_species * n_max, (l_max + 1) ** 2)
    c = rng.normal(size=shape)
    everything = [np.zeros((l_max + 1, shape[1], shape[1])) for _ in range(2)]
    for degree in range(l_max + 1):
        m = slice(degree**2, (degree + 1) ** 2)
        for full, own in zip(everything, c, strict=True):
            full[degree] = (
                np.pi * np.sqrt(8 / (2 * degree + 1)) * own[:, m] @ own[:, m].T
            )
    a, b, degree, n, k = features.labels.T
    factor = features.prefactor(full=True) / features.prefactor(full=False)
    p = [factor * f[degree, a * n_max + n, b * n_max + k] for f in everything]
    ROUNDING.check(p[0] @ p[1], float(np.vdot(*everything)))


OPTIONS = {
    "plain": {},
    "mu2": {"compression": "mu2", "species_weights": {"Ge": 0.6}},
    "mu1nu1": {"compression": "mu1nu1", "species_weights": {"Ge": 0.6}},
    "full": {"full_kernel": True},
    "projected": {"components": 12},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["silicon", "three_species"])
def test_rows_equal_those_of_dscribe(name, option):
    atoms = MORE[name]()
    term = random_term(atoms, **{"n_max": 3, "l_max": 2, **OPTIONS[option]})
    slow = build_term(
        term.config.model_copy(update={"engine": "dscribe"}),
        term.descriptor.species,
        term.basis,
        term.projections,
    )
    pairs = next(pair_list(structure_arrays(atoms), term.descriptor.cutoff).chunks(200))
    ours = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    theirs = slow.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    for name in ("energies", "forces", "virials"):
        a, b = getattr(ours, name), getattr(theirs, name)
        # dscribe's derivatives are central differences with an error of 1e-8.
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(a).max())


def test_periodic_derivatives_equal_dscribe_for_moved_atoms():
    """Moving an atom moves its images and itself as a centre (dscribe: attach)."""
    atoms = silicon()
    soap = SOAP(
        r_cut=4.5,
        n_max=4,
        l_max=3,
        sigma=0.5,
        weighting=WEIGHTINGS["poly"],
        species=["Si"],
        periodic=True,
    )
    dp, p = soap.derivatives(atoms, method="numerical", attach=True)
    norm = np.linalg.norm(p, axis=1)
    q = p / norm[:, None]
    term = random_term(atoms, n_max=4, l_max=3, zeta=1.0, delta=1.0)
    points = term.sparse[14]
    dq = (dp - np.einsum("iaxf,if->iax", dp, q)[..., None] * q[:, None, None]) / norm[
        :, None, None, None
    ]
    expected = -np.einsum("iaxf,sf->axs", dq, points)
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    rows = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    assert np.abs(rows.forces - expected).max() < 1e-6 * np.abs(expected).max()


def test_virials_of_atoms_add_up_and_are_what_they_are_said_to_be():
    atoms = MORE["cluster"]()
    term = random_term(atoms)
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    found = term.predict(pairs, gradients=True, atom_virials=True)
    total = to_voigt(found.atom_virials.sum(axis=0))
    np.testing.assert_allclose(total, found.virials[0], rtol=1e-12, atol=1e-12)

    def energies(moved: np.ndarray) -> np.ndarray:
        frame = structure_arrays(Atoms(atoms.numbers, moved))
        near = pair_list(frame, term.descriptor.cutoff)
        return term.predict(near, gradients=False).energies

    h, expected = 1e-3, np.zeros((len(atoms), 3, 3))
    for j, x in itertools.product(range(len(atoms)), range(3)):
        step = np.zeros_like(atoms.positions)
        step[j, x] = h
        near = energies(atoms.positions + step) - energies(atoms.positions - step)
        far = energies(atoms.positions + 2 * step) - energies(
            atoms.positions - 2 * step
        )
        slope = (8 * near - far) / (12 * h)
        R = atoms.positions[j] - atoms.positions
        expected[j, :, x] = -slope @ R
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.atom_virials, expected, atol=1e-8 * scale)


def test_quadratic_form_equals_the_sum():
    atoms = MORE["three_species"]()
    term = random_term(atoms, zeta=2.0, n_max=3, l_max=2, repeat=60)
    d, pairs = (
        term.descriptor,
        pair_list(structure_arrays(atoms), term.descriptor.cutoff),
    )
    plain = d.prepare(term.sparse, term.coefficients)
    fast = d.prepare(term.sparse, term.coefficients, quadratic=True)
    assert not any(block.quadratic for block in plain)
    assert all(block.quadratic for block in fast)
    a, b = (d.predict(pairs, which, gradients=True) for which in (plain, fast))
    scale = sum(np.abs(c).sum() for c in term.coefficients.values())
    np.testing.assert_allclose(a.energies, b.energies, atol=1e-13 * scale)
    np.testing.assert_allclose(a.forces, b.forces, atol=1e-13 * scale)


def test_projection_on_all_directions_changes_nothing():
    atoms = MORE["silicon"]()
    whole = random_term(atoms)
    n_features = whole.descriptor.n_features
    rotation = np.linalg.qr(
        np.random.default_rng(1).normal(size=(n_features, n_features))
    )[0]
    turned = build_term(whole.config, (14,), whole.basis, {14: rotation})
    pairs = pair_list(structure_arrays(atoms), whole.descriptor.cutoff)
    rows = whole.descriptor.kernel_rows(pairs, whole.sparse, gradients=True)
    same = turned.descriptor.kernel_rows(
        pairs, {14: whole.sparse[14] @ rotation}, gradients=True
    )
    np.testing.assert_allclose(same.forces, rows.forces, atol=1e-12)
    np.testing.assert_allclose(same.virials, rows.virials, atol=1e-11)


def test_both_engines_fit_the_same_potential():
    frames = labelled_frames(silicon, 2)
    small = {"n_max": 3, "l_max": 2, "n_sparse": 10}
    native, dscribe = (
        gapfit.fit(frames, config(engine=engine, **small))
        for engine in ("native", "dscribe")
    )
    a, b = native.predict(frames[0]), dscribe.predict(frames[0])
    assert a.energy == pytest.approx(b.energy, abs=1e-5)
    np.testing.assert_allclose(a.forces, b.forces, atol=1e-5)
    np.testing.assert_allclose(a.stress, b.stress, atol=1e-7)


@pytest.mark.parametrize(
    ("r_cut", "n_max", "l_max"), [(5.0, 8, 6), (4.5, 12, 10), (1.5, 3, 2)]
)
def test_the_gto_basis_is_that_of_dscribe(r_cut, n_max, l_max):
    soap = SOAP(r_cut=r_cut, n_max=n_max, l_max=l_max, species=["H"])
    basis = gto_basis(r_cut, n_max, l_max)
    np.testing.assert_allclose(
        basis["alphas"].ravel(), np.ravel(soap._alphas), rtol=1e-14
    )
    wanted = np.reshape(soap._betas, basis["betas"].shape)
    # The overlaps of many functions are ill-conditioned.
    atol = 1e-6 * np.abs(wanted).max()
    np.testing.assert_allclose(basis["betas"], wanted, rtol=0, atol=atol)


def test_too_many_radial_functions_is_an_error():
    with pytest.raises(ConfigError, match=r"n_max = 30.*use"):
        gto_basis(4.0, 30, 4)


def test_unknown_species_is_an_error():
    atoms = silicon()
    engine = engine_of(atoms)
    atoms.numbers[3] = 6
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    with pytest.raises(StructureError, match="unknown species C: this model knows Si"):
        engine.environments(pairs)


def test_impossible_atomic_numbers_are_an_error():
    atoms = silicon()
    engine = engine_of(atoms)
    atoms.numbers[:2] = [-1, 300]
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    with pytest.raises(StructureError, match="species number -1, number 300: this"):
        engine.environments(pairs)


def test_absurd_positions_are_an_error_that_names_the_structure():
    atoms = silicon()
    atoms.positions[0] = 1e14
    with pytest.raises(StructureError, match=r"^structure: "):
        pair_list(structure_arrays(atoms), 5.0)


def test_terms_of_single_species_add_up_to_one_of_all():
    """One term for each central species is the same as one for all of them."""
    atoms = STRUCTURES["three_species"]()
    whole = random_term(atoms)
    pairs = pair_list(structure_arrays(atoms), 4.5)
    expected = whole.predict(pairs, gradients=True, atom_virials=True)
    rows = whole.descriptor.kernel_rows(pairs, whole.sparse, gradients=True)
    found, columns = [], []
    for symbol, z in (("Ge", 32), ("Sb", 51), ("Te", 52)):
        config = whole.config.model_copy(update={"centres": [symbol]})
        part = build_term(config, whole.species, whole.basis)
        assert part.descriptor.blocks == (z,)
        part = replace(
            part,
            sparse={z: whole.sparse[z]},
            coefficients={z: whole.coefficients[z]},
        )
        found.append(part.predict(pairs, gradients=True, atom_virials=True))
        columns.append(part.descriptor.kernel_rows(pairs, part.sparse, gradients=True))
    for name in ("energies", "forces", "virials", "atom_virials"):
        total = sum(getattr(one, name) for one in found)
        np.testing.assert_allclose(total, getattr(expected, name), atol=1e-12)
    joined = np.concatenate([part.forces for part in columns], axis=2)
    np.testing.assert_allclose(joined, rows.forces, atol=1e-13)
