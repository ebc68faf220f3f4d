"""Prior variances of terms whose energy is a sum of s g(q) over pairs or triplets.

g is a Gaussian process with a squared-exponential kernel, s a product of switches. In
units of the lengths of the kernel, z = q / theta, the derivatives s' g + s g'(z) z' of two
clusters have the covariance k (M_12 M_21 + w_1·w_2) with w = s z' and
M_12 = s_1' + w_1·(z_2 - z_1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gapfit.descriptors import PriorVariances
from gapfit.frame import to_voigt
from gapfit.kernels import ProductExponential

__all__ = ["Clusters", "cluster_priors"]

#: Elements of the kernel matrix formed together.
_ELEMENTS = 2**18


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
        What g is a function of, and its derivatives with R.
    """

    atoms: np.ndarray
    R: np.ndarray
    s: np.ndarray
    ds: np.ndarray
    q: np.ndarray
    dq: np.ndarray


def cluster_priors(
    clusters: Iterable[Clusters],
    kernel: ProductExponential,
    n_atoms: int,
    *,
    gradients: bool,
) -> PriorVariances:
    """Return the prior variances of one frame.

    Parameters
    ----------
    clusters : iterable of Clusters
        One for each block: those of different blocks are independent.
    kernel : ProductExponential
        Of g.
    n_atoms : int
        Number of atoms.
    gradients : bool
        Whether those of forces and virials are wanted.
    """
    energies = np.zeros(1)
    forces = np.zeros((n_atoms if gradients else 0, 3))
    virials = np.zeros((int(gradients), 6))
    for own in clusters:
        none = np.zeros((len(own.s), 1, own.q.shape[1]))
        energies += _variances(kernel, own.q, own.s[:, None], none)
        if not gradients:
            continue
        # Derivatives by strain, axes last: R ⊗ d/dR, summed over the neighbours.
        ds = to_voigt(np.einsum("nmx,nmy->nxy", own.R, own.ds))
        dq = to_voigt(np.einsum("nmx,nmyd->ndxy", own.R, own.dq))
        w = own.s[:, None, None] * dq.transpose(0, 2, 1)
        virials += _variances(kernel, own.q, ds, w)
        for atom, some, moves in _touched(own.atoms):
            ds = np.einsum("nm,nmx->nx", moves, own.ds[some])
            dq = np.einsum("nm,nmxd->nxd", moves, own.dq[some])
            w = own.s[some, None, None] * dq
            forces[atom] += _variances(kernel, own.q[some], ds, w)
    # Rounding may leave less than nothing where symmetry leaves nothing.
    return PriorVariances(energies, np.maximum(forces, 0.0), np.maximum(virials, 0.0))


def _touched(atoms: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each atom, clusters it belongs to, and how it moves their vectors.

    Clusters (n,) int64; by -1, 0 or 1 times the motion of the atom, (n, m) float64.
    """
    items = np.arange(len(atoms))[:, None]
    keys = np.unique(atoms * len(atoms) + items)
    atom_of, cluster = np.divmod(keys, max(len(atoms), 1))
    found, begin = np.unique(atom_of, return_index=True)
    for atom, some in zip(found, np.split(cluster, begin[1:]), strict=True):
        itself = (atoms[some] == atom).astype(float)
        yield int(atom), some, itself[:, 1:] - itself[:, :1]


def _variances(
    kernel: ProductExponential, q: np.ndarray, a: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Return the variances of Σ_n a_n g(q_n) + w_n·g'(z_n), z = q / theta.

    Parameters
    ----------
    kernel : ProductExponential
        Of g.
    q : (n, d) float64
        Arguments.
    a, w : (n, m), (n, m, d) float64
        For m sums.

    Returns
    -------
    (m,) float64
    """
    total = np.zeros(a.shape[1])
    if len(q) == 0:
        return total
    z = q / np.array(kernel.theta)
    own = a - np.einsum("nmd,nd->nm", w, z)
    step = max(1, _ELEMENTS // len(q))
    for start in range(0, len(q), step):
        # The matrix is symmetric: what is right of these rows and columns counts twice.
        rows, columns = slice(start, start + step), slice(start, None)
        k = kernel.matrix(q[rows], q[columns])
        k[:, step:] *= 2
        for x in range(len(total)):
            here, there = w[rows, x], w[columns, x]
            M = own[rows, None, x] + here @ z[columns].T
            M *= own[None, columns, x] + z[rows] @ there.T
            M += here @ there.T
            total[x] += np.vdot(k, M)
    return total
