"""Variances of local energies within a prediction, from factors made once for a model.

The variance (DTC, see `gapfit.posterior`) is prior - k^T Q k with
Q = U^-1 (I - B^-1) U^-T, U^T U = K_mm + jitter and B = R^T R. The local energy of an
atom covaries with few blocks of sparse points; for each species, Q restricted to those
is W W^T with W = U^-1 C upper triangular, C C^T = I - B^-1. So |W^T k|² is one
triangular product for a batch of atoms, with kernels that their energies need anyway.
All sparse points count in all features, whatever `gapfit.shortcuts` leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular

from gapfit.descriptors.engine import VarianceForm, VarianceRequest
from gapfit.descriptors.soap import Soap
from gapfit.errors import GapfitError
from gapfit.neighbours import Pairs
from gapfit.posterior import Posterior
from gapfit.solver import Whitening
from gapfit.terms import FittedTerm

__all__ = ["LocalVariance", "explaining_factor", "unexplained_part"]

# Added to I - B^-1, which rounding can leave without a Cholesky factor: so much of the
# prior variance may count as explained that is not.
_SHIFTS = (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10)


def unexplained_part(R: np.ndarray) -> np.ndarray:
    """Return B^-1 = R^-1 R^-T.

    Parameters
    ----------
    R : (n_sparse, n_sparse) float64
        Upper factor of B = I + Φ^T Φ.
    """
    upper, info = lapack.dpotri(R, lower=0)
    if info:
        raise GapfitError("the posterior of this model is singular; fit it again")
    return np.triu(upper) + np.triu(upper, 1).T


def explaining_factor(
    whitening: Whitening, B_inverse: np.ndarray, blocks: Sequence[int]
) -> np.ndarray:
    """Return W of the columns of some blocks: |W^T k|² is the variance explained.

    Parameters
    ----------
    whitening : Whitening
        Factors U of K_mm + jitter.
    B_inverse : (n_sparse, n_sparse) float64
        From `unexplained_part`.
    blocks : sequence of int
        Places of the blocks that k is taken with, in the order of k.

    Returns
    -------
    (size, size) float64
        Upper triangular, 1/eV.

    Raises
    ------
    GapfitError
        The factors contradict each other.
    """
    columns = _columns(whitening, blocks)
    explained = np.eye(len(columns)) - B_inverse[np.ix_(columns, columns)]
    W, first = _upper_factor(explained), 0
    for n in blocks:
        U = whitening.factors[n]
        rows = slice(first, first + len(U))
        W[rows, first:] = solve_triangular(U, W[rows, first:], check_finite=False)
        first = rows.stop
    return W


def _columns(whitening: Whitening, blocks: Iterable[int]) -> np.ndarray:
    spans = [np.r_[whitening.blocks[int(n)]] for n in blocks]
    return np.concatenate([np.zeros(0, dtype=np.int64), *spans])


def _upper_factor(A: np.ndarray) -> np.ndarray:
    """Return C, upper triangular, with C C^T = A."""
    turned = A[::-1, ::-1]
    for shift in _SHIFTS:
        try:
            factor = cholesky(
                turned + shift * np.eye(len(A)), overwrite_a=True, check_finite=False
            )
        except LinAlgError:
            continue
        return np.ascontiguousarray(factor.T[::-1, ::-1])
    raise GapfitError(
        "the posterior of this model contradicts itself (I - B^-1 is not positive); "
        "fit it again"
    )


class LocalVariance:
    """What a model needs to predict variances along with energies.

    The SOAP term with most sparse points does so in its batches; covariances with the
    points of other terms are computed before.

    Parameters
    ----------
    terms : sequence of FittedTerm
        Terms of the model.
    posterior : Posterior
        Its factors.
    """

    def __init__(self, terms: Sequence[FittedTerm], posterior: Posterior) -> None:
        soaps = [term for term in terms if isinstance(term.descriptor, Soap)]
        self._chosen = max(soaps, key=lambda term: term.n_sparse, default=None)
        self._others = [term for term in terms if term is not self._chosen]
        self._forms: list[VarianceForm] = []
        #: By species, the columns of covariances with other terms that k begins with.
        self._columns: list[np.ndarray] = []
        if self._chosen is not None:
            self._prepare(self._chosen, terms, posterior)

    def _prepare(
        self, chosen: FittedTerm, terms: Sequence[FittedTerm], posterior: Posterior
    ) -> None:
        soap, whitening = chosen.descriptor, posterior.whitening
        assert isinstance(soap, Soap)
        B_inverse = unexplained_part(posterior.R)
        own = [term is chosen for term in terms for _ in term.sparse]
        places = _columns(whitening, np.flatnonzero(~np.array(own)))
        for z in soap.species:
            felt = [
                z in term.descriptor.carriers(block)
                for term in terms
                for block in term.sparse
            ]
            first = [n for n, yes in enumerate(felt) if yes and not own[n]]
            last = [n for n, yes in enumerate(felt) if yes and own[n]]
            W = explaining_factor(whitening, B_inverse, first + last)
            self._forms.append(soap.variance_form(z, chosen.sparse, W))
            self._columns.append(np.searchsorted(places, _columns(whitening, first)))

    def of(self, term: FittedTerm, pairs: Pairs) -> VarianceRequest | None:
        """Return what a term is asked along with energies; None if it is not the one.

        Parameters
        ----------
        term : FittedTerm
            One of the model's.
        pairs : Pairs
            Neighbours of all atoms, within the longest cutoff of the terms.
        """
        if term is not self._chosen:
            return None
        n_columns = max(len(columns) for columns in self._columns)
        other = np.zeros((pairs.n_centres, n_columns))
        prior = np.zeros(pairs.n_centres)
        numbers = pairs.numbers[pairs.start : pairs.stop]
        if self._others:
            k, prior = self._other_covariances(pairs)
            for z, columns in zip(term.species, self._columns, strict=True):
                rows = np.flatnonzero(numbers == z)
                other[rows, : len(columns)] = k[rows[:, None], columns]
        return VarianceRequest(self._forms, other, prior)

    def _other_covariances(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances with the points of the other terms, and their priors."""
        parts = [
            term.descriptor.covariances(
                pairs.within(term.descriptor.cutoff), term.sparse
            )
            for term in self._others
        ]
        k = np.concatenate([part for part, _ in parts], axis=1)
        return k, np.sum([prior for _, prior in parts], axis=0)
