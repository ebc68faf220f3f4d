"""Variances of local energies as QUIP defines them, for models read from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import Pairs, pair_list
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm

__all__ = ["local_variances"]

# Environments whose kernels are in memory together.
_TOGETHER = 4096


@overload
def local_variances(
    model: GAPModel, atoms: list[Any] | tuple[Any, ...], *, regularisation: float = ...
) -> list[np.ndarray]: ...


@overload
def local_variances(
    model: GAPModel, atoms: Any, *, regularisation: float = ...
) -> np.ndarray: ...


def local_variances(
    model: GAPModel, atoms: Any, *, regularisation: float = 1e-3
) -> np.ndarray | list[np.ndarray]:
    """Return QUIP's ``local_gap_variance``, the variance that sparse points do not explain.

    Each instance of a descriptor with the kernel k to the sparse points has the variance
    v = k(x, x) + ρ² - k^T (K_MM + ρ²)^-1 k. Instances count as independent: v times the
    square of their cutoff function is added to the atoms that share their energy. The
    variance does not depend on data, their noise or coefficients: it detects environments
    far from all sparse points, and its scale is that of the prior.

    Parameters
    ----------
    model : GAPModel
        A model from `gapfit.quip.load`.
    atoms : ase.Atoms or list of ase.Atoms
        Structures; kernel matrices are factorised once for a list.
    regularisation : float
        ρ, eV: QUIP's ``gap_variance_regularisation``.

    Returns
    -------
    (n_atoms,) float64, or a list of them
        Variances, eV².

    Raises
    ------
    GapfitError
        The model was not read from QUIP, or `regularisation` is not positive.
    StructureError
        See `GAPModel.predict`.
    """
    if model.record.quip is None:
        raise GapfitError(
            "the model was not read from QUIP; `predict(std=...)` gives its uncertainty"
        )
    if not 0 < regularisation < np.inf:
        raise GapfitError(
            f"regularisation = {regularisation:g} eV: give a positive number"
        )
    origin = model.record.quip
    counts = [
        _counts(term, once)
        for term, once in zip(model.terms, origin.counted_once, strict=True)
    ]
    sparse = [
        {
            block: _Sparse(
                term, block, cutoffs.get(str(block), 1.0), regularisation**2, n
            )
            for block, points in term.sparse.items()
            if len(points)
        }
        for term, cutoffs, n in zip(
            model.terms, origin.sparse_cutoffs, counts, strict=True
        )
    ]
    if isinstance(atoms, list | tuple):
        return [_of_structure(model, structure, sparse) for structure in atoms]
    return _of_structure(model, atoms, sparse)


def _counts(term: FittedTerm, once: bool) -> int:
    """Return how often QUIP counts each pair or triplet of a term."""
    descriptor = term.descriptor
    twice = isinstance(descriptor, Distance2b) or (
        isinstance(descriptor, Angle3b) and not descriptor.permuted
    )
    return 2 if twice and not once else 1


def _of_structure(
    model: GAPModel, atoms: Any, sparse: Sequence[Mapping[int, _Sparse]]
) -> np.ndarray:
    frame = structure_arrays(atoms)
    pairs = pair_list(frame, model.cutoff)
    variances = np.zeros(frame.n_atoms)
    for term, blocks in zip(model.terms, sparse, strict=True):
        near = pairs.within(term.descriptor.cutoff)
        for block, owners, weights, x in _instances(term, near):
            if block not in blocks:
                continue
            for at in range(0, len(x), _TOGETHER):
                part = slice(at, at + _TOGETHER)
                unexplained = blocks[block].unexplained(x[part])
                share = (blocks[block].counts * weights[part] * unexplained)[:, None]
                np.add.at(variances, owners[part], share / owners.shape[1])
    return variances


_Instances = tuple[int, np.ndarray, np.ndarray, np.ndarray]


def _instances(term: FittedTerm, pairs: Pairs) -> Iterator[_Instances]:
    """Yield block, atoms that share them, weights and values of QUIP's instances.

    The weights are for instances that QUIP counts once.
    """
    descriptor = term.descriptor
    if isinstance(descriptor, Distance2b):
        for block, which, r in descriptor.by_block(pairs):
            owners = np.stack([pairs.i[which], pairs.j[which]], axis=1)
            # Each pair is listed twice.
            yield block, owners, 0.5 * descriptor.switch(r)[0] ** 2, r[:, None]
    elif isinstance(descriptor, Angle3b):
        for block, atoms, s, x in descriptor.instances(pairs):
            if descriptor.permuted:
                yield block, atoms, s**2, x
            else:
                yield block, atoms[:, :1], s**2, x
    else:
        for block, environments in descriptor.environments(pairs).items():
            atoms = environments.atoms
            yield block, atoms[:, None], np.ones(len(atoms)), environments.values


class _Sparse:
    """Sparse points of a block in QUIP, with the Cholesky factor of their kernels."""

    def __init__(
        self,
        term: FittedTerm,
        block: int,
        cutoffs: float | list[float],
        added: float,
        counts: int,
    ) -> None:
        self.counts = counts
        # delta is that of QUIP times counts; see gapfit.quip.descriptors.
        self._scale = 1 / counts**2
        self._kernel, self._points = term.descriptor.kernel, term.sparse[block]
        self._cutoffs = np.broadcast_to(cutoffs, len(self._points))
        self._prior = self._scale * term.config.delta**2 + added
        K = self._scale * self._kernel(self._points, self._points)
        K *= np.outer(self._cutoffs, self._cutoffs)
        K[np.diag_indices_from(K)] += added
        self._factor = cho_factor(K, overwrite_a=True)

    def unexplained(self, x: np.ndarray) -> np.ndarray:
        """Return the variances of instances, without their cutoff functions, eV²."""
        k = self._scale * self._kernel(x, self._points) * self._cutoffs
        explained = np.einsum("xm,mx->x", k, cho_solve(self._factor, k.T))
        return np.asarray(self._prior - explained)
