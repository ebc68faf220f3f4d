"""SOAP against dscribe, its definition."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import STRUCTURES, config, labelled_frames, silicon
from dscribe.descriptors import SOAP

import gapfit
from gapfit.config import SoapConfig
from gapfit.descriptors.dscribe_soap import gto_basis
from gapfit.descriptors.radial import RadialBasis, Weighting
from gapfit.errors import ConfigError, StructureError
from gapfit.frame import structure_arrays
from gapfit.neighbours import pair_list
from gapfit.terms import build_term, new_basis

WEIGHTINGS = {
    "poly": {"function": "poly", "r0": 4.5, "c": 1.0, "m": 1.0},
    "poly_m2_w0": {"function": "poly", "r0": 4.0, "c": 1.2, "m": 2.0, "w0": 0.3},
    "pow": {"function": "pow", "r0": 2.5, "c": 1.5, "d": 1.2, "m": 4.0},
    "exp": {"function": "exp", "r0": 2.0, "c": 1.0, "d": 2.0},
    "none": {"function": "none"},
}


def built(name: str, weighting: str, engine: str = "native", n_max: int = 6):
    atoms = STRUCTURES[name]()
    species = tuple(sorted(set(atoms.numbers.tolist())))
    settings = SoapConfig(
        r_cut=4.5,
        n_max=n_max,
        l_max=5,
        sigma=0.5,
        weighting=WEIGHTINGS[weighting],
        engine=engine,
    )
    term = build_term(settings, species, new_basis(settings))
    return atoms, species, term.descriptor.engine


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", ["silicon", "one_atom", "three_species", "cluster"])
def test_power_spectrum_equals_dscribe(name, weighting):
    atoms, species, engine = built(name, weighting)
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    options = {k: v for k, v in WEIGHTINGS[weighting].items() if v != "none"}
    soap = SOAP(
        r_cut=4.5,
        n_max=6,
        l_max=5,
        sigma=0.5,
        weighting=options,
        species=list(species),
        periodic=bool(atoms.pbc.all()),
    )
    expected = soap.create(atoms)
    p = engine.expand(pairs).p
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs((p - expected) / norms).max() < 1e-11


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", ["silicon", "three_species"])
def test_derivatives_equal_dscribe(name, weighting):
    atoms, species, native = built(name, weighting, n_max=4)
    dscribe = built(name, weighting, "dscribe", n_max=4)[2]
    pairs = pair_list(structure_arrays(atoms), native.cutoff)
    few = next(pairs.chunks(pairs.n_pairs // 4))
    ours, theirs = native.expand(few), dscribe.expand(few)
    np.testing.assert_allclose(ours.p, theirs.p, rtol=1e-10, atol=1e-10)
    scale = np.abs(ours.p).max()
    for k in range(len(species)):
        some = np.flatnonzero(ours.pair_species() == k)[::3]
        difference = ours.derivatives(some, k) - theirs.derivatives(some, k)
        # dscribe's are central differences with an error of 1e-8.
        assert np.abs(difference).max() < 1e-6 * scale
    gradient = np.random.default_rng(1).normal(size=ours.p.shape)
    np.testing.assert_allclose(
        ours.adjoint(gradient), theirs.adjoint(gradient), atol=1e-6 * scale * 30
    )


@pytest.mark.parametrize(("r_cut", "n_max"), [(4.0, 8), (5.0, 8), (6.0, 10)])
def test_radial_table_equals_the_closed_form(r_cut, n_max):
    radial = RadialBasis(
        *gto_basis(r_cut, n_max, 8),
        sigma=0.5,
        r_cut=r_cut,
        weighting=Weighting("none", r_cut),
    )
    r = np.random.default_rng(0).uniform(0.2, radial.cutoff, 500)
    exact = radial.exact(r)
    f, over, along = radial(r)
    scale = np.abs(exact[:, 0]).max()
    assert np.abs(f - exact[:, 0]).max() < 1e-10 * scale
    x = r[:, None, None]
    slope = along * x + np.arange(9)[:, None] * over
    assert np.abs(slope - exact[:, 1]).max() < 1e-8 * scale


@pytest.mark.parametrize("name", ["silicon", "three_species", "one_atom"])
def test_adjoint_is_the_transpose_of_the_derivatives(name):
    atoms, species, engine = built(name, "poly")
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    expansion = engine.expand(pairs)
    gradient = np.random.default_rng(2).normal(size=expansion.p.shape)
    adjoint = expansion.adjoint(gradient)
    for k in range(len(species)):
        some = np.flatnonzero(expansion.pair_species() == k)
        active = engine.features.active[k]
        D = expansion.derivatives(some, k)
        expected = np.einsum("pxf,pf->px", D, gradient[pairs.i[some]][:, active])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(adjoint[some], expected, atol=1e-11 * scale)


def test_periodic_derivatives_equal_dscribe_for_moved_atoms():
    """Moving an atom moves its images and itself as a centre (dscribe: attach)."""
    atoms, species, engine = built("silicon", "poly", n_max=4)
    soap = SOAP(
        r_cut=4.5,
        n_max=4,
        l_max=5,
        sigma=0.5,
        weighting=WEIGHTINGS["poly"],
        species=list(species),
        periodic=True,
    )
    theirs = soap.derivatives(
        atoms, method="numerical", attach=True, return_descriptor=False
    )
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    D = engine.expand(pairs).derivatives(np.arange(pairs.n_pairs), 0)
    ours = np.zeros_like(theirs)
    np.add.at(ours, (pairs.i, pairs.j), D)
    np.subtract.at(ours, (pairs.i, pairs.i), D)
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


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


def test_too_many_radial_functions_is_an_error():
    with pytest.raises(ConfigError, match=r"n_max = 30.*use"):
        gto_basis(4.0, 30, 4)


def test_unknown_species_is_an_error():
    atoms, _, engine = built("silicon", "poly")
    atoms.numbers[3] = 6
    pairs = pair_list(structure_arrays(atoms), engine.cutoff)
    with pytest.raises(StructureError, match="unknown species C: this model knows Si"):
        engine.expand(pairs)
