"""Variances of local energies as QUIP defines them, for models read from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.errors import GapfitError
from gapfit.frame import structure_arrays
from gapfit.model import GAPModel
from gapfit.neighbours import Pairs, pair_list
from gapfit.terms import FittedTerm

__all__ = ["local_variances"]

# Environments whose kernels are held together.
_TOGETHER = 4096


def local_variances(
    model: GAPModel, atoms: Any, *, regularisation: float = 1e-3
) -> np.ndarray:
    """Return QUIP's ``local_gap_variance``: what the sparse points leave open.

    Each instance of a descriptor with the kernel k to the sparse points has the variance
    v = k(x, x) + ρ² - k^T (K_MM + ρ²)^-1 k. Instances count as independent: v times the
    square of their cutoff function adds to the atoms that share their energy. Data and
    their noise have no part in it, nor do coefficients: it tells environments far from
    all sparse points, and its size is that of the prior.

    Parameters
    ----------
    model : GAPModel
        From `gapfit.quip.load`.
    atoms : ase.Atoms
        Structure.
    regularisation : float
        ρ, eV: QUIP's ``gap_variance_regularisation``.

    Returns
    -------
    (n_atoms,) float64
        eV².

    Raises
    ------
    GapfitError
        The model was not read from QUIP, or `regularisation` is not positive.
    StructureError
        See `GAPModel.predict`.
    """
    if "quip" not in model.info:
        raise GapfitError(
            "the model was not read from QUIP; `predict(std=...)` gives its uncertainty"
        )
    if not 0 < regularisation < np.inf:
        raise GapfitError(
            f"regularisation = {regularisation:g} eV: give a positive number"
        )
    frame = structure_arrays(atoms)
    pairs = pair_list(frame, model.cutoff)
    found = np.zeros(frame.n_atoms)
    for n, term in enumerate(model.terms):
        near = pairs.within(term.descriptor.cutoff)
        for block, owners, weights, x in _instances(term, near):
            if not len(term.sparse[block]):
                continue
            cutoffs = np.array(
                model.info["quip"]["sparse_cutoffs"][n].get(str(block), 1.0)
            )
            for at in range(0, len(x), _TOGETHER):
                part = slice(at, at + _TOGETHER)
                v = _open(term, block, x[part], cutoffs, regularisation**2)
                share = (weights[part] * v)[:, None]
                np.add.at(found, owners[part], share / owners.shape[1])
    return found


_Instances = tuple[int, np.ndarray, np.ndarray, np.ndarray]


def _instances(term: FittedTerm, pairs: Pairs) -> Iterator[_Instances]:
    """Yield block, atoms that share them, weights and values of QUIP's instances."""
    descriptor = term.descriptor
    if isinstance(descriptor, Distance2b):
        for block, some, r in descriptor.by_block(pairs):
            # Each pair comes twice, and QUIP has two instances of it.
            owners = np.stack([pairs.i[some], pairs.j[some]], axis=1)
            yield block, owners, descriptor.switch(r)[0] ** 2, r[:, None]
    elif isinstance(descriptor, Angle3b):
        for block, atoms, s, x in descriptor.instances(pairs):
            if descriptor.permuted:
                yield block, atoms, s**2, x
            else:
                yield block, atoms[:, :1], 2 * s**2, x
    else:
        for block, found in descriptor.environments(pairs).items():
            yield block, found.atoms[:, None], np.ones(len(found.atoms)), found.values


def _open(
    term: FittedTerm, block: int, x: np.ndarray, cutoffs: np.ndarray, added: float
) -> np.ndarray:
    """Return the variances of instances, without their cutoff functions, eV²."""
    kernel, points = term.descriptor.kernel, term.sparse[block]
    # Pairs and triplets have twice QUIP's delta; see gapfit.quip.descriptors.
    scale = _quip_scale(term)
    ones = np.ones(len(points)) * cutoffs
    K = scale * kernel(points, points) * np.outer(ones, ones)
    K[np.diag_indices_from(K)] += added
    k = scale * kernel(x, points) * ones
    prior = scale * term.config.delta**2 * np.ones(len(x))
    return prior + added - np.einsum("xm,mx->x", k, np.linalg.solve(K, k.T))


def _quip_scale(term: FittedTerm) -> float:
    descriptor = term.descriptor
    twice = isinstance(descriptor, Distance2b) or (
        isinstance(descriptor, Angle3b) and not descriptor.permuted
    )
    return 0.25 if twice else 1.0
