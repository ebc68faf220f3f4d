"""Slopes of harmonics in torch against finite differences."""

from __future__ import annotations

import pytest
from helpers.torch_runs import import_or_skip

torch = import_or_skip("torch")
from gapfit.torch.harmonics import Harmonics  # noqa: E402

STEP = 1e-5


def unit_vectors(v):
    return v / torch.linalg.vector_norm(v, dim=0)


@pytest.mark.parametrize("l_max", [0, 1, 2, 3, 8])
def test_slopes_across_the_vectors(l_max):
    harmonics = Harmonics(l_max)
    random = torch.Generator().manual_seed(l_max)
    shape = [harmonics.n_lm, 4, 5]
    u = unit_vectors(torch.randn([3, 4, 5], generator=random, dtype=torch.float64))
    g = torch.randn(shape, generator=random, dtype=torch.float64)
    found = harmonics.gradient(u[2], harmonics(u), g * harmonics.norms)
    found -= (found * u).sum(dim=0) * u

    def total(v):
        return (g * harmonics(unit_vectors(v))).sum(dim=0)

    steps = STEP * torch.eye(3, dtype=torch.float64).view(3, 3, 1, 1)
    wanted = torch.stack([total(u + s) - total(u - s) for s in steps]) / (2 * STEP)
    assert wanted.abs().max() > 0.5 or l_max == 0
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-7)
