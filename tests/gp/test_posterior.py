"""The posterior: variances are those of its algebra, contradictions are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.error_bars import (
    METHODS,
    PAIR,
    SOAP,
    brute_covariance,
    frame_of,
    frames_of,
    kernel_matrix,
    normal_matrix,
    rows_of,
    salt,
    settings,
    unexplained,
)

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.gp.posterior import Posterior
from gapfit.gp.whitening import Whitening
from gapfit.testing import DENSE_ALGEBRA


@pytest.fixture(scope="module", params=METHODS)
def model(request) -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings(request.param))


@pytest.fixture(scope="module")
def one_model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings())


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_variances_equal_the_algebra_of_the_posterior(model, form):
    """k (K_mm + K_mn Λ^-1 K_nm)^-1 k^T; DTC adds k(L, L) - k K_mm^-1 k^T."""
    atoms = salt(77)
    expected = {k: np.diag(C).copy() for k, C in brute_covariance(model, atoms).items()}
    if form == "dtc":
        for kind, left in unexplained(model, atoms).items():
            assert left.min() > 1e-3 * expected[kind].max()
            expected[kind] += left
    found = model.predict(
        atoms, std=True, calibrated=False, observation=False, form=form
    )
    close = {"rtol": 1e-8, "atol": 0}
    np.testing.assert_allclose(found.energy_std**2, expected["energy"][0], **close)
    np.testing.assert_allclose(
        found.forces_std.ravel() ** 2, expected["forces"], **close
    )
    virials = (found.stress_std * atoms.get_volume()) ** 2
    np.testing.assert_allclose(virials, expected["virial"], **close)
    assert found.n_negative == 0


def test_energies_of_atoms_equal_the_algebra_of_the_posterior():
    """Terms of all kinds, one of them for atoms of one species only."""
    triplet = {"type": "angle_3b", "r_cut": 3.4, "n_sparse": 4, "delta": 0.3}
    own = SOAP | {"r_cut": 3.0, "centres": ["Ge"], "delta": 0.5}
    model = gapfit.fit(frames_of(), settings(terms=[own, PAIR, SOAP, triplet]))
    atoms = salt(8)
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    parts = [
        t.descriptor.covariances(pairs.within(t.descriptor.cutoff), t.sparse)
        for t in model.terms
    ]
    k, prior = np.hstack([k for k, _ in parts]), sum(prior for _, prior in parts)
    left = prior - np.einsum("nm,mn->n", k, np.linalg.solve(kernel_matrix(model), k.T))
    known = np.einsum("nm,mn->n", k, np.linalg.solve(normal_matrix(model), k.T))
    found = model.predict(atoms, std="energies", novelty=True)
    DENSE_ALGEBRA.check(found.energies_std**2, left + known)
    DENSE_ALGEBRA.check(found.novelty, np.sqrt(left / prior))


def test_a_contradictory_posterior_is_counted(one_model):
    """Where more is explained than there is, the variance is that of SoR alone."""
    known, some = one_model.posterior, [salt(1), salt(2)]
    left = [np.concatenate(list(unexplained(one_model, a).values())) for a in some]
    explained = []
    for atoms in some:
        K = rows_of(one_model, [frame_of(one_model, atoms)]).K
        of = np.linalg.solve(kernel_matrix(one_model), K.T)
        explained.append(np.einsum("nm,mn->n", K, of))
    # So much more is explained by a smaller U that half of the variances are negative.
    more = np.median(left[0] / explained[0])
    smaller = tuple(U / np.sqrt(1 + more) for U in known.whitening.cholesky)
    wrong = Posterior(Whitening(smaller, known.whitening.jitter), known.R)
    broken, kinds = replace(one_model, posterior=wrong), ("energy", "forces", "stress")
    found = broken.predict(some, std=kinds, observation=False, form="dtc")
    sor = broken.predict(some, std=kinds, observation=False)
    for n, (dtc, own) in enumerate(zip(found, sor, strict=True)):
        negative = left[n] < more * explained[n]
        assert 0 < negative.sum() < 31
        assert dtc.n_negative == negative.sum()
        assert own.n_negative == 0
        below = negative[1:25].reshape(8, 3)
        np.testing.assert_array_equal(dtc.forces_std[below], own.forces_std[below])
        assert (dtc.forces_std[~below] > own.forces_std[~below]).all()
    assert found[0].n_negative != found[1].n_negative
    good = one_model.predict(some, std=True, novelty=True, form="dtc")
    assert [own.n_negative for own in good] == [0, 0]


def test_no_share_of_an_atom_is_negative(one_model):
    known = one_model.posterior
    halves = tuple(0.5 * U for U in known.whitening.cholesky)
    wrong = Posterior(Whitening(halves, known.whitening.jitter), known.R)
    found = replace(one_model, posterior=wrong).predict(salt(1), novelty=True)
    assert found.n_negative == 8
    np.testing.assert_array_equal(found.novelty, 0.0)
