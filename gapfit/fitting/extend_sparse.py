"""More sparse points for a model of whose data only the sums are left.

With W = U^-T K_mn, the factor of K_mm and of the new points n is [[U, W], [0, C]],
C^T C = K_nn - W^T W: whitened rows keep their columns and get new ones,
(k_n - φ_m W) C^-1. For the earlier data these are unknown and set to zero,
k_n = k_m K_mm^-1 K_mn: exact for environments that the old points describe entirely;
where the variance s is unexplained, new columns of a local energy would have a norm of at
most √s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag, cholesky, solve_triangular

from gapfit.descriptors.protocol import Sparse
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.gap_model import GAPModel

__all__ = ["extended"]


def extended(model: GAPModel, points: Mapping[int, Sparse]) -> GAPModel:
    """Return a model with more sparse points that no row of its sums depends on.

    Parameters
    ----------
    model : GAPModel
        With `GAPModel.training_sums`; the coefficients are not those of the result.
    points : mapping of int to dict of int to (n, width) float64
        New sparse points by number of the term and block; each must differ from all
        others, or the factor does not exist.
    """
    assert model.training_sums is not None
    whitening = model.training_sums.whitening
    terms, blocks = [], []
    factors = iter(zip(whitening.cholesky, whitening.jitter, strict=True))
    for n, term in enumerate(model.terms):
        sparse = {}
        for block, old in term.sparse.items():
            new = points.get(n, {}).get(block, old[:0])
            U, jitter = next(factors)
            if len(new):
                kernel = term.descriptor.kernel
                blocks.append(_extended(U, kernel(old, new), kernel(new, new), jitter))
            else:
                blocks.append(_Block(U, np.eye(len(U))))
            sparse[block] = np.concatenate([old, new])
        terms.append(replace(term, sparse=sparse))
    larger = Whitening(tuple(block.U for block in blocks), whitening.jitter)
    sums = _widened(model.training_sums, larger, blocks)
    return replace(model, terms=tuple(terms), training_sums=sums)


@dataclass(frozen=True, eq=False)
class _Block:
    """One block of K_mm: its factor, and weights that give all columns from old ones."""

    U: np.ndarray
    weights: np.ndarray


def _extended(
    U: np.ndarray, K_mn: np.ndarray, K_nn: np.ndarray, jitter: float
) -> _Block:
    W = solve_triangular(U, K_mn, trans="T", check_finite=False)
    unexplained = K_nn - W.T @ W
    unexplained[np.diag_indices_from(unexplained)] += jitter * float(
        np.mean(np.diag(K_nn))
    )
    C = cholesky(unexplained, check_finite=False)
    weights = solve_triangular(U, W, check_finite=False)
    return _Block(
        np.block([[U, W], [np.zeros_like(W.T), C]]),
        np.hstack([np.eye(len(U)), weights]),
    )


def _widened(
    sums: TrainingSums, whitening: Whitening, blocks: list[_Block]
) -> TrainingSums:
    """Return sums with columns for new points."""
    sums.close()
    out = TrainingSums(whitening, sums.method)
    if sums.method == "qr":
        weights = block_diag(*(block.weights for block in blocks))
        out.groups = {g: part.widened(weights) for g, part in sums.groups.items()}
        return out
    old = [np.arange(b.weights.shape[1]) < len(b.weights) for b in blocks]
    columns = np.flatnonzero(np.concatenate(old))
    n_sparse = whitening.n_sparse
    out.groups = {
        group: part.widened(columns, n_sparse) for group, part in sums.groups.items()
    }
    return out
