"""Polynomials between knots in torch."""

from __future__ import annotations

import numpy as np
from helpers.torch_runs import import_or_skip

torch = import_or_skip("torch")
from gapfit.torch.hermite import HermiteTable, centred  # noqa: E402


def test_a_quintic_polynomial_is_itself_between_uneven_knots():
    """Six values at two knots determine it: NumPy's polynomial is the oracle."""
    rng = np.random.default_rng(4)
    f = np.polynomial.Polynomial(rng.normal(size=6))
    knots = np.array([-0.7, 0.1, 0.4, 1.3])
    values = np.stack([f(knots), f.deriv()(knots), f.deriv(2)(knots)], axis=1)
    table = HermiteTable(
        torch.tensor(values[None]), 0.0, 0.0, torch.tensor(knots[None]), 0.0
    )
    x = torch.tensor(rng.uniform(-0.7, 1.3, 50))
    inside, value, slope = table(torch.zeros(50, dtype=torch.int64), x)
    assert len(inside) == 50
    np.testing.assert_allclose(value, f(x.numpy()), rtol=0, atol=1e-13)
    np.testing.assert_allclose(slope, f.deriv()(x.numpy()), rtol=0, atol=1e-12)


def test_factors_are_those_around_the_middle():
    """With f = x² on [1, 3] and t = (x - 1)/2 it is 4 + 8 (t - 1/2) + 4 (t - 1/2)²."""
    values = torch.tensor([[[1.0, 2.0, 2.0], [9.0, 6.0, 2.0]]], dtype=torch.float64)
    found = centred(values, torch.full([1, 1], 2.0, dtype=torch.float64))
    assert found.flatten().tolist() == [4.0, 8.0, 4.0, 0.0, 0.0, 0.0]
