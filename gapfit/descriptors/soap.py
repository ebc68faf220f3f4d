"""SOAP with the dot-product kernel: one block of sparse points per central species."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from gapfit.descriptors import Environments, KernelRows, LocalPrediction, Sparse
from gapfit.descriptors.expansion import Expansion, SoapEngine
from gapfit.frame import VOIGT, to_voigt
from gapfit.kernels import DotProductKernel
from gapfit.neighbours import Pairs

__all__ = ["Soap"]

# Pairs handled at once: enough for GEMM at full rate, small enough for the caches.
_PAIRS_VALUES = 8192
_PAIRS_ROWS = 512


class Soap:
    """SOAP term of a potential; see `gapfit.descriptors.Descriptor`.

    Parameters
    ----------
    engine : SoapEngine
        Computes power spectra and their derivatives.
    kernel : DotProductKernel
        Kernel between normalised power spectra.
    species : tuple of int
        Atomic numbers, ascending: the blocks.
    """

    def __init__(
        self, engine: SoapEngine, kernel: DotProductKernel, species: tuple[int, ...]
    ) -> None:
        self.engine = engine
        self.dot_product = kernel
        self.species = species
        self.cutoff = engine.cutoff

    @property
    def blocks(self) -> tuple[int, ...]:
        """Atomic numbers of the central species."""
        return self.species

    @property
    def n_features(self) -> int:
        """Length of a power spectrum."""
        return len(self.engine.features)

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""
        return self.dot_product.matrix(left, right)

    def self_kernel(self, values: np.ndarray) -> np.ndarray:
        """Return the prior variance of each environment, eV², shape (n,)."""
        return self.dot_product.value(np.einsum("nf,nf->n", values, values))

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return the unit power spectra of all atoms by central species."""
        values = np.empty((pairs.n_centres, self.n_features))
        for chunk in pairs.chunks(_PAIRS_VALUES):
            own = slice(chunk.start - pairs.start, chunk.stop - pairs.start)
            values[own] = _normalise(self.engine.expand(chunk).p)[0]
        numbers = pairs.numbers[pairs.start : pairs.stop]
        return {
            z: Environments(
                pairs.start + np.flatnonzero(numbers == z), values[numbers == z]
            )
            for z in self.blocks
        }

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool
    ) -> KernelRows:
        """Return the rows of K_nm: energies, forces and virials of a pair list.

        With T = p̂·p̂_s and D = dp/dR_j, the row of a pair is
        dk/dR_j = k'(T)/|p| (D·p̂_s - (D·p̂) T): its negative is the force row of j,
        itself that of the centre, and -R ⊗ dk/dR_j adds to the virial row.
        """
        columns = _columns(sparse)
        n_sparse = sum(len(points) for points in sparse.values())
        rows = KernelRows(
            energies=np.zeros((pairs.n_frames, n_sparse)),
            forces=np.zeros((pairs.n_atoms, 3, n_sparse if gradients else 0)),
            virials=np.zeros((pairs.n_frames, 6, n_sparse if gradients else 0)),
        )
        for chunk in pairs.chunks(_PAIRS_VALUES):
            expansion = self.engine.expand(chunk)
            q, norm = _normalise(expansion.p)
            for z, points in sparse.items():
                centres = np.flatnonzero(chunk.numbers[chunk.start : chunk.stop] == z)
                if not len(centres) or not len(points):
                    continue
                dot = q[centres] @ points.T
                k, slope = self.dot_product.value_and_slope(dot)
                at = np.full(chunk.n_centres, -1)
                at[centres] = np.arange(len(centres))
                frames = chunk.frame[chunk.start + centres]
                rows.energies[:, columns[z]] += _summed(frames, pairs.n_frames) @ k
                if not gradients:
                    continue
                slope /= norm[centres, None]
                for some, species in _pair_groups(chunk, expansion, at):
                    c = at[chunk.i[some] - chunk.start]
                    dk = self._pair_rows(
                        expansion, some, species, q[centres[c]], dot[c], points
                    )
                    dk *= slope[c][:, None, :]
                    _scatter(rows, chunk, some, dk, columns[z])
        return rows

    def _pair_rows(
        self,
        expansion: Expansion,
        some: np.ndarray,
        species: int,
        q: np.ndarray,
        dot: np.ndarray,
        points: np.ndarray,
    ) -> np.ndarray:
        """Return D·p̂_s - (D·p̂) T, (n, 3, n_sparse)."""
        active = self.engine.features.active[species]
        D = expansion.derivatives(some, species)
        along = np.einsum("pxf,pf->px", D, q[:, active])
        rows = D.reshape(-1, len(active)) @ points[:, active].T
        rows = rows.reshape(len(some), 3, -1)
        rows -= along[:, :, None] * dot[:, None, :]
        return rows

    def predict(
        self,
        pairs: Pairs,
        sparse: Sparse,
        coefficients: dict[int, np.ndarray],
        *,
        gradients: bool,
    ) -> LocalPrediction:
        """Return energies, forces and virials; one GEMM forward, one backward.

        With dE/dp̂ = Σ_s c_s k'(T_s) p̂_s: dE/dp = (dE/dp̂ - p̂ (p̂·dE/dp̂)) / |p|, whose
        adjoint gives dE/dR of every pair.
        """
        energies = np.zeros(pairs.n_atoms)
        forces = np.zeros((pairs.n_atoms, 3))
        virials = np.zeros((pairs.n_frames, 3, 3))
        for chunk in pairs.chunks(_PAIRS_VALUES):
            expansion = self.engine.expand(chunk)
            q, norm = _normalise(expansion.p)
            numbers = chunk.numbers[chunk.start : chunk.stop]
            dE_dq = np.zeros_like(q)
            for z, points in sparse.items():
                own = numbers == z
                k, slope = self.dot_product.value_and_slope(q[own] @ points.T)
                energies[chunk.start : chunk.stop][own] = k @ coefficients[z]
                if gradients:
                    dE_dq[own] = (slope * coefficients[z]) @ points
            if not gradients:
                continue
            dE_dq -= q * np.einsum("nf,nf->n", q, dE_dq)[:, None]
            dE_dR = expansion.adjoint(dE_dq / norm[:, None])
            for x in range(3):
                forces[:, x] += np.bincount(chunk.i, dE_dR[:, x], pairs.n_atoms)
                forces[:, x] -= np.bincount(chunk.j, dE_dR[:, x], pairs.n_atoms)
            outer = -chunk.R[:, :, None] * dE_dR[:, None, :]
            np.add.at(virials, chunk.frame[chunk.i], outer)
        return LocalPrediction(energies, forces, to_voigt(virials))


