"""Sparse points taken from appended data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from builders import (
    cluster,
    config,
    label,
    labelled_frames,
    silicon,
    three_species,
    wire,
)
from helpers.appended import calm, fit_of_all, later
from helpers.refits import METHODS, settings

import gapfit
from gapfit._support.progress import silent
from gapfit.data.dataset import read
from gapfit.data.neighbours import pairs_of
from gapfit.errors import GapfitError
from gapfit.fitting.extend_sparse import extended
from gapfit.fitting.solve import solved
from gapfit.sparse.novelty import LEAST, novel_points
from gapfit.testing import SAME_POSTERIOR


def forces_rmse(model, frames) -> float:
    return gapfit.evaluate(model, frames)["all"]["forces"]["rmse"]


def test_points_are_taken_where_the_new_data_lie_outside(narrow):
    new = read(labelled_frames(cluster), narrow.config.data).frames
    points, (found,) = novel_points(narrow, new, 2, silent)
    assert found.n_points == len(points[0][14]) == 2
    assert (found.term, found.block) == (1, "Si")
    assert found.n_outside == 48
    assert found.unexplained_before > 0.01 > found.unexplained_after > LEAST
    # They are environments of the new data.
    term = narrow.terms[0]
    environments = term.descriptor.environments(pairs_of(new, 4.5))[14].values
    distances = np.abs(environments[:, None] - points[0][14][None]).max(axis=2)
    assert distances.min(axis=0).max() == 0.0
    # With enough of them nothing is left, and no point is superfluous.
    points, (found,) = novel_points(narrow, new, 1000, silent)
    assert 2 < found.n_points < found.n_outside
    assert found.unexplained_after <= LEAST
    larger = extended(narrow, points)
    assert novel_points(larger, new, 1000, silent) == ({0: {}}, [])


def test_what_is_left_is_the_share_of_the_prior_variance(narrow):
    new = read(labelled_frames(wire, 1), narrow.config.data).frames
    _, (found,) = novel_points(narrow, new, 1, silent)
    (term,) = narrow.terms
    x = term.descriptor.environments(pairs_of(new, 4.5))[14].values
    kernel, points = term.descriptor.kernel, term.sparse[14]
    K = kernel(points, points) + narrow.config.solver.jitter * kernel(x, x)[
        0, 0
    ] * np.eye(len(points))
    k = kernel(x, points)
    left = np.diag(kernel(x, x)) - np.einsum("nm,mn->n", k, np.linalg.solve(K, k.T))
    share = left / np.diag(kernel(x, x))
    assert found.unexplained_before == pytest.approx(share.max(), rel=1e-6)
    assert found.n_outside == (share > LEAST).sum()


def test_the_factor_of_more_points_is_that_of_all(narrow):
    new = read(labelled_frames(wire), narrow.config.data).frames
    larger = extended(narrow, novel_points(narrow, new, 6, silent)[0])
    (term,) = larger.terms
    assert len(term.sparse[14]) > 12
    K = term.descriptor.kernel(term.sparse[14], term.sparse[14])
    jitter = narrow.config.solver.jitter * np.mean(np.diag(K))
    (U,) = larger.training_sums.whitening.cholesky
    np.testing.assert_allclose(
        U.T @ U, K + jitter * np.eye(len(K)), rtol=0, atol=1e-12 * K.max()
    )


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_fit_of_all_where_the_old_points_describe_the_old_data(method):
    # Energies alone, and every environment of theirs is a sparse point: K_nm of the old
    # data and any new point follows from the old points.
    old, new = calm(), labelled_frames(wire)
    given = settings(method, n_sparse=32, atom_sigma=0.4, zeta=4)
    given["data"] |= {"use_forces": False, "use_stress": False}
    given["solver"]["jitter"] = 1e-11
    model = gapfit.fit(old, given)
    found = gapfit.append(model, new, new_sparse=6)
    assert found.n_sparse > model.n_sparse == 32
    expected = fit_of_all(found, [*old, *new])
    for a, b in zip(
        found.predict([*old, *new]), expected.predict([*old, *new]), strict=True
    ):
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-6)
    assert found.record.log_marginal_likelihood == pytest.approx(
        expected.record.log_marginal_likelihood, abs=1e-3
    )


def test_several_blocks_and_terms_keep_their_columns():
    old, new = labelled_frames(three_species, 4), later(three_species, 2)
    for method in METHODS:
        given = settings(method, n_sparse=2, atom_sigma=0.4)
        given["terms"] = [
            {**given["terms"][0], "r_cut": 3.5},
            {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8},
            {**given["terms"][0]},
        ]
        model = gapfit.fit(old, given)
        sums = extended(model, {0: {}, 2: {}}).training_sums.solve()
        SAME_POSTERIOR.check(
            sums.log_marginal_likelihood, model.record.log_marginal_likelihood
        )
        points, _ = novel_points(model, read(new, model.config.data).frames, 2, silent)
        larger = extended(model, points)
        added = [sum(map(len, points[n].values())) for n in (0, 2)]
        assert min(added) > 0
        assert larger.n_sparse == model.n_sparse + sum(added)
        # What the sums say is as before: new columns are combinations of old ones.
        before, after = model.training_sums.solve(), larger.training_sums.solve()
        assert after.log_marginal_likelihood == pytest.approx(
            before.log_marginal_likelihood, rel=1e-6
        )
        wide = solved(larger, None, silent)
        for a, b in zip(wide.predict(old), model.predict(old), strict=True):
            np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-6)


def test_new_points_help_a_far_off_phase_and_do_not_hurt_the_old_data(narrow):
    old, new = calm(), labelled_frames(wire, 8)
    train, test = new[::2], new[1::2]
    plain = gapfit.append(narrow, train)
    larger = gapfit.append(narrow, train, new_sparse=24)
    exact = fit_of_all(larger, [*old, *train])
    assert forces_rmse(larger, test) < 0.65 * forces_rmse(plain, test)
    assert forces_rmse(larger, test) < 1.1 * forces_rmse(exact, test)
    assert forces_rmse(larger, old) < 1.05 * forces_rmse(plain, old)
    (entry,) = larger.record.appended
    (found,) = entry.sparse_points
    assert found["n_points"] == larger.n_sparse - narrow.n_sparse > 0
    assert any(
        f"{found['n_points']} sparse points for Si" in text
        for text in larger.record.warnings
    )
    assert plain.record.appended[0].sparse_points == ()


def test_no_points_where_nothing_is_outside(frames):
    model = gapfit.fit(frames, settings(n_sparse=48))
    copies = [label(atoms.copy(), config_type="copy") for atoms in frames]
    found = gapfit.append(model, copies, new_sparse=10)
    assert found.n_sparse == model.n_sparse
    assert any("no sparse point is added" in t for t in found.record.warnings)


def test_a_species_that_shall_have_no_points_gets_none():
    train = labelled_frames(three_species, 4)
    full = settings(n_sparse=4, species_n_sparse={"Te": 0})
    model = gapfit.fit(train, full)
    found = gapfit.append(model, later(three_species), new_sparse=3)
    sizes = {b: len(points) for b, points in found.terms[0].sparse.items()}
    assert sizes[52] == 0
    assert min(sizes[32], sizes[51]) > 4


def test_what_new_sparse_cannot_be(frames, model):
    with pytest.raises(GapfitError, match="new_sparse = -1"):
        gapfit.append(model, later(silicon), new_sparse=-1)
    pairs = settings()
    pairs["terms"] = [{"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8}]
    with pytest.raises(GapfitError, match="no SOAP term"):
        gapfit.append(gapfit.fit(frames, pairs), later(silicon), new_sparse=3)


def test_projections_keep_what_the_old_data_needed():
    many = {"n_max": 8, "l_max": 6, "n_sparse": 96, "atom_sigma": 1.0}
    old = labelled_frames(lambda: silicon() * (2, 1, 1), 6)
    model = gapfit.fit(old, config(**many))
    rank = model.terms[0].lossless[14].shape[1]
    # Hardly anything is needed for one perfect crystal.
    crystal = label(bulk("Si") * (2, 1, 1))
    found = gapfit.append(model, [crystal])
    assert found.terms[0].lossless[14].shape[1] >= rank
    assert found.record.projections[0]["n_atoms"] == len(crystal)
    changes = [
        np.abs(a.energies - b.energies).max()
        for a, b in zip(
            found.predict(old), found.without_projections().predict(old), strict=True
        )
    ]
    assert max(changes) < 1e-5
    none = replace(model, terms=tuple(replace(t, lossless={}) for t in model.terms))
    assert not gapfit.append(none, [crystal]).terms[0].lossless
