"""Candidates: their labels, rows and novelty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.selection import Posterior, calm, candidates_of

import gapfit
from gapfit.active import candidates, greedy
from gapfit.data.dataset import read
from gapfit.data.neighbours import pairs_of
from gapfit.testing import DENSE_ALGEBRA, SAME_POSTERIOR


def test_labels_are_of_the_kinds_that_the_model_was_fitted_to(varied):
    settings = config(n_sparse=12)
    settings["data"] |= {"use_forces": False, "use_stress": False}
    model = gapfit.fit(labelled_frames(silicon), settings)
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion("d-optimal", "structure", model.n_sparse, [])
    posterior = Posterior(model)
    for own, atoms in zip(found, varied, strict=True):
        assert len(own.rows.labels) == 1
        assert own.rows.forces.shape == (len(atoms), 3, 3 * len(atoms) + 1)
        DENSE_ALGEBRA.check(judge.score(own), posterior.gain(atoms))


@pytest.mark.parametrize("by", ["std", "novelty", "d-optimal"])
def test_structures_one_at_a_time_score_the_same(model, varied, by):
    judge = greedy.criterion(by, "atom", model.n_sparse, candidates.spaces_of(model))
    together, alone = (
        candidates_of(model, varied, rows=judge.rows, batch_atoms=n) for n in (10**6, 1)
    )
    for a, b in zip(together, alone, strict=True):
        assert (a.index, a.n_atoms) == (b.index, b.n_atoms)
        SAME_POSTERIOR.check(judge.score(a), judge.score(b))


def test_what_lies_outside_is_conditioned_on_what_was_picked(model, varied):
    (space,) = candidates.spaces_of(model)
    space = replace(space, negligible=0.0)
    found = candidates_of(model, varied, rows=False, spaces=[space])
    judge = greedy.criterion("novelty", "atom", model.n_sparse, [space])
    frames = read(varied, model.config.data).frames
    descriptor, points = space.descriptor, model.terms[0].sparse[14]
    values = [
        descriptor.environments(pairs_of([frame], descriptor.cutoff))[14].values
        for frame in frames
    ]
    K_mm = descriptor.kernel(points, points)
    K_mm[np.diag_indices(12)] += model.posterior.whitening.jitter[0] * K_mm[0, 0]

    def rest(a, b):
        k_a, k_b = (descriptor.kernel(points, x) for x in (a, b))
        return descriptor.kernel(a, b) - k_a.T @ np.linalg.solve(K_mm, k_b)

    picked = np.zeros((0, values[0].shape[1]))
    for pick in (9, 7, 6):
        noisy = rest(picked, picked) + space.noise * np.eye(len(picked))
        for own, x in zip(found, values, strict=True):
            cross = rest(picked, x)
            left = rest(x, x) - cross.T @ np.linalg.solve(noisy, cross)
            wanted = np.sqrt(np.diag(left).max() / model.terms[0].config.delta ** 2)
            assert judge.score(own) == pytest.approx(wanted, rel=1e-6)
        judge.observe(found[pick])
        picked = np.concatenate([picked, values[pick]])


def test_large_structures_are_compressed(model):
    frames = [*calm(3, rattle=0.08, repeat=3, seed=7), *calm(2, rattle=0.15, repeat=2)]
    few = candidates_of(model, frames, spaces=[])
    every = candidates_of(model, frames, spaces=[], max_rows=1000)
    assert {len(own.rows.basis) for own in few} == {min(32, model.n_sparse)}
    assert [len(own.rows.basis) for own in every] == [79, 79, 79, 55, 55]
    judges = [greedy.criterion("std", "atom", model.n_sparse, []) for _ in range(2)]
    for n in (0, 3):
        for a, b in zip(few, every, strict=True):
            assert judges[0].score(a) == pytest.approx(judges[1].score(b), rel=1e-6)
        judges[0].observe(few[n])
        judges[1].observe(every[n])


@pytest.mark.parametrize("n_sparse", [70, 40, 20])
def test_forces_left_out_shrink_with_the_rest(n_sparse):
    """Of an atom whose rows are kept by half the variance is that of all."""
    rng = np.random.default_rng(0)
    psi, sigma = rng.normal(size=(61, n_sparse)), np.full(61, 0.1)
    is_force = np.arange(61) > 0
    rows = candidates.compressed(psi, sigma, is_force, np.full(61, True))
    variances = ((0.1 * psi[1:]) ** 2).sum(axis=1).reshape(-1, 3).sum(axis=1)
    kept = ((rows.forces @ rows.basis) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(kept, variances, rtol=1e-10)
    # The best rank: what the labels tell is what the largest singular values tell.
    singular = np.linalg.svd(psi, compute_uv=False)[:32]
    found = np.linalg.svd(rows.labels @ rows.basis, compute_uv=False)
    np.testing.assert_allclose(found, singular, rtol=1e-10)
