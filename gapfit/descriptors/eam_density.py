"""Embedded-atom term: a Gaussian process in the density of an atom's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.sparse import csc_array, csr_array

from gapfit import _core
from gapfit._support.paper import Paper
from gapfit.config.eam_density import EamDensityConfig
from gapfit.data.frame import VOIGT, to_voigt
from gapfit.data.neighbours import Pairs, core_pairs, separate, species_index
from gapfit.descriptors.embedding_table import EmbeddingTable, tabulate_energies
from gapfit.descriptors.kernels import SquaredExponential
from gapfit.descriptors.neighbour_density import NeighbourDensity
from gapfit.descriptors.papers import EAM_DENSITY
from gapfit.descriptors.protocol import (
    Descriptor,
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
    Sparse,
)
from gapfit.descriptors.switch import Switch, SwitchForm
from gapfit.threads import native_threads

__all__ = ["EamDensity", "density_term"]

# Numbers by pair in `kernel_rows`, without gradients and with them, and by pair and point.
_PER_PAIR, _PER_SLOPE, _PER_POINT = 8, 66, 0.8


class EamDensity(Descriptor):
    """E = Σ_i F(ρ_i) with ρ_i = Σ_j w φ(r_ij), F a Gaussian process for each species.

    The density ρ is that of Byggmästar et al., Phys. Rev. Mater. 6, 083801 (2022); F is the
    embedding energy of the embedded-atom method. w depends on the species of the centre
    and of the neighbour. See `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    kernel : SquaredExponential
        Kernel of F in the density.
    density : NeighbourDensity
        φ.
    weights : (n_species, n_species) float64
        w by species of the centre, then of the neighbour; positive.
    """

    atomic = True

    def __init__(
        self,
        species: tuple[int, ...],
        kernel: SquaredExponential,
        density: NeighbourDensity,
        weights: np.ndarray,
    ) -> None:
        self.species = species
        self.squared_exponential = kernel
        self.cutoff = density.r_cut
        self.density = density
        self.weights = np.ascontiguousarray(weights, dtype=float)
        self.table = density.table()
        self.lengths = np.array([kernel.theta])
        self.blocks = species
        self.n_features = 1

    def _densities(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return ρ of all centres, (n_centres,), and dρ/dR by pair, (n_pairs, 3), 1/Å."""
        place = species_index(self.species, pairs.numbers)
        r = np.sqrt(np.einsum("px,px->p", pairs.R, pairs.R))
        weights = self.weights[place[pairs.i], place[pairs.j]]
        value, slope, _ = weights * self.density(r)
        centres = pairs.i - pairs.start
        density = np.bincount(centres, value, minlength=pairs.n_centres)
        return density, (slope / r)[:, None] * pairs.R

    def _members(self, pairs: Pairs, block: int) -> np.ndarray:
        """Return the centres of a species, counted from the first centre."""
        return np.flatnonzero(pairs.numbers[pairs.start : pairs.stop] == block)

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return the densities of all atoms by species."""
        density, _ = self._densities(pairs)
        members = {block: self._members(pairs, block) for block in self.blocks}
        return {
            block: Environments(pairs.start + own, density[own, None])
            for block, own in members.items()
        }

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between densities of one block, eV²."""
        x, y = left[:, 0], right[:, 0]
        kernel: np.ndarray = self.squared_exponential.derivatives(x, y)[0]
        return kernel

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool, virials: bool = True
    ) -> KernelRows:
        """Return the rows of K_nm: energies, forces and virials of a pair list."""
        n_sparse = sum(len(points) for points in sparse.values())
        n_columns = n_sparse if gradients else 0
        rows = KernelRows(
            energies=np.zeros((pairs.n_frames, n_sparse)),
            forces=np.zeros((pairs.n_atoms, 3, n_columns)),
            virials=np.zeros((pairs.n_frames, 6, n_columns)),
        )
        density, g = self._densities(pairs)
        total = _totals(pairs)
        by_position, by_strain = _slopes(pairs, g) if gradients else (None, None)
        first = 0
        for block in self.blocks:
            points = sparse[block][:, 0]
            columns = slice(first, first + len(points))
            first = columns.stop
            own = self._members(pairs, block)
            if not len(own) or not len(points):
                continue
            k, k1, _ = self.squared_exponential.derivatives(density[own], points)
            rows.energies[:, columns] = total[:, own] @ k
            if by_position is not None and by_strain is not None:
                shape = (pairs.n_atoms, 3, len(points))
                forces = (by_position[:, own] @ k1).reshape(shape)
                rows.forces[:, :, columns] = forces
                shape = (pairs.n_frames, 6, len(points))
                rows.virials[:, :, columns] = (by_strain[:, own] @ k1).reshape(shape)
        return rows

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances of local energies with F, and their prior variances."""
        density, _ = self._densities(pairs)
        n_sparse = sum(len(points) for points in sparse.values())
        k_m, first = np.zeros((pairs.n_centres, n_sparse)), 0
        for block in self.blocks:
            own, points = self._members(pairs, block), sparse[block]
            columns = slice(first, first + len(points))
            k_m[own, columns] = self.kernel(density[own, None], points)
            first = columns.stop
        return k_m, np.full(pairs.n_centres, self.squared_exponential.delta**2)

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return prior variances of energies, forces and virials.

        Takes 24 bytes for each pair of atoms of one species of a frame.
        """
        return PriorVariances.joined(
            [self._frame_priors(frame, gradients) for frame in separate(pairs)]
        )

    def _frame_priors(self, frame: Pairs, gradients: bool) -> PriorVariances:
        """Return Σ_ij G_i k(ρ_i, ρ_j) G_j, over atoms of the same species."""
        density, g = self._densities(frame)
        energy, forces, virial = 0.0, np.zeros(3 * frame.n_atoms), np.zeros(6)
        by_position, by_strain = _slopes(frame, g)
        for block in self.blocks:
            own = self._members(frame, block)
            k, _, k2 = self.squared_exponential.derivatives(density[own], density[own])
            energy += float(k.sum())
            if gradients:
                # d²k/dxdy is -d²k/dx².
                forces -= _diagonal(by_position[:, own], k2)
                virial -= _diagonal(by_strain[:, own], k2)
        n = 1 if gradients else 0
        return PriorVariances(
            np.array([energy]),
            forces.reshape(-1, 3)[: n * frame.n_atoms],
            virial[None][:n],
        )

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> EmbeddingTable:
        """Return the fitted energies as tables: their cost is independent of M."""
        energies = {b: (sparse[b][:, 0], coefficients[b]) for b in self.blocks}
        return tabulate_energies(self.squared_exponential, energies)

    def predict(
        self,
        pairs: Pairs,
        prepared: EmbeddingTable,
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> LocalPrediction:
        """Return energies, forces and virials of this term."""
        with native_threads() as n_threads:
            energies, forces, virials, local = _core.embedding_energies(
                core_pairs(pairs, self.species),
                self.table.values,
                self.table.start,
                self.table.spacing,
                self.table.cosine,
                self.weights,
                prepared.values,
                prepared.spacing,
                prepared.curve,
                gradients,
                atom_virials,
                n_threads,
            )
        return LocalPrediction(energies, forces, to_voigt(virials), local)

    def buffers_nbytes(
        self,
        n_pairs: float,
        n_sparse: float,
        width: int,
        *,
        gradients: bool,
        threads: int,
    ) -> float:
        """Return the memory of the temporary arrays of `kernel_rows`, bytes."""
        each = (_PER_SLOPE if gradients else _PER_PAIR) + _PER_POINT * n_sparse
        return 8.0 * n_pairs * each

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        return [EAM_DENSITY]


def density_term(
    config: EamDensityConfig, species: tuple[int, ...], *_: object
) -> EamDensity:
    """Return the descriptor with the settings of a configuration."""
    form: SwitchForm = "cosine" if config.form == "cosine" else "smooth"
    density = NeighbourDensity(
        config.r_cut,
        config.power if config.form == "power" else 0,
        Switch(config.r_cut, config.switch_width, form),
    )
    return EamDensity(
        species,
        SquaredExponential(config.delta, config.theta),
        density,
        _weights(config.species_weights, species),
    )


def _weights(given: Mapping[str, float], species: tuple[int, ...]) -> np.ndarray:
    """Return the weights by centre and neighbour; those of pairs count before others."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in species]
    rows = [
        [given.get(f"{centre}-{other}", given.get(other, 1.0)) for other in symbols]
        for centre in symbols
    ]
    return np.array(rows, dtype=float)


def _totals(pairs: Pairs) -> csc_array:
    """Return the matrix (n_frames, n_centres) that adds centres to their frames."""
    n = pairs.n_centres
    frames = pairs.frame[pairs.start : pairs.stop]
    return csc_array(
        (np.ones(n), (frames, np.arange(n))), shape=(pairs.n_frames, pairs.n_centres)
    )


def _slopes(pairs: Pairs, g: np.ndarray) -> tuple[csc_array, csc_array]:
    """Return -dρ of each centre with positions and strains, as matrices.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    g : (n_pairs, 3) float64
        dρ/dR of the centre of each pair, 1/Å.

    Returns
    -------
    by_position : (3 n_atoms, n_centres) sparse
        -dρ/dr, 1/Å.
    by_strain : (6 n_frames, n_centres) sparse
        -dρ/dstrain, Voigt order.
    """
    centres, x = pairs.i - pairs.start, np.arange(3)
    at = np.concatenate([3 * pairs.i[:, None] + x, 3 * pairs.j[:, None] + x]).ravel()
    columns = np.tile(np.repeat(centres, 3), 2)
    values = np.concatenate([g, -g]).ravel()
    by_position = csr_array(
        (values, (at, columns)), shape=(3 * pairs.n_atoms, pairs.n_centres)
    )
    tensor = np.stack([-pairs.R[:, a] * g[:, b] for a, b in VOIGT], axis=1)
    frames = 6 * pairs.frame[pairs.i][:, None] + np.arange(6)
    by_strain = csr_array(
        (tensor.ravel(), (frames.ravel(), np.repeat(centres, 6))),
        shape=(6 * pairs.n_frames, pairs.n_centres),
    )
    return by_position.tocsc(), by_strain.tocsc()


def _diagonal(G: csc_array, k: np.ndarray) -> np.ndarray:
    """Return the diagonal of G k G^T, (n_rows,)."""
    diagonal: np.ndarray = np.asarray(G.multiply(G @ k).sum(axis=1)).ravel()
    return diagonal
