"""What is kept of an unlabelled structure to judge what its labels would teach a model.

With the factors U of K_mm and R of I + Φ^T Φ, the row k of an observation becomes
ψ = k U^-1 R^-1. In these coordinates the posterior covariance of the coefficients is the
identity: |ψ|² is the variance of the observation in the subset of regressors
(Quiñonero-Candela & Rasmussen, JMLR 6, 1939 (2005)). Environments that the sparse points
do not describe have a further variance k(x, x) - |U^-T k_m|², which no row shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh, solve_triangular

from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.data.observations import KINDS
from gapfit.data.sigmas import frame_sigmas
from gapfit.descriptors.protocol import Descriptor
from gapfit.model.gap_model import GAPModel
from gapfit.model.rows import row_block

__all__ = [
    "Candidate",
    "Outside",
    "Rows",
    "Space",
    "candidates",
    "energy_variances",
    "spaces_of",
]

#: Rows of a structure; of more than these, so many combinations that vary most are kept.
MAX_ROWS = 32
#: Environments of a structure, and block, whose covariances with others are kept.
MAX_ENVIRONMENTS = 8
#: Environments of which less is left than this share of the noise are described.
LEAST = 0.1

_BATCH_ATOMS = 128
_FORCES = KINDS.index("forces")


@dataclass(frozen=True, eq=False)
class Space:
    """Environments of one block of a term, outside the span of its sparse points.

    Attributes
    ----------
    descriptor : Descriptor
        Evaluates the kernel.
    block : int
        Central species.
    points : (m, width) float64
        Sparse points.
    U : (m, m) float64
        Factor of their kernel matrix.
    length : float
        Displacement that changes the environment, Å; see `Descriptor.displacement`.
    noise : float
        Variance to which labels tell the energy of an environment, eV²: that of work done
        by a force, known to its sigma, over the length.
    """

    descriptor: Descriptor
    block: int
    points: np.ndarray
    U: np.ndarray
    length: float
    noise: float


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ψ of a structure, as E B with a few rows B.

    Attributes
    ----------
    basis : (r, n_sparse) float64
        B, in units of the sigma of each observation.
    labels : (k, r) float64
        What the labels would tell: their rows are ``labels @ basis``.
    forces : (n_atoms, 3, r) float64
        Rows of the forces, eV/Å. What B leaves out is taken to shrink as the rest.
    """

    basis: np.ndarray
    labels: np.ndarray
    forces: np.ndarray


@dataclass(frozen=True, eq=False)
class Outside:
    """Environments of a structure in one `Space`.

    Attributes
    ----------
    atoms : (n,) int64
        Which atoms of the structure carry them.
    left : (n,) float64
        Prior variance that the sparse points leave, eV².
    prior : (n,) float64
        Prior variance, eV².
    kept : (k,) int64
        Those, among the n, with the most left.
    values : (k, width) float64
        Their descriptors.
    W : (m, k) float64
        U^-T k_m, eV.
    """

    atoms: np.ndarray
    left: np.ndarray
    prior: np.ndarray
    kept: np.ndarray
    values: np.ndarray
    W: np.ndarray


@dataclass(frozen=True, eq=False)
class Candidate:
    """One structure of a pool.

    Attributes
    ----------
    index : int
        Its number among the frames.
    sigma_forces : (n_atoms,) float64
        Of the forces that labels would give, eV/Å.
    rows : Rows or None
        None where they are not asked for.
    outside : tuple of Outside
        One for each `Space`.
    """

    index: int
    sigma_forces: np.ndarray
    rows: Rows | None
    outside: tuple[Outside, ...]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.sigma_forces)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        arrays, more = [self.sigma_forces], 0
        if self.rows is not None:
            rows = self.rows
            arrays += [rows.basis, rows.labels, rows.forces]
            # Their covariance is held, too, while structures are chosen.
            more = rows.basis.itemsize * len(rows.basis) ** 2
        for own in self.outside:
            arrays += [own.atoms, own.left, own.prior, own.kept, own.values, own.W]
        return more + sum(array.nbytes for array in arrays)


