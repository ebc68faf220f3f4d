"""Variances of local energies within a prediction, from factors made once for a model.

The variance (DTC, see `gapfit.gp.posterior`) is prior - k^T Q k with
Q = U^-1 (I - B^-1) U^-T, U^T U = K_mm + jitter and B = R^T R. The local energy of an
atom covaries with few blocks of sparse points; for each species, Q restricted to those
is W W^T with W = U^-1 C upper triangular, C C^T = I - B^-1. So |W^T k|² is one
triangular product for a batch of atoms, with kernels that their energies need anyway.
All sparse points count, in the features that energies are made of: projections
that change no energy by more than 1e-6 eV were measured to change standard deviations by
less than 1e-3 of them; less accurate ones are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, qr, solve_triangular

from gapfit.data.neighbours import Pairs
from gapfit.descriptors.soap_engine import VarianceForm, VarianceRequest
from gapfit.errors import PosteriorError
from gapfit.gp.posterior import Posterior
from gapfit.gp.sound_posterior import MOST_EXCESS, inverse
from gapfit.gp.whitening import Whitening
from gapfit.model.terms import FittedTerm

__all__ = [
    "ExplainingFactor",
    "LocalVarianceForm",
    "explaining_factor",
    "form_nbytes",
    "keeps_variances",
]

# Where data say nothing, I - B^-1 is zero to within rounding, and no Cholesky factor is
# sure to exist. B^-1 less this share of it changes variances by no more than the share.
_SHARES = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
# Columns of W that are solved for together.
_TOGETHER = 1024
# Lossless projections within this tolerance keep variances, too, eV/atom.
_ACCURATE = 1e-6


def keeps_variances(energy_tolerance: float) -> bool:
    """Return whether lossless projections of this tolerance, eV/atom, keep variances."""
    return energy_tolerance <= _ACCURATE


def explaining_factor(
    whitening: Whitening, B_inverse: np.ndarray, blocks: Sequence[int]
) -> np.ndarray:
    """Return W of the columns of some blocks: |W^T k|² is the variance explained.

    Parameters
    ----------
    whitening : Whitening
        Cholesky factors U of K_mm + jitter.
    B_inverse : (n_sparse, n_sparse) float64
        From `gapfit.gp.sound_posterior.inverse`.
    blocks : sequence of int
        Places of the blocks that k is taken with, ascending.

    Returns
    -------
    (size, size) float64
        Upper triangular, in Fortran order, 1/eV.

    Raises
    ------
    PosteriorError
        The factors contradict each other.
    """
    columns, first = _columns(whitening, blocks), 0
    if len(columns) < len(B_inverse):
        B_inverse = B_inverse[np.ix_(columns, columns)]
    W = _upper_factor(B_inverse)
    for n in blocks:
        U = whitening.cholesky[n]
        for start in range(first, len(W), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            n_rows = min(part.stop - first, len(U))  # below there are zeros
            rows = slice(first, first + n_rows)
            W[rows, part] = solve_triangular(
                U[:n_rows, :n_rows], W[rows, part], check_finite=False
            )
        first += len(U)
    return W


def form_nbytes(n_sparse: int, felt: Sequence[int]) -> int:
    """Return the memory of a `LocalVarianceForm` while it is made, bytes.

    Parameters
    ----------
    n_sparse : int
        Sparse points of all terms.
    felt : sequence of int
        By species, how many of them its local energies covary with.
    """
    largest = max(felt, default=0)
    # B^-1 and its part, the factors of all species, and the one that is turned.
    part = largest if largest < n_sparse else 0
    squares = n_sparse**2 + part**2 + sum(n**2 for n in felt) + largest**2
    return 8 * squares


def _columns(whitening: Whitening, blocks: Iterable[int]) -> np.ndarray:
    spans = [np.r_[whitening.blocks[n]] for n in blocks]
    return np.concatenate([np.zeros(0, dtype=np.int64), *spans])


def _upper_factor(B_inverse: np.ndarray) -> np.ndarray:
    """Return C, upper triangular, with C C^T = I - B^-1, of which one triangle is read."""
    for share in _SHARES:
        # Rows and columns in reverse: what was above the diagonal is below.
        turned = np.empty(B_inverse.shape, order="F")
        np.multiply(B_inverse[::-1, ::-1], share - 1.0, out=turned)
        turned[np.diag_indices(len(turned))] += 1.0
        try:
            lower = cholesky(turned, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            continue
        return np.array(lower[::-1, ::-1], order="F")
    return _factor_of_positive_part(B_inverse)


def _factor_of_positive_part(B_inverse: np.ndarray) -> np.ndarray:
    """Return C as `_upper_factor`, for fewer data than sparse points.

    Directions without data have B^-1 = 1, up to the rounding of a B with very large
    elements: negative eigenvalues of I - B^-1 are set to zero.
    """
    values, vectors = eigh(B_inverse, lower=False, check_finite=False)
    if values[-1] > 1.0 + MOST_EXCESS:
        raise PosteriorError(
            "rounding has spoilt the posterior of this model, so it has no standard "
            f"deviations (I - B^-1 has the eigenvalue {1 - values[-1]:.1e}); fit it again "
            'with solver.method = "qr"'
        )
    half = np.sqrt(np.maximum(1.0 - values, 0.0))[:, None] * vectors.T
    (triangle,) = qr(half[:, ::-1], mode="r", check_finite=False)
    return np.array(triangle.T[::-1, ::-1], order="F")


class ExplainingFactor(NamedTuple):
    """What explains the local energies of one species.

    Attributes
    ----------
    columns : (size,) int64
        Sparse points that they covary with, among those of all terms.
    W : (size, size) float64
        See `explaining_factor`.
    """

    columns: np.ndarray
    W: np.ndarray


class LocalVarianceForm:
    """Factors by which a model predicts variances along with energies.

    Of the terms `with_variances` that with most sparse points does so in its batches;
    covariances with the points of other terms are computed before.

    Parameters
    ----------
    terms : sequence of FittedTerm
        Terms of the model.
    posterior : Posterior
        Its factors.
    energy_tolerance : float
        That of the lossless projections of the terms, eV/atom.
    prior_only : bool
        As if nothing had been observed: the variances are then the unexplained parts of
        the prior ones.

    Attributes
    ----------
    chosen : FittedTerm or None
        The term whose batches give the variances; None if there is no such term.
    others : list of FittedTerm
        All other terms.
    lossless : bool
        Whether kernels may be taken within the lossless projections.
    forms : list of VarianceForm
        By species.
    columns : list of (n,) int64
        By species, the columns of covariances with other terms that k begins and ends
        with.
    """

    def __init__(
        self,
        terms: Sequence[FittedTerm],
        posterior: Posterior,
        energy_tolerance: float,
        *,
        prior_only: bool = False,
    ) -> None:
        able = [term for term in terms if term.descriptor.with_variances]
        self.chosen = max(able, key=lambda term: term.n_sparse, default=None)
        self.others = [term for term in terms if term is not self.chosen]
        # The unexplained part of a variance is far smaller than a posterior variance.
        self.lossless = keeps_variances(energy_tolerance) and not prior_only
        self.forms: list[VarianceForm] = []
        self.columns: list[np.ndarray] = []
        self._blocks = [(term, block) for term in terms for block in term.sparse]
        self._posterior, self._prior_only = posterior, prior_only
        if self.chosen is not None:
            self._prepare(self.chosen)

    @cached_property
    def factors(self) -> list[ExplainingFactor]:
        """Factors by species.

        Raises
        ------
        PosteriorError
            Rounding has spoilt the posterior.
        """
        whitening, n = self._posterior.whitening, self._posterior.whitening.n_sparse
        B_inverse = np.zeros((n, n)) if self._prior_only else inverse(self._posterior.R)
        out = []
        for z in self._blocks[0][0].species:
            felt = [
                n
                for n, (term, block) in enumerate(self._blocks)
                if z in term.descriptor.carriers(block)
            ]
            W = explaining_factor(whitening, B_inverse, felt)
            out.append(ExplainingFactor(_columns(whitening, felt), W))
        return out

    def _prepare(self, chosen: FittedTerm) -> None:
        spans = self._posterior.whitening.blocks
        own = [
            span
            for span, (term, _) in zip(spans, self._blocks, strict=True)
            if term is chosen
        ]
        begin, end = own[0].start, own[-1].stop
        for z, (columns, W) in zip(chosen.species, self.factors, strict=True):
            before, behind = columns[columns < begin], columns[columns >= end]
            form = chosen.descriptor.variance_form(z, chosen.sparse, W, len(before))
            self.forms.append(form)
            # Covariances with the points of other terms have no columns in between.
            self.columns.append(np.concatenate([before, behind - (end - begin)]))

    def of(self, term: FittedTerm, pairs: Pairs) -> VarianceRequest | None:
        """Return the request to a term for variances; None if it is not the one chosen.

        Parameters
        ----------
        term : FittedTerm
            A term of the model.
        pairs : Pairs
            Neighbours of all atoms, within the longest cutoff of the terms.
        """
        if term is not self.chosen:
            return None
        n_columns = max(len(columns) for columns in self.columns)
        other = np.zeros((pairs.n_centres, n_columns))
        prior = np.zeros(pairs.n_centres)
        numbers = pairs.numbers[pairs.start : pairs.stop]
        if self.others:
            k, prior = self._other_covariances(pairs)
            for z, columns in zip(term.species, self.columns, strict=True):
                rows = np.flatnonzero(numbers == z)
                other[rows, : len(columns)] = k[rows[:, None], columns]
        return VarianceRequest(self.forms, other, prior, self.lossless)

    def prior(self, request: VarianceRequest, pairs: Pairs) -> np.ndarray:
        """Return the prior variance of each atom, eV²."""
        assert self.chosen is not None
        numbers = pairs.numbers[pairs.start : pairs.stop]
        by_species = np.array([form.kernel.delta**2 for form in request.forms])
        prior: np.ndarray = (
            request.prior + by_species[np.searchsorted(self.chosen.species, numbers)]
        )
        return prior

    def _other_covariances(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances with the points of the other terms, and their priors."""
        parts = [
            term.descriptor.covariances(
                pairs.within(term.descriptor.cutoff), term.sparse
            )
            for term in self.others
        ]
        k = np.concatenate([part for part, _ in parts], axis=1)
        return k, np.sum([prior for _, prior in parts], axis=0)
