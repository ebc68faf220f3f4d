"""Prior variances of terms whose energy is a sum of s g(q) over pairs or triplets.

g is a Gaussian process with a squared-exponential kernel, s a product of switches. In
units of the lengths of the kernel, z = q / theta, the derivatives s' g + s g'(z) z' of two
clusters have the covariance k (M_12 M_21 + w_1·w_2) with w = s z' and
M_12 = s_1' + w_1·(z_2 - z_1) = b_1 + w_1·z_2. Multiplied out, it is k times a sum of
products of a number of one cluster and a number of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from gapfit.data.frame import to_voigt
from gapfit.descriptors.kernels import ProductKernel
from gapfit.descriptors.protocol import PriorVariances
from gapfit.threads import blas_threads

__all__ = ["Clusters", "cluster_priors"]

# Rows and columns of the parts in which the kernel matrix is formed.
_SIDE = 512


@dataclass(frozen=True, eq=False)
class Clusters:
    """Pairs or triplets of one block: a central atom and m neighbours.

    Attributes
    ----------
    atoms : (n, 1 + m) int64
        The central atom and its neighbours.
    R : (n, m, 3) float64
        Vectors from the centre to the neighbours, Å.
    s, ds : (n,), (n, m, 3) float64
        Weight of g in the energy and its derivatives with R, 1/Å.
    q, dq : (n, d), (n, m, 3, d) float64
        Arguments of g, and their derivatives with R.
    """

    atoms: np.ndarray
    R: np.ndarray
    s: np.ndarray
    ds: np.ndarray
    q: np.ndarray
    dq: np.ndarray


def cluster_priors(
    clusters: Iterable[Clusters],
    kernel: ProductKernel,
    n_atoms: int,
    *,
    gradients: bool,
    side: int = _SIDE,
) -> PriorVariances:
    """Return the prior variances of one frame.

    Parameters
    ----------
    clusters : iterable of Clusters
        Clusters of each block; different blocks are independent.
    kernel : ProductKernel
        Kernel of g.
    n_atoms : int
        Number of atoms.
    gradients : bool
        Whether those of forces and virials are wanted.
    side : int
        Rows and columns of the parts in which the kernel matrix is formed, which bounds
        the memory.
    """
    energies, virials = np.zeros(1), np.zeros((int(gradients), 6))
    forces = np.zeros((n_atoms if gradients else 0, 3))
    for block in clusters:
        if len(block.s) == 0:
            continue
        with blas_threads():
            a, w = _frame_slopes(block, gradients=gradients)
            variances = _variances(kernel, block.q, a, w, side)
            energies += variances[0]
            if not gradients:
                continue
            virials += variances[1:]
            for atom, members, moves in _clusters_by_atom(block.atoms):
                a = np.einsum("nm,nmx->nx", moves, block.ds[members])
                dq = np.einsum("nm,nmxd->nxd", moves, block.dq[members])
                w = block.s[members, None, None] * dq
                forces[atom] += _variances(kernel, block.q[members], a, w, side)
    # Where symmetry makes a variance zero, rounding may make it negative.
    return PriorVariances(energies, np.maximum(forces, 0.0), np.maximum(virials, 0.0))


def _frame_slopes(
    clusters: Clusters, *, gradients: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a and w of `_variances` for the energy and, if wanted, the six virials."""
    a, w = clusters.s[:, None], np.zeros((len(clusters.s), 1, clusters.q.shape[1]))
    if not gradients:
        return a, w
    # Derivatives by strain: R ⊗ d/dR, summed over the neighbours.
    ds = to_voigt(np.einsum("nmx,nmy->nxy", clusters.R, clusters.ds))
    dq = to_voigt(np.einsum("nmx,nmyd->ndxy", clusters.R, clusters.dq))
    by_strain = clusters.s[:, None, None] * dq.transpose(0, 2, 1)
    return np.hstack([a, ds]), np.hstack([w, by_strain])


def _clusters_by_atom(
    atoms: np.ndarray,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each atom, its clusters and the derivatives of their vectors.

    Clusters (n,) int64; derivatives -1, 0 or 1 with the position of the atom, (n, m)
    float64.
    """
    items = np.arange(len(atoms))[:, None]
    keys = np.unique(atoms * len(atoms) + items)
    atom_of, cluster = np.divmod(keys, len(atoms))
    atoms_touched, begin = np.unique(atom_of, return_index=True)
    for atom, members in zip(atoms_touched, np.split(cluster, begin[1:]), strict=True):
        itself = (atoms[members] == atom).astype(float)
        yield int(atom), members, itself[:, 1:] - itself[:, :1]


def _variances(
    kernel: ProductKernel, q: np.ndarray, a: np.ndarray, w: np.ndarray, side: int
) -> np.ndarray:
    """Return the variances of Σ_n a_n g(q_n) + w_n·g'(q_n).

    Parameters
    ----------
    kernel : ProductKernel
        Kernel of g.
    q : (n, d) float64
        Arguments.
    a, w : (n, m), (n, m, d) float64
        Weights of m sums.
    side : int
        As for `cluster_priors`.

    Returns
    -------
    (m,) float64
        Variance of each sum.
    """
    # The sums of products below lose the fewest digits with z near 0.
    z, w = (q - q.mean(axis=0)) / kernel.theta, w / kernel.theta
    b = (a - np.einsum("nmd,nd->nm", w, z))[..., None]
    bz, wz = b * z[:, None, :], w[..., :, None] * z[:, None, None, :]
    n, m, d = w.shape
    left = np.concatenate([b, bz, w, wz.reshape(n, m, d * d)], axis=2)
    turned = wz.swapaxes(2, 3).reshape(n, m, d * d)
    right = np.concatenate([b, w, bz + w, turned], axis=2).reshape(n, -1)
    # One matrix product for the exponent is several times faster than differences.
    half, ones = 0.5 * np.einsum("nd,nd->n", z, z), np.ones(n)
    outer, inner = np.column_stack([z, -half, ones]), np.column_stack([z, ones, -half])
    total = np.zeros(m)
    parts = [slice(start, start + side) for start in range(0, n, side)]
    for first, second in combinations_with_replacement(parts, 2):
        k = outer[first] @ inner[second].T
        np.exp(k, out=k)
        product = (k @ right[second]).reshape(-1, m, left.shape[2])
        part = np.einsum("nmc,nmc->m", left[first], product)
        # The covariance is symmetric.
        total += part if first == second else 2 * part
    return kernel.delta**2 * total
