"""Variances of energies, forces and virials from the kernel rows of structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.data.neighbours import Pairs
from gapfit.gp.posterior import Posterior, unexplained
from gapfit.model.prediction import Form
from gapfit.model.terms import FittedTerm
from gapfit.threads import blas_threads

__all__ = [
    "LocalVariances",
    "RowVariances",
    "local_variances",
    "row_variances",
    "rows_at_once",
]


# Pairs whose local energies are handled together.
_CHUNK_PAIRS = 20_000
# Rows that are whitened together.
_CHUNK = 2048
# Memory of the rows of structures that are handled together, bytes.
_ROW_BYTES = 64e6


@dataclass(frozen=True, eq=False)
class LocalVariances:
    """Variances of the energies of single atoms (DTC).

    Attributes
    ----------
    energies : (n_centres,) float64
        Without noise, eV².
    unexplained : (n_centres,) float64
        Share of the prior variance that the sparse points leave, 0..1.
    negative : (n_centres,) bool
        See `gapfit.gp.posterior.unexplained`.
    """

    energies: np.ndarray
    unexplained: np.ndarray
    negative: np.ndarray


def local_variances(
    terms: Sequence[FittedTerm], posterior: Posterior, pairs: Pairs
) -> LocalVariances:
    """Return the variances of all local energies of a pair list."""
    parts = [
        _local_variances(terms, posterior, chunk)
        for chunk in pairs.chunks(_CHUNK_PAIRS)
    ]
    names = ("energies", "unexplained", "negative")
    return LocalVariances(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def _local_variances(
    terms: Sequence[FittedTerm], posterior: Posterior, pairs: Pairs
) -> LocalVariances:
    parts = [
        term.descriptor.covariances(pairs.within(term.descriptor.cutoff), term.sparse)
        for term in terms
    ]
    k_m = np.concatenate([part for part, _ in parts], axis=1)
    prior = np.sum([part for _, part in parts], axis=0)
    with blas_threads():
        explained, uncertain = posterior.shares(k_m)
    left, negative = unexplained(prior, explained)
    share = np.divide(left, prior, out=np.zeros(len(prior)), where=prior > 0)
    return LocalVariances(left + uncertain, share, negative)


@dataclass(frozen=True, eq=False)
class RowVariances:
    """Variances of what the function says, without noise.

    Attributes
    ----------
    energies : (n_frames,) float64
        Of total energies, eV².
    forces : (n_atoms, 3) float64
        (eV/Å)²; empty without gradients.
    virials : (n_frames, 6) float64
        Of virials (-stress × volume), Voigt order, eV²; empty without gradients.
    n_negative : (n_frames,) int64
        See `gapfit.gp.posterior.unexplained`.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    n_negative: np.ndarray


def rows_at_once(n_sparse: int) -> int:
    """Return how many atoms' rows may be held together."""
    return max(int(_ROW_BYTES / (24 * n_sparse)), 1)


def row_variances(
    terms: Sequence[FittedTerm],
    posterior: Posterior,
    pairs: Pairs,
    *,
    gradients: bool,
    form: Form = "sor",
) -> RowVariances:
    """Return the variances of all observations of a pair list.

    Parameters
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    posterior : Posterior
        Of the fit.
    pairs : Pairs
        Neighbours of all atoms of some structures.
    gradients : bool
        Whether forces and virials are wanted, too.
    form : {"sor", "dtc"}
        Subset of regressors, or with what the sparse points cannot describe.
    """
    rows = [
        term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=gradients
        )
        for term in terms
    ]
    priors = None
    if form == "dtc":
        priors = [
            term.descriptor.prior_variances(
                pairs.within(term.descriptor.cutoff), gradients=gradients
            )
            for term in terms
        ]
    variances, negative = {}, np.zeros(pairs.n_frames, dtype=np.int64)
    owners = {
        "energies": np.arange(pairs.n_frames),
        "forces": np.repeat(pairs.frame, 3),
        "virials": np.repeat(np.arange(pairs.n_frames), 6),
    }
    for kind, owner in owners.items():
        parts = [getattr(own, kind) for own in rows]
        shape = parts[0].shape[:-1]
        if kind != "energies" and not gradients:
            variances[kind] = np.zeros((*shape[:-1], 0))
            continue
        n_rows = int(np.prod(shape))
        prior = None
        if priors is not None:
            prior = np.sum([getattr(own, kind).ravel() for own in priors], axis=0)
        K = [part.reshape(n_rows, -1) for part in parts]
        found, below = _variances(posterior, K, prior)
        variances[kind] = found.reshape(shape)
        np.add.at(negative, owner, below)
    return RowVariances(
        variances["energies"], variances["forces"], variances["virials"], negative
    )


def _variances(
    posterior: Posterior, K: Sequence[np.ndarray], prior: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances of rows, and which priors were less than what is explained.

    Rows come by term; of large structures they are too many to be held twice.
    """
    n_rows = len(K[0])
    variance, below = np.empty(n_rows), np.zeros(n_rows, dtype=np.int64)
    with blas_threads():
        for first in range(0, n_rows, _CHUNK):
            own = slice(first, first + _CHUNK)
            some = None if prior is None else prior[own]
            k_m = np.concatenate([part[own] for part in K], axis=1)
            variance[own], below[own] = posterior.variance(k_m, some)
    return variance, below
