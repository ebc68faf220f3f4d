"""Data of an unlabelled structure that determine how much its labels would inform a model.

With the factors U of K_mm and R of I + Φ^T Φ, the row k of an observation becomes
ψ = k U^-1 R^-1. In these coordinates the posterior covariance of the coefficients is the
identity: |ψ|² is the variance of the observation in the subset of regressors
(Quiñonero-Candela & Rasmussen, JMLR 6, 1939 (2005)). Environments that the sparse points
do not describe add a variance k(x, x) - |U^-T k_m|², which the rows do not contain.
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
from gapfit.data.observations import Quantity
from gapfit.data.sigmas import frame_sigmas
from gapfit.descriptors.protocol import Descriptor
from gapfit.model.gap_model import GAPModel
from gapfit.model.rows import row_block

__all__ = [
    "Candidate",
    "CandidateRows",
    "Outside",
    "Space",
    "candidates",
    "spaces_of",
]

#: Largest number of rows of a structure; of more, the combinations that vary most are kept.
MAX_ROWS = 32
#: Environments per structure and block whose covariances with others are kept.
MAX_ENVIRONMENTS = 8

# Atoms whose rows are computed together.
_BATCH_ATOMS = 128


@dataclass(frozen=True, eq=False)
class Space:
    """Environments of one block of a term, outside the span of its sparse points.

    Attributes
    ----------
    descriptor : Descriptor
        Descriptor with the kernel.
    block : int
        Central species.
    points : (m, width) float64
        Sparse points.
    U : (m, m) float64
        Cholesky factor of their kernel matrix, eV.
    length : float
        Displacement that changes the environment, Å; see `Descriptor.displacement`.
    noise : float
        Variance of the energy of an environment given its labels, eV²: (sigma of a force
        times the length)².
    negligible : float
        Environments with a smaller unexplained variance, as a share of the noise, count as
        described by the sparse points.
    """

    descriptor: Descriptor
    block: int
    points: np.ndarray
    U: np.ndarray
    length: float
    noise: float
    negligible: float = 0.1


@dataclass(frozen=True, eq=False)
class CandidateRows:
    """Rows ψ of a structure as a product E B with few rows B.

    Attributes
    ----------
    basis : (r, n_sparse) float64
        B, in units of the sigma of each observation.
    labels : (k, r) float64
        Coefficients of the rows of the labels, which are ``labels @ basis``.
    forces : (n_atoms, 3, r) float64
        Coefficients of the rows of the forces, eV/Å, scaled so that the variance that B
        neglects shrinks with the remainder.
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
        Their central atoms in the structure.
    unexplained : (n,) float64
        Prior variance that the sparse points do not explain, eV².
    prior : (n,) float64
        Prior variance, eV².
    kept : (k,) int64
        Environments, among the n, with the largest unexplained variance.
    values : (k, width) float64
        Descriptors of these.
    W : (m, k) float64
        U^-T k_m of these, eV.
    """

    atoms: np.ndarray
    unexplained: np.ndarray
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
        Sigma of force labels, eV/Å.
    rows : CandidateRows or None
        Rows of its observations; None if they are not computed.
    outside : tuple of Outside
        Environments in each `Space`.
    """

    index: int
    sigma_forces: np.ndarray
    rows: CandidateRows | None
    outside: tuple[Outside, ...]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.sigma_forces)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, bytes."""
        arrays, n_covariance = [self.sigma_forces], 0
        if self.rows is not None:
            rows = self.rows
            arrays += [rows.basis, rows.labels, rows.forces]
            # Their covariance is in memory, too, while structures are chosen.
            n_covariance = rows.basis.itemsize * len(rows.basis) ** 2
        for part in self.outside:
            arrays += [part.atoms, part.unexplained, part.prior]
            arrays += [part.kept, part.values, part.W]
        return n_covariance + sum(array.nbytes for array in arrays)


def spaces_of(model: GAPModel) -> list[Space]:
    """Return the blocks of all terms of a model that are not complete grids.

    Raises
    ------
    GapfitError
        The model was saved without its posterior.
    """
    cholesky, first, spaces = model.require_posterior().whitening.cholesky, 0, []
    for term in model.terms:
        blocks = zip(term.sparse.items(), cholesky[first:], strict=False)
        first += len(term.sparse)
        if not term.descriptor.complete:
            length = term.descriptor.displacement
            noise = (length * model.config.sigma.forces) ** 2
            spaces += [
                Space(term.descriptor, block, points, U, length, noise)
                for (block, points), U in blocks
            ]
    return spaces


def candidates(
    model: GAPModel,
    frames: Sequence[Frame],
    indices: Sequence[int],
    spaces: Sequence[Space],
    *,
    rows: bool,
    max_rows: int = MAX_ROWS,
    batch_atoms: int = _BATCH_ATOMS,
) -> Iterator[Candidate]:
    """Yield the candidates of structures.

    Parameters
    ----------
    model : GAPModel
        A model with its posterior.
    frames : sequence of Frame
        The pool; few frames are in memory at a time.
    indices : sequence of int
        Numbers of the structures among the frames.
    spaces : sequence of Space
        From `spaces_of`.
    rows : bool
        Whether rows are computed, which takes most of the time.
    max_rows : int
        Combinations of rows kept of a structure.
    batch_atoms : int
        Atoms whose rows are computed together; at least one structure.
    """
    sizes = frame_sizes(frames)[np.asarray(indices, dtype=np.int64)]
    for part in batches(sizes, batch_atoms):
        batch = [frames[n] for n in indices[part]]
        rows_of = _rows(model, batch, max_rows) if rows else [None] * len(batch)
        outside = _outside(batch, spaces)
        sigmas = _sigmas(model, batch)
        yield from map(Candidate, indices[part], sigmas, rows_of, outside)


def _sigmas(model: GAPModel, frames: Sequence[Frame]) -> list[np.ndarray]:
    return [frame_sigmas(frame, model.config.sigma)[1][:, 0] for frame in frames]


def _rows(
    model: GAPModel, frames: Sequence[Frame], max_rows: int
) -> list[CandidateRows | None]:
    """Return the rows of structures as if they were labelled like the training data."""
    posterior = model.require_posterior()
    fitted = {q for q in Quantity if model.record.n_rows.get(q)}
    labelled = [
        replace(
            frame,
            energy=0.0 if Quantity.ENERGY in fitted else None,
            forces=np.zeros((frame.n_atoms, 3)),
            virial=np.zeros(6)
            if Quantity.VIRIAL in fitted and frame.pbc.all()
            else None,
        )
        for frame in frames
    ]
    block = row_block(labelled, model.terms, model.e0, model.config.sigma)
    psi = posterior.whitening.apply(block.K, overwrite=True).T
    psi = solve_triangular(
        posterior.R, psi, trans="T", check_finite=False, overwrite_b=True
    ).T
    psi /= block.sigma[:, None]
    out: list[CandidateRows | None] = []
    for n in range(len(frames)):
        rows = np.flatnonzero(block.frame == n)
        is_force = block.kind[rows] == Quantity.FORCES.position
        is_label = np.full(len(rows), True) if Quantity.FORCES in fitted else ~is_force
        out.append(
            compressed(psi[rows], block.sigma[rows], is_force, is_label, max_rows)
        )
    return out


def compressed(
    psi: np.ndarray,
    sigma: np.ndarray,
    is_force: np.ndarray,
    is_label: np.ndarray,
    max_rows: int = MAX_ROWS,
) -> CandidateRows:
    """Return rows as combinations of a few.

    With the eigenvectors E of ψ ψ^T of the largest eigenvalues, ψ ≈ E (E^T ψ) is the best
    approximation of its rank.

    Parameters
    ----------
    psi : (n, n_sparse) float64
        Rows in units of the sigmas.
    sigma : (n,) float64
        Sigmas, eV or eV/Å.
    is_force : (n,) bool
        Whether a row is that of a force; atom by atom.
    is_label : (n,) bool
        Whether a row is that of a label.
    max_rows : int
        Combinations to keep.
    """
    n = len(psi)
    E, basis = np.eye(n), psi.copy()
    if n > max_rows:
        E = _leading(psi, max_rows)
        basis = E.T @ psi
    forces = E[is_force] * sigma[is_force, None]
    before = _squares(psi[is_force]) * sigma[is_force] ** 2
    after = _squares(forces @ basis)
    by_atom = [x.reshape(-1, 3).sum(axis=1) for x in (before, after)]
    # For forces that vanish by symmetry both are rounding errors.
    scale = np.sqrt(by_atom[0] / np.maximum(by_atom[1], np.finfo(float).tiny))
    forces = forces.reshape(-1, 3, len(basis)) * np.minimum(scale, n)[:, None, None]
    labels = E[is_label]
    if len(labels) > len(basis):
        labels = np.linalg.qr(labels, mode="r")
    return CandidateRows(basis, labels, forces)


def _leading(psi: np.ndarray, k: int) -> np.ndarray:
    """Return the left singular vectors of the k largest singular values."""
    n, m = psi.shape
    if n <= m:
        return eigh(psi @ psi.T, subset_by_index=(n - k, n - 1))[1]
    # For large structures ψ^T ψ is much smaller than ψ ψ^T.
    values, V = eigh(psi.T @ psi, subset_by_index=(max(m - k, 0), m - 1))
    positive = values > m * np.finfo(float).eps * values[-1]
    return (psi @ V[:, positive]) / np.sqrt(values[positive])


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("nm,nm->n", rows, rows)


def _outside(
    frames: Sequence[Frame], spaces: Sequence[Space]
) -> list[tuple[Outside, ...]]:
    """Return the environments of each structure, in each space."""
    out: list[list[Outside]] = [[] for _ in frames]
    ends = np.cumsum([frame.n_atoms for frame in frames])
    environments: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for space in spaces:
        key = id(space.descriptor)
        if key not in environments:
            environments[key] = _environments(space.descriptor, frames)
        atoms, values = environments[key][space.block]
        frame_of = np.searchsorted(ends, atoms, "right")
        W, unexplained, prior = unexplained_variance(space, values)
        for n in range(len(frames)):
            inside = np.flatnonzero(frame_of == n)
            first = int(ends[n]) - frames[n].n_atoms
            order = np.argsort(-unexplained[inside], kind="stable")
            order = inside[order[:MAX_ENVIRONMENTS]]
            order = order[unexplained[order] > space.negligible * space.noise]
            out[n].append(
                Outside(
                    atoms[inside] - first,
                    unexplained[inside],
                    prior[inside],
                    np.searchsorted(inside, order),
                    values[order],
                    np.ascontiguousarray(W[:, order]),
                )
            )
    return [tuple(parts) for parts in out]


def _environments(
    descriptor: Descriptor, frames: Sequence[Frame]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    pairs: Pairs = pairs_of(frames, descriptor.cutoff)
    return {
        block: (environments.atoms, environments.values)
        for block, environments in descriptor.environments(pairs).items()
    }


def unexplained_variance(
    space: Space, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U^-T k_m, (m, n), eV, and unexplained and prior variances, (n,), eV²."""
    k_m = space.descriptor.kernel(space.points, values)
    W = solve_triangular(space.U, k_m, trans="T", check_finite=False)
    prior = space.descriptor.variances(values)
    return W, np.maximum(prior - np.einsum("mn,mn->n", W, W), 0.0), prior