def spaces_of(model: GAPModel) -> list[Space]:
    """Return the blocks of all terms of a model that are not complete grids.

    Raises
    ------
    GapfitError
        The model was saved without its posterior.
    """
    cholesky, first, spaces = model.require_posterior().whitening.cholesky, 0, []
    for term in model.terms:
        own = zip(term.sparse.items(), cholesky[first:], strict=False)
        first += len(term.sparse)
        if not term.descriptor.complete:
            length = term.descriptor.displacement
            noise = (length * model.config.sigma.forces) ** 2
            spaces += [
                Space(term.descriptor, block, points, U, length, noise)
                for (block, points), U in own
            ]
    return spaces


def candidates(
    model: GAPModel,
    frames: Sequence[Frame],
    indices: Sequence[int],
    spaces: Sequence[Space],
    *,
    rows: bool,
) -> Iterator[Candidate]:
    """Yield what is kept of some structures.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frames : sequence of Frame
        The pool; a few are read at a time.
    indices : sequence of int
        Which of them.
    spaces : sequence of Space
        From `spaces_of`.
    rows : bool
        Whether rows are computed, which takes most of the time.
    """
    sizes = frame_sizes(frames)[np.asarray(indices, dtype=np.int64)]
    for part in batches(sizes, _BATCH_ATOMS):
        some = [frames[n] for n in indices[part]]
        found = _rows(model, some) if rows else [None] * len(some)
        outside = _outside(some, spaces)
        sigmas = _sigmas(model, some)
        yield from map(Candidate, indices[part], sigmas, found, outside)


def _sigmas(model: GAPModel, frames: Sequence[Frame]) -> list[np.ndarray]:
    return [frame_sigmas(frame, model.config.sigma)[1][:, 0] for frame in frames]


