"""Greedy picks, against the posterior computed anew."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.selection import PER, Posterior, calm, candidates_of

import gapfit
from gapfit.active import greedy
from gapfit.testing import DENSE_ALGEBRA


def expected(posterior, by, per, atoms) -> float:
    if by == "d-optimal":
        return posterior.gain(atoms) / (len(atoms) if per == "atom" else 1)
    variances = posterior.of_forces(atoms)
    return np.sqrt(variances.max() if per == "atom" else variances.sum())


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("by", ["std", "d-optimal"])
def test_scores_are_those_of_the_posterior_with_the_labels(model, varied, by, per):
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion(by, per, model.n_sparse, [])
    posterior = Posterior(model)
    for pick in (7, 4, 9, 0, 8, 5):
        for own, atoms in zip(found, varied, strict=True):
            wanted = expected(posterior, by, per, atoms)
            # Of what is not looked at in between, several picks are caught up with.
            if own.index != 1 or pick == 5:
                DENSE_ALGEBRA.check(judge.score(own), wanted)
        judge.observe(found[pick])
        posterior.add(varied[pick])


def test_picking_is_like_appending(model, varied):
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion("std", "atom", model.n_sparse, [])
    judge.observe(found[9])
    judge.observe(found[5])
    posterior = Posterior(gapfit.append(model, [varied[9], varied[5]]))
    for own, atoms in zip(found, varied, strict=True):
        wanted = expected(posterior, "std", "atom", atoms)
        DENSE_ALGEBRA.check(judge.score(own), wanted)


def test_many_picks_lose_no_digits(model):
    """Far more labels than coefficients, of which the last are kept by themselves."""
    frames = calm(20, rattle=0.1, seed=70)
    found = candidates_of(model, frames, spaces=[])
    judge = greedy.criterion("std", "structure", model.n_sparse, [])
    posterior = Posterior(model)
    for n in range(1, 20):
        judge.score(found[n])
        judge.observe(found[n])
        posterior.add(frames[n])
    for n in (0, 7, 19):
        wanted = expected(posterior, "std", "structure", frames[n])
        DENSE_ALGEBRA.check(judge.score(found[n]), wanted)
