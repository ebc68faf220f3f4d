"""Double sums of kernels over the pairs or triplets of atoms."""

from __future__ import annotations

import numpy as np
from helpers.torch_runs import import_or_skip

torch = import_or_skip("torch")

from gapfit.torch.cluster_priors import cluster_priors  # noqa: E402 - needs torch


def test_sums_equal_plain_ones():
    """Of groups from one cluster to more than are handled at once, in any order."""
    rng = np.random.default_rng(3)
    sizes = {(0, 1): 2100, (2, 0): 1, (2, 1): 700, (3, 0): 5}
    keys = rng.permutation(np.repeat(list(sizes), list(sizes.values()), axis=0))
    x, s = rng.normal(size=(len(keys), 3)) + 9.0, rng.normal(size=len(keys))
    expected = np.zeros(5)
    for atom, block in sizes:
        own = (keys == (atom, block)).all(axis=1)
        square = sum((z[:, None] - z) ** 2 for z in x[own].T)
        expected[atom] += s[own] @ np.exp(-0.5 * square) @ s[own]
    given = map(torch.tensor, (x, s, *keys.T.copy()))
    found = cluster_priors(*given, n_blocks=2, n_atoms=5)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_atoms_without_clusters_have_none():
    none, whole = torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    found = cluster_priors(none.view(0, 3), none, whole, whole, n_blocks=2, n_atoms=3)
    assert found.tolist() == [0.0, 0.0, 0.0]
