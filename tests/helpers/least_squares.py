"""Small problems of least squares."""

from __future__ import annotations

import numpy as np

from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution, whiten

SOLVERS = ("cholesky", "qr")
GROUP = ("forces", "")
JITTER = 1e-10


def problem(seed: int = 0, n: int = 120, sizes: tuple[int, ...] = (9, 14)):
    rng = np.random.default_rng(seed)
    K_mm = []
    for m in sizes:
        X = rng.normal(size=(m, 6))
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        K_mm.append((X @ X.T) ** 2)
    K = rng.normal(size=(n, sum(sizes)))
    return K_mm, K, rng.normal(size=n), rng.uniform(0.1, 2.0, size=n)


def solve(name: str, K_mm, K, y, sigma, splits=(40, 41)) -> Solution:
    sums = TrainingSums(whiten(K_mm, JITTER), name)
    for rows in np.split(np.arange(len(y)), splits):
        sums.add(GROUP, K[rows], y[rows], sigma[rows])
    return sums.solve()
