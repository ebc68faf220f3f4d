"""Densities contracted to few channels."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import SOAP, config, labelled_frames, three_species

import gapfit
from gapfit.config import SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.descriptors.density import leading, n_leading
from gapfit.errors import ConfigError, GapfitError
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.adapt import adapted
from gapfit.testing import SAME_POTENTIAL

pytestmark = pytest.mark.core

SPECIES = (32, 51, 52)
SETTINGS = {"r_cut": 4.5, "n_max": 4, "l_max": 3}


def structures() -> list[Atoms]:
    out = [three_species() for _ in range(3)]
    for n, atoms in enumerate(out):
        atoms.rattle(0.2, seed=n)
    return out


def pairs(*more: Atoms) -> Pairs:
    frames = [structure_arrays(atoms) for atoms in [*structures(), *more]]
    return pairs_of(frames, 4.5)


def term_of(**settings: object) -> FittedTerm:
    """Return a term whose channels come from the structures."""
    made = SoapConfig(**{**SETTINGS, **settings})
    term = build_term(made, SPECIES, new_basis(made))
    frames = [structure_arrays(atoms) for atoms in structures()]
    return adapted(term, frames, term.descriptor.cutoff)


def kernels(term: FittedTerm) -> dict[int, np.ndarray]:
    descriptor = term.descriptor
    found = descriptor.environments(pairs()).items()
    return {z: descriptor.kernel(part.values, part.values) for z, part in found}


def test_all_channels_give_the_full_kernel():
    """12 combinations of 3 species and 4 functions are only another basis."""
    exact, contracted = (
        kernels(term_of(full_kernel=True)),
        kernels(term_of(channels=12)),
    )
    for z in SPECIES:
        SAME_POTENTIAL.check(contracted[z], exact[z])


def test_more_channels_come_closer():
    exact = kernels(term_of(full_kernel=True))
    errors = []
    for q in (4, 6, 9, 11):
        found = kernels(term_of(channels=q))
        errors.append(max(np.abs(found[z] - exact[z]).max() for z in SPECIES))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 * errors[0]


def test_cost_follows_the_channels():
    assert term_of().descriptor.n_features == 12 * 13 // 2 * 4
    assert term_of(channels=5).descriptor.n_features == 5 * 6 // 2 * 4


def test_channels_are_the_directions_of_largest_variance():
    """Of random densities with known covariances."""
    rng = np.random.default_rng(1)
    vectors = np.linalg.qr(rng.normal(size=(2, 6, 6)))[0]
    variances = np.array([9.0, 4.0, 1.0, 0.3, 0.1, 0.0])
    U = leading(np.einsum("lak,k,lbk->lab", vectors, variances, vectors), 3)
    overlap = np.einsum("lak,lab->lkb", vectors[:, :, :3], U)
    np.testing.assert_allclose(np.abs(overlap), np.stack([np.eye(3)] * 2), atol=1e-9)
    assert (np.take_along_axis(U, np.abs(U).argmax(axis=1)[:, None], 1) > 0).all()


def diagonal(*variances: list[float]) -> np.ndarray:
    return np.stack([np.diag(of_degree) for of_degree in variances])


@pytest.mark.parametrize(
    ("share", "q"), [(0.5, 1), (0.85, 2), (0.9, 2), (0.95, 3), (0.999, 4)]
)
def test_a_share_of_the_variance_holds_in_every_degree(share, q):
    """Shares of the first degree are .6, .9, .98, 1; of the second .7, .95, .995, 1."""
    gram = diagonal([60.0, 30, 8, 2], [0.25, 0.7, 0.005, 0.045])
    assert n_leading(gram, share) == q


def test_degrees_that_vanish_by_symmetry_do_not_ask_for_channels():
    gram = diagonal([90.0, 9, 0.5, 0.5], [1e-12, 2e-12, 1e-12, 1e-12])
    assert n_leading(gram, 0.95) == 2


def test_a_share_next_to_all_takes_no_more_channels_than_densities():
    """Sums of all variances may round to less than 1."""
    shares = []
    for seed in range(20):
        rows = np.random.default_rng(seed).normal(size=(3, 12, 40))
        gram = rows @ rows.transpose(0, 2, 1)
        shares.append(n_leading(gram, float(np.nextafter(1.0, 0.0))))
    assert set(shares) == {12}


def test_more_channels_than_the_core_has_are_refused():
    with pytest.raises(GapfitError, match=r"takes 18 channels.* hold 0\.800000"):
        n_leading(diagonal([1.0] * 20), 0.875)


def test_a_share_is_the_same_as_its_number_of_channels():
    by_share = term_of(channels=0.99)
    q = by_share.basis["contraction"].shape[2]
    assert 2 < q < 12
    by_number = term_of(channels=q)
    assert by_share.descriptor.n_features == by_number.descriptor.n_features
    for z, values in kernels(by_share).items():
        np.testing.assert_array_equal(values, kernels(by_number)[z])


@pytest.fixture(scope="module", params=[4, 0.97])
def model(request):
    terms = [{**SOAP, "channels": request.param}]
    return gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})


def test_the_model_file_keeps_the_channels(model, tmp_path):
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz", training_sums=True)
    atoms = structures()[0]
    one, other = (m.predict(atoms, std=True) for m in (model, loaded))
    np.testing.assert_array_equal(other.forces, one.forces)
    np.testing.assert_array_equal(other.forces_std, one.forces_std)
    more = gapfit.append(loaded, labelled_frames(three_species, 8)[6:])
    np.testing.assert_array_equal(
        more.terms[0].basis["contraction"], model.terms[0].basis["contraction"]
    )


def test_files_with_few_points_and_a_share_are_read(tmp_path):
    """Their arrays are smaller than an environment of 16 channels."""
    soap = {**SOAP, "channels": 0.5, "n_max": 6, "l_max": 4, "n_sparse": 2}
    frames = labelled_frames(three_species)
    model = gapfit.fit(frames, {**config(), "terms": [soap]})
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz").terms[0].descriptor
    assert loaded.n_features == model.terms[0].descriptor.n_features


def test_channels_of_other_densities_are_refused(model):
    term = model.terms[0]
    wrong = {**term.basis, "contraction": term.basis["contraction"][:, :-1]}
    with pytest.raises(GapfitError, match="do not fit"):
        build_term(term.config, term.species, wrong)
    with pytest.raises(GapfitError, match="do not fit"):
        build_term(term.config, term.species[:2], term.basis)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"channels": 0}, ConfigError, "from 1 to 16"),
        ({"channels": 17}, ConfigError, "from 1 to 16"),
        ({"channels": 1.0}, ConfigError, "a share of the variance between 0 and 1"),
        ({"channels": 3, "compression": "mu2"}, ConfigError, "compression: not with"),
        ({"channels": 3, "engine": "dscribe"}, ConfigError, "dscribe: not with"),
        ({"channels": 16, "n_max": 4}, GapfitError, "3 species make only 12"),
    ],
)
def test_mistakes(changes, error, message):
    frames = labelled_frames(three_species, 2)
    with pytest.raises(error, match=message):
        gapfit.fit(frames, {**config(), "terms": [{**SOAP, **changes}]})