def energy_variances(
    model: GAPModel, frames: Sequence[Frame], indices: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield the variance of each atom's energy in some structures, (n_atoms,) eV².

    Takes no derivatives, and so a small part of the time that rows take.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frames : sequence of Frame
        The pool; a few are read at a time.
    indices : sequence of int
        Which of them.
    """
    sizes = frame_sizes(frames)[np.asarray(indices, dtype=np.int64)]
    for part in batches(sizes, _BATCH_ATOMS):
        for found in model.predict(
            [frames[n] for n in indices[part]],
            forces=False,
            stress=False,
            std="energies",
        ):
            assert found.energies_std is not None
            yield found.energies_std**2


def _rows(model: GAPModel, frames: Sequence[Frame]) -> list[Rows | None]:
    """Return the rows of structures as if they were labelled like the training data."""
    posterior = model.require_posterior()
    fitted = {kind for kind, n in model.info["n_rows"].items() if n}
    labelled = [
        replace(
            frame,
            energy=0.0 if "energy" in fitted else None,
            forces=np.zeros((frame.n_atoms, 3)),
            virial=np.zeros(6) if "virial" in fitted and frame.pbc.all() else None,
        )
        for frame in frames
    ]
    block = row_block(labelled, model.terms, model.e0, model.config.sigma)
    psi = posterior.whitening.apply(block.K, overwrite=True).T
    psi = solve_triangular(
        posterior.R, psi, trans="T", check_finite=False, overwrite_b=True
    ).T
    psi /= block.sigma[:, None]
    out: list[Rows | None] = []
    for n in range(len(frames)):
        own = np.flatnonzero(block.frame == n)
        is_force = block.kind[own] == _FORCES
        known = np.full(len(own), True) if "forces" in fitted else ~is_force
        out.append(compressed(psi[own], block.sigma[own], is_force, known))
    return out


def compressed(
    psi: np.ndarray, sigma: np.ndarray, is_force: np.ndarray, known: np.ndarray
) -> Rows:
    """Return rows as few combinations of them.

    With the eigenvectors E of ψ ψ^T of the largest eigenvalues, ψ ≈ E (E^T ψ) is the best
    approximation of its rank.

    Parameters
    ----------
    psi : (n, n_sparse) float64
        In units of the sigmas.
    sigma : (n,) float64
        eV, eV/Å.
    is_force : (n,) bool
        Rows of forces, atom by atom.
    known : (n,) bool
        Rows of what the labels would hold.
    """
    n = len(psi)
    E, basis = np.eye(n), psi.copy()
    if n > MAX_ROWS:
        E = _leading(psi)
        basis = E.T @ psi
    forces = E[is_force] * sigma[is_force, None]
    before = _squares(psi[is_force]) * sigma[is_force] ** 2
    after = _squares(forces @ basis)
    by_atom = [x.reshape(-1, 3).sum(axis=1) for x in (before, after)]
    # Forces that vanish by symmetry leave a rounding error over another.
    scale = np.sqrt(by_atom[0] / np.maximum(by_atom[1], np.finfo(float).tiny))
    forces = forces.reshape(-1, 3, len(basis)) * np.minimum(scale, n)[:, None, None]
    labels = E[known]
    if len(labels) > len(basis):
        labels = np.linalg.qr(labels, mode="r")
    return Rows(basis, labels, forces)


def _leading(psi: np.ndarray) -> np.ndarray:
    """Return the left singular vectors of the `MAX_ROWS` largest singular values."""
    n, m = psi.shape
    if n <= m:
        return eigh(psi @ psi.T, subset_by_index=(n - MAX_ROWS, n - 1))[1]
    # Of large structures ψ^T ψ is far smaller than ψ ψ^T.
    values, V = eigh(psi.T @ psi, subset_by_index=(max(m - MAX_ROWS, 0), m - 1))
    known = values > m * np.finfo(float).eps * values[-1]
    return (psi @ V[:, known]) / np.sqrt(values[known])


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("nm,nm->n", rows, rows)


def _outside(
    frames: Sequence[Frame], spaces: Sequence[Space]
) -> list[tuple[Outside, ...]]:
    """Return the environments of each structure, in each space."""
    out: list[list[Outside]] = [[] for _ in frames]
    ends = np.cumsum([frame.n_atoms for frame in frames])
    found: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for space in spaces:
        key = id(space.descriptor)
        if key not in found:
            found[key] = _environments(space.descriptor, frames)
        atoms, values = found[key][space.block]
        frame_of = np.searchsorted(ends, atoms, "right")
        W, left, prior = residual(space, values)
        for n in range(len(frames)):
            own = np.flatnonzero(frame_of == n)
            first = int(ends[n]) - frames[n].n_atoms
            order = own[np.argsort(-left[own], kind="stable")[:MAX_ENVIRONMENTS]]
            order = order[left[order] > LEAST * space.noise]
            out[n].append(
                Outside(
                    atoms[own] - first,
                    left[own],
                    prior[own],
                    np.searchsorted(own, order),
                    values[order],
                    np.ascontiguousarray(W[:, order]),
                )
            )
    return [tuple(own) for own in out]


def _environments(
    descriptor: Descriptor, frames: Sequence[Frame]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    pairs: Pairs = pairs_of(frames, descriptor.cutoff)
    found = descriptor.environments(pairs)
    return {block: (own.atoms, own.values) for block, own in found.items()}


def residual(
    space: Space, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U^-T k_m (m, n), the prior variance it leaves and the latter, (n,), eV²."""
    k_m = space.descriptor.kernel(space.points, values)
    W = solve_triangular(space.U, k_m, trans="T", check_finite=False)
    prior = space.descriptor.variances(values)
    return W, np.maximum(prior - np.einsum("mn,mn->n", W, W), 0.0), prior
