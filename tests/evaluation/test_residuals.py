"""Residuals of structures predicted and left out, against refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import label
from helpers.error_bars import PAIR, SOAP, frames_of, salt, settings

import gapfit
from gapfit.data.dataset import read
from gapfit.evaluation.residuals import (
    left_out_residuals,
    predicted_residuals,
)
from gapfit.gp.posterior import Posterior
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.rows import row_block
from gapfit.testing import SAME_POSTERIOR

METHODS = ("cholesky", "qr")


@pytest.mark.parametrize("n_sparse", [3, 12])
@pytest.mark.parametrize("method", METHODS)
def test_left_out_residuals_are_those_of_refits(method, n_sparse):
    """Errors and standard deviations, of the fit without it, same sparse points.

    A crystal has 31 observations: more, and fewer, than there are sparse points.
    """
    frames, soap = frames_of(4), SOAP | {"n_sparse": n_sparse}
    model = gapfit.fit(frames, settings(method, terms=[PAIR, soap]))
    assert (model.n_sparse < 31) == (n_sparse == 3)
    every = read(frames, model.config.data).frames
    for n, frame in enumerate(every):
        rest = row_block(
            every[:n] + every[n + 1 :], model.terms, model.e0, model.config.sigma
        )
        sums = TrainingSums(model.posterior.whitening, method)
        sums.add(("all", ""), rest.K, rest.y, rest.sigma)
        solution = sums.solve()
        refit = replace(
            with_coefficients(model, solution.coefficients),
            posterior=Posterior(model.posterior.whitening, solution.R),
        )
        expected = list(predicted_residuals(refit, frame))
        found = list(left_out_residuals(model, frame))
        assert [own.quantity for own in found] == [own.quantity for own in expected]
        for a, b in zip(found, expected, strict=True):
            largest = np.abs(b.error).max()
            np.testing.assert_allclose(a.error, b.error, rtol=1e-6, atol=1e-7 * largest)
            np.testing.assert_allclose(a.std, b.std, rtol=1e-6, atol=1e-7 * b.std.max())
            np.testing.assert_array_equal(a.sigma, b.sigma)


def with_coefficients(model: gapfit.GAPModel, c: np.ndarray) -> gapfit.GAPModel:
    terms, first = [], 0
    for term in model.terms:
        own = {}
        for block, points in term.sparse.items():
            own[block] = c[first : first + len(points)]
            first += len(points)
        terms.append(replace(term, coefficients=own, lossless={}))
    return replace(model, terms=tuple(terms))


def test_residuals_are_predictions_minus_references(model):
    atoms = label(salt(50))
    frame = read([atoms], model.config.data).frames[0]
    found = {own.quantity: own for own in predicted_residuals(model, frame)}
    bare = model.predict(atoms, std=True, calibrated=False, observation=False)
    volume = atoms.get_volume()
    for kind, error, std in (
        ("energy", bare.energy - atoms.get_potential_energy(), bare.energy_std),
        ("forces", bare.forces - atoms.get_forces(), bare.forces_std),
        (
            "virial",
            -volume * (bare.stress - atoms.get_stress()),
            volume * bare.stress_std,
        ),
    ):
        own = found[kind]
        np.testing.assert_allclose(own.error, np.ravel(error), rtol=0, atol=1e-6)
        SAME_POSTERIOR.check(own.std, np.ravel(std))
    assert found["energy"].root == found["virial"].root == np.sqrt(8)
    assert found["forces"].root == 1.0
