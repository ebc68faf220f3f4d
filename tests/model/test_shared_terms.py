"""SOAP and a cluster expansion of the same densities, which are expanded once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import TWO_BODY, config, labelled_frames, three_species

import gapfit
from gapfit.descriptors.radial_bessel import BesselDensity, soap_bessel_basis
from gapfit.descriptors.radial_gto import GtoDensity, gto_basis
from gapfit.errors import ConfigError
from gapfit.model.gap_model import GAPModel

pytestmark = pytest.mark.core

SOAP = {"r_cut": 4.5, "n_max": 8, "l_max": 4, "n_sparse": 30, "rbf": "bessel"}
ACE = {
    "type": "ace",
    "r_cut": 4.5,
    "radial": "contracted",
    "n_max": [3, 2],
    "l_max": [2, 1],
    "delta": 1.0,
}


def two_species() -> Atoms:
    atoms = three_species()
    atoms.numbers[atoms.numbers == 51] = 52
    return atoms


def fitted(*terms: dict[str, object], build=three_species) -> GAPModel:
    return gapfit.fit(labelled_frames(build), {**config(), "terms": list(terms)})


def apart(model: GAPModel) -> GAPModel:
    """Return the model with terms that are evaluated each for itself."""
    out = replace(model)
    out.__dict__["_shared"] = None
    return out


def assert_shared_equals_apart(model: GAPModel, atoms: Atoms, **options) -> None:
    assert model._shared is not None
    one, other = (m.predict(atoms, **options) for m in (model, apart(model)))
    np.testing.assert_allclose(one.energies, other.energies, rtol=1e-12)
    for name in ("forces", "stress", "atom_virials", "energies_std"):
        expected = getattr(other, name)
        if expected is not None:
            scale = np.abs(expected).max(initial=1e-3)
            np.testing.assert_allclose(getattr(one, name), expected, atol=1e-11 * scale)


TERMS = {
    "soap first": (SOAP, TWO_BODY, ACE),
    "ace first": (ACE, TWO_BODY, SOAP),
    "every species": (
        SOAP,
        ACE | {"radial": "bessel", "orders": [2, 3], "n_max": [8, 2], "l_max": [1, 1]},
    ),
    "same degree": (SOAP | {"l_max": 2}, ACE),
    "mixed channels": (SOAP | {"compression": "mu1nu1"}, ACE),
    "one centre": (SOAP | {"centres": ["Te"]}, ACE),
    "two of each": (SOAP, ACE, SOAP | {"l_max": 2}, ACE | {"n_max": [1, 1]}),
}


@pytest.mark.parametrize("name", TERMS)
def test_terms_evaluated_together_are_their_sum(name):
    build = two_species if name == "every species" else three_species
    model = fitted(*TERMS[name], build=build)
    small = build()
    cluster = Atoms(small[:5].symbols, small[:5].positions)
    for atoms in (small, small * (2, 1, 1), cluster, small[:1]):
        assert_shared_equals_apart(model, atoms, atom_virials=True)
    assert_shared_equals_apart(model, small, forces=False, stress=False)
    assert_shared_equals_apart(model, small * (2, 2, 1), n_threads=2)
    assert_shared_equals_apart(model, small, std="energies")


def test_forces_are_derivatives_of_the_energy():
    model, atoms, step = fitted(SOAP, ACE), three_species(), 1e-4
    expected = np.zeros((2, 3))
    for (atom, axis), _ in np.ndenumerate(expected):
        energies = []
        for shift in (-step, step):
            moved = atoms.copy()
            moved.positions[atom, axis] += shift
            energies.append(model.predict(moved).energy)
        expected[atom, axis] = (energies[0] - energies[1]) / (2 * step)
    np.testing.assert_allclose(model.predict(atoms).forces[:2], expected, atol=1e-6)


def test_a_loaded_model_shares(tmp_path):
    model, atoms = fitted(SOAP, ACE), three_species()
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    assert_shared_equals_apart(loaded, atoms)
    np.testing.assert_array_equal(
        loaded.predict(atoms).forces, model.predict(atoms).forces
    )


@pytest.mark.parametrize(
    "soap",
    [
        {"rbf": "gto"},
        {"n_max": 7},
        {"atom_sigma": 1.5},
        {"l_max": 1},
        {"r_cut": 4.4},
        {"channels": 4},
        {"species_weights": {"Te": 0.5}},
    ],
)
def test_terms_of_other_densities_stay_apart(soap):
    """Also where GTOs are so alike that Bessel functions are not found from them."""
    assert fitted(SOAP | soap, ACE)._shared is None


@pytest.mark.parametrize("r_cut", [1.5, 2.0, 3.0, 4.0, 5.0, 8.0])
def test_bessel_functions_are_like_gtos_at_all_cutoffs(r_cut):
    """And not larger by orders of magnitude where atoms are closer than in the fit."""
    n_max, l_max, sigma = 8, 4, 0.5
    basis = soap_bessel_basis(r_cut, n_max, l_max, sigma)
    r = np.linspace(0.3, r_cut, 100)
    found = BesselDensity(r_cut, **basis).exact(r)[:, 0]
    gtos = GtoDensity(**gto_basis(r_cut, n_max, l_max), sigma=sigma).exact(r)[:, 0]
    u = (r / r_cut)[:, None, None]
    wanted = gtos * (1 + 2 * u**3 - 3 * u**2)
    size = np.abs(wanted).max()
    far = r > min(1.5, 0.3 * r_cut)
    assert np.abs(found - wanted)[far].max() < 0.02 * size
    assert np.abs(found).max() < 5 * size


@pytest.mark.parametrize(
    "setting", [{"weighting": {"function": "pow"}}, {"engine": "dscribe"}]
)
def test_what_bessel_functions_do_not_have_is_refused(setting):
    with pytest.raises(ConfigError, match='not for rbf = "bessel"'):
        fitted(SOAP | setting)
