"""Fits to be fitted again, and what two equal models are."""

from __future__ import annotations

import numpy as np
from builders import config

from gapfit.testing import SAME_POSTERIOR

SIGMA = {"energy": 0.01, "forces": 0.1, "virial": 0.1}
METHODS = ("cholesky", "qr")


def settings(method="cholesky", sigmas=SIGMA, **soap) -> dict:
    return config(**soap) | {"sigma": sigmas, "solver": {"method": method}}


def assert_same(found, expected, frames, atol=1e-9):
    pairs = zip(
        found.without_projections().predict(frames, std=True),
        expected.without_projections().predict(frames, std=True),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=atol)
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=10 * atol)
        np.testing.assert_allclose(a.stress, b.stress, rtol=0, atol=atol)
        np.testing.assert_allclose(a.energies_std, b.energies_std, rtol=0, atol=1e-7)
    SAME_POSTERIOR.check(
        found.record.log_marginal_likelihood, expected.record.log_marginal_likelihood
    )