def _normalise(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors and norms; an empty environment stays zero."""
    norm = np.sqrt(np.einsum("nf,nf->n", p, p))
    norm[norm == 0] = 1.0
    return p / norm[:, None], norm


def _columns(sparse: Sparse) -> dict[int, slice]:
    """Return the columns of each block."""
    ends = np.cumsum([0] + [len(points) for points in sparse.values()])
    return {z: slice(int(ends[n]), int(ends[n + 1])) for n, z in enumerate(sparse)}


def _summed(frames: np.ndarray, n_frames: int) -> csr_array:
    """Return the matrix that sums environments into frames."""
    n = len(frames)
    return csr_array((np.ones(n), (frames, np.arange(n))), shape=(n_frames, n))


def _pair_groups(
    pairs: Pairs, expansion: Expansion, centre: np.ndarray
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield pairs of wanted centres in groups with the same neighbour species."""
    wanted = centre[pairs.i - pairs.start] >= 0
    neighbour = expansion.pair_species()
    for species in np.unique(neighbour):
        some = np.flatnonzero(wanted & (neighbour == species))
        for start in range(0, len(some), _PAIRS_ROWS):
            yield some[start : start + _PAIRS_ROWS], int(species)


def _scatter(
    rows: KernelRows, pairs: Pairs, some: np.ndarray, dk: np.ndarray, columns: slice
) -> None:
    """Add pair rows dk/dR_j (n, 3, n_sparse) to the force and virial rows."""
    n, _, n_sparse = dk.shape
    i, j = pairs.i[some], pairs.j[some]
    touched, slot = np.unique(np.concatenate([i, j]), return_inverse=True)
    sign = csr_array(
        (np.repeat([1.0, -1.0], n), (slot, np.tile(np.arange(n), 2))),
        shape=(len(touched), n),
    )
    rows.forces[touched, :, columns] += (sign @ dk.reshape(n, 3 * n_sparse)).reshape(
        len(touched), 3, n_sparse
    )
    # Row 6 f + v of the matrix: the symmetrised -R ⊗ dk of the pairs of frame f.
    R, frame = pairs.R[some], pairs.frame[i]
    entries, at, source = [], [], []
    for v, (a, b) in enumerate(VOIGT):
        for x, y in ((a, b), (b, a)):
            entries.append(-0.5 * R[:, x])
            at.append(6 * frame + v)
            source.append(3 * np.arange(n) + y)
    strain = csr_array(
        (np.concatenate(entries), (np.concatenate(at), np.concatenate(source))),
        shape=(6 * len(rows.virials), 3 * n),
    )
    rows.virials[:, :, columns] += (strain @ dk.reshape(3 * n, n_sparse)).reshape(
        -1, 6, n_sparse
    )
