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
    "AtomVariances",
    "RowVariances",
    "atom_variances",
    "row_variances",
]


# Pairs whose local energies are handled together.
_CHUNK_PAIRS = 20_000
# Rows that are whitened together.
_CHUNK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class AtomVariances:
    """Variances of the energies of single atoms (DTC).

    Attributes
    ----------
    energies : (n_centres,) float64
        Without noise, eV².
    unexplained : (n_centres,) float64
        Share of the prior variance that the sparse points do not explain, 0..1.
    negative : (n_centres,) bool
        See `gapfit.gp.posterior.unexplained`.
    """

    energies: np.ndarray
    unexplained: np.ndarray
    negative: np.ndarray


def atom_variances(
    terms: Sequence[FittedTerm],
    posterior: Posterior,
    pairs: Pairs,
    *,
    chunk_pairs: int = _CHUNK_PAIRS,
) -> AtomVariances:
    """Return the variances of all local energies of a pair list.

    Parameters
    ----------
    terms, posterior, pairs
        As for `row_variances`.
    chunk_pairs : int
        Pairs handled together, which bounds the memory; at least those of one atom.
    """
    parts = [
        _atom_variances(terms, posterior, chunk) for chunk in pairs.chunks(chunk_pairs)
    ]
    names = ("energies", "unexplained", "negative")
    return AtomVariances(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def _atom_variances(
    terms: Sequence[FittedTerm], posterior: Posterior, pairs: Pairs
) -> AtomVariances:
    parts = [
        term.descriptor.covariances(pairs.within(term.descriptor.cutoff), term.sparse)
        for term in terms
    ]
    k_m = np.concatenate([part for part, _ in parts], axis=1)
    prior = np.sum([part for _, part in parts], axis=0)
    with blas_threads():
        explained, uncertain = posterior.shares(k_m)
    variance, negative = unexplained(prior, explained)
    share = np.divide(variance, prior, out=np.zeros(len(prior)), where=prior > 0)
    return AtomVariances(variance + uncertain, share, negative)


@dataclass(frozen=True, eq=False)
class RowVariances:
    """Variances of the function, without noise.

    Attributes
    ----------
    energies : (n_frames,) float64
        Those of total energies, eV².
    forces : (n_atoms, 3) float64
        Those of force components, (eV/Å)²; empty without gradients.
    virials : (n_frames, 6) float64
        Those of virials (-stress × volume), Voigt order, eV²; empty without gradients.
    n_negative : (n_frames,) int64
        See `gapfit.gp.posterior.unexplained`.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    n_negative: np.ndarray


def row_variances(
    terms: Sequence[FittedTerm],
    posterior: Posterior,
    pairs: Pairs,
    *,
    gradients: bool,
    form: Form = "sor",
    chunk_rows: int = _CHUNK_ROWS,
) -> RowVariances:
    """Return the variances of all observations of a pair list.

    Parameters
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    posterior : Posterior
        That of the fit.
    pairs : Pairs
        Neighbours of all atoms of some structures.
    gradients : bool
        Whether forces and virials are included.
    form : {"sor", "dtc"}
        Subset of regressors, or with the unexplained part added.
    chunk_rows : int
        Rows whitened together, which bounds the memory.
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
    frame_of_row = {
        "energies": np.arange(pairs.n_frames),
        "forces": np.repeat(pairs.frame, 3),
        "virials": np.repeat(np.arange(pairs.n_frames), 6),
    }
    for kind, frame in frame_of_row.items():
        parts = [getattr(term_rows, kind) for term_rows in rows]
        shape = parts[0].shape[:-1]
        if kind != "energies" and not gradients:
            variances[kind] = np.zeros((*shape[:-1], 0))
            continue
        n_rows = int(np.prod(shape))
        prior = None
        if priors is not None:
            prior = np.sum([getattr(part, kind).ravel() for part in priors], axis=0)
        K = [part.reshape(n_rows, -1) for part in parts]
        values, below = _variances(posterior, K, prior, chunk_rows)
        variances[kind] = values.reshape(shape)
        np.add.at(negative, frame, below)
    return RowVariances(
        variances["energies"], variances["forces"], variances["virials"], negative
    )


def _variances(
    posterior: Posterior,
    K: Sequence[np.ndarray],
    prior: np.ndarray | None,
    chunk_rows: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances of rows, and which priors were less than their explained part.

    Rows come by term; those of large structures are too many to be in memory twice.
    """
    n_rows = len(K[0])
    variance, below = np.empty(n_rows), np.zeros(n_rows, dtype=np.int64)
    with blas_threads():
        for first in range(0, n_rows, chunk_rows):
            rows = slice(first, first + chunk_rows)
            k_m = np.concatenate([part[rows] for part in K], axis=1)
            variance[rows], below[rows] = posterior.variance(
                k_m, None if prior is None else prior[rows]
            )
    return variance, below
