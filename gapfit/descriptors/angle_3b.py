"""Three-body term: a Gaussian process in the shape of a triangle, by species."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gapfit import _core
from gapfit._support.paper import Paper
from gapfit.config.terms import Angle3bConfig
from gapfit.data.frame import to_voigt
from gapfit.data.neighbours import Pairs, core_pairs, separate, species_index
from gapfit.descriptors.blocks import (
    species_of_pair,
    species_of_triplet,
    species_pairs,
    triplet_key,
    triplet_keys,
    triplet_label,
)
from gapfit.descriptors.cluster_priors import Clusters, cluster_priors
from gapfit.descriptors.kernels import PermutedKernel, ProductKernel
from gapfit.descriptors.papers import SEVERAL_TERMS
from gapfit.descriptors.protocol import (
    Descriptor,
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
    Sparse,
)
from gapfit.descriptors.switch import Switch
from gapfit.descriptors.triplet_table import TripletGrid
from gapfit.errors import GapfitError
from gapfit.threads import native_threads

__all__ = ["Angle3b", "triplet_term"]


class PreparedTriplets(NamedTuple):
    """Fitted potentials of triplets, and the triplets that have one, for predictions."""

    range: Any
    potentials: list[Any]


class Angle3b(Descriptor):
    """E = Σ_i Σ_{j,k} s(r_ij) s(r_ik) g(q), g a Gaussian process for each triplet.

    The inner sum is over pairs of neighbours of atom i, whose energy it is, and
    q = (r_ij + r_ik, (r_ij - r_ik)², r_jk) does not change when they are swapped; r_jk may
    be longer than the cutoff. s is the `Switch` that ends the potential at the cutoff.
    Sparse points are values of g, without s. Blocks are labelled by the species of the
    centre, then of its neighbours. See `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    kernel : ProductKernel
        Kernel of g; lengths in Å, Å², Å. A `PermutedKernel` takes the three sides
        (r_ij, r_ik, r_jk) instead of q, with lengths in Å. That, and polynomials, are for
        models of QUIP.
    switch : Switch
        Ends the potential at the cutoff.
    most_bytes : float
        Largest memory for the tables of a term, bytes; beyond it there are none.
    """

    def __init__(
        self,
        species: tuple[int, ...],
        kernel: ProductKernel,
        switch: Switch,
        *,
        most_bytes: float = 200e6,
    ) -> None:
        self.species = species
        self.kernel_of_g = kernel
        self.cutoff = switch.r_cut
        self.switch = switch
        self.lengths = np.array(kernel.theta)
        sides = [species_of_pair(pair) for pair in species_pairs(species)]
        self.blocks = tuple(triplet_key(z, *pair) for z in species for pair in sides)
        self.n_features = 3
        self.most_bytes = most_bytes
        self._all_triplets = self._range(self.blocks)
        self.permuted = isinstance(kernel, PermutedKernel)
        a, b, c = kernel.theta
        self._kernel = _core.TripletKernel(
            kernel.delta, (a, b, c), self.permuted, kernel.polynomial
        )

    def __reduce__(self) -> tuple[Any, ...]:
        new = partial(Angle3b, most_bytes=self.most_bytes)
        return new, (self.species, self.kernel_of_g, self.switch)

    def _range(self, blocks: tuple[int, ...]) -> Any:
        """Return the triplets of some blocks in the form of the core."""
        return _core.TripletRange(self.choice(blocks), *self.switch.for_core)

    def choice(self, blocks: tuple[int, ...]) -> np.ndarray:
        """Return the place among `blocks` of each triplet of species, -1 for none.

        Returns
        -------
        (n_species, n_species, n_species) int32
            Places by species of the centre and of the two neighbours.
        """
        place, species = {block: n for n, block in enumerate(blocks)}, self.species
        places = [
            [[place.get(triplet_key(c, a, b), -1) for b in species] for a in species]
            for c in species
        ]
        return np.array(places, dtype=np.int32)

    def grid(self, n_tables: int) -> TripletGrid | None:
        """Return the knots of the tables of a term; None if it has no tables.

        Tables may be too large, and only exponentials are products. Models of QUIP have
        none: large coefficients that cancel would magnify the error of a table.
        """
        kernel = self.kernel_of_g
        if self.permuted or kernel.polynomial or self.switch.form == "cosine":
            return None
        grid = TripletGrid.for_cutoff(self.kernel_of_g.theta, self.cutoff)
        return grid if grid.n_bytes * n_tables <= self.most_bytes else None

    def label(self, block: int) -> str:
        """Return the symbols of centre and neighbours: ``Si-Ge-Te`` has Si as centre."""
        return triplet_label(block)

    def carriers(self, block: int) -> tuple[int, ...]:
        """Return the species of the atoms whose energies have the kernels of a block."""
        return species_of_triplet(block)[:1]

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return q of all triplets of atoms by block; the central atom carries them."""
        centres, place, q = _core.triplet_list(
            core_pairs(pairs, self.species), self._all_triplets
        )
        by_block = {}
        for n, block in enumerate(self.blocks):
            members = place == n
            by_block[block] = Environments(centres[members], q[members])
        if self.permuted:
            return {
                b: Environments(e.atoms, _sides(e.values)) for b, e in by_block.items()
            }
        return by_block

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between triplets of one block, eV²."""
        return self.kernel_of_g.matrix(left, right)

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
        self._add_rows(pairs, sparse, rows.energies, rows if gradients else None)
        return rows

    def _add_rows(
        self,
        pairs: Pairs,
        sparse: Sparse,
        energies: np.ndarray,
        rows: KernelRows | None,
        *,
        by_centre: bool = False,
    ) -> None:
        """Add rows of energies, of frames or centres, and of forces and virials."""
        if self.permuted or self.kernel_of_g.polynomial:
            raise GapfitError(
                'angle_3b: coordinates = "distances" and kernel = "polynomial" are for '
                "models read from QUIP, not for fits; leave them out"
            )
        n_columns = energies.shape[1]
        with native_threads() as n_threads:
            _core.add_triplet_rows(
                core_pairs(pairs, self.species),
                self._all_triplets,
                self._kernel,
                [sparse[block] for block in self.blocks],
                by_centre,
                energies,
                None
                if rows is None
                else rows.forces.reshape(3 * pairs.n_atoms, n_columns),
                None
                if rows is None
                else rows.virials.reshape(6 * pairs.n_frames, n_columns),
                n_threads,
            )

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances of local energies with g, and their prior variances."""
        n_sparse = sum(len(points) for points in sparse.values())
        k_m = np.zeros((pairs.n_centres, n_sparse))
        self._add_rows(pairs, sparse, k_m, None, by_centre=True)
        with native_threads() as n_threads:
            prior = _core.triplet_priors(
                core_pairs(pairs, self.species),
                self._all_triplets,
                self._kernel,
                n_threads,
            )
        return k_m, prior

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return prior variances of energies, forces and virials.

        Takes about 4 kB for each triplet of a frame; the time grows with their number
        squared.
        """
        return PriorVariances.joined(
            [
                cluster_priors(
                    (clusters for _, clusters in self._clusters(frame)),
                    self.kernel_of_g,
                    frame.n_atoms,
                    gradients=gradients,
                )
                for frame in separate(pairs)
            ]
        )

    def instances(
        self, pairs: Pairs
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield blocks with their triplets.

        Yields
        ------
        block : int
            Key of the block.
        atoms : (n, 3) int64
            Centre and neighbours.
        s : (n,) float64
            Product of the switches.
        x : (n, 3) float64
            Arguments of the kernel: q, or the three sides if it is permuted.
        """
        for block, clusters in self._clusters(pairs):
            x = _sides(clusters.q) if self.permuted else clusters.q
            yield block, clusters.atoms, clusters.s, x

    def _clusters(self, pairs: Pairs) -> Iterator[tuple[int, Clusters]]:
        """Yield the triplets of each block."""
        species_index(self.species, pairs.numbers)
        couples = [
            begin + np.stack(np.triu_indices(end - begin, 1), axis=1)
            for begin, end in pairwise(pairs.first)
        ]
        sides = np.concatenate(couples)
        centres, ends = pairs.i[sides[:, 0]], pairs.j[sides]
        keys = triplet_keys(pairs.numbers[centres], *pairs.numbers[ends].T)
        for block in np.unique(keys):
            members = np.flatnonzero(keys == block)
            atoms = np.column_stack([centres[members], ends[members]])
            yield int(block), self._triplets(atoms, pairs.R[sides[members]])

    def _triplets(self, atoms: np.ndarray, R: np.ndarray) -> Clusters:
        """Return triplets with q, the product of the switches, and their derivatives."""
        r = np.linalg.norm(R, axis=2)
        u = R / r[..., None]
        across = R[:, 1] - R[:, 0]
        opposite = np.linalg.norm(across, axis=1)
        across /= opposite[:, None]
        difference = r[:, 0] - r[:, 1]
        odd = 2 * difference[:, None] * np.array([1.0, -1.0])
        away = np.stack([-across, across], axis=1)
        s, s1, _ = self.switch(r)
        return Clusters(
            atoms=atoms,
            R=R,
            s=s.prod(axis=1),
            ds=(s1 * s[:, ::-1])[..., None] * u,
            q=np.column_stack([r.sum(axis=1), difference**2, opposite]),
            dq=np.stack([u, odd[..., None] * u, away], axis=-1),
        )

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> PreparedTriplets:
        """Return the fitted functions g as tables: their cost is independent of M.

        If these would take more than `most_bytes` (short lengths, many species),
        predictions sum over the sparse points instead: the same numbers, but slower.
        """
        present = tuple(block for block in self.blocks if len(sparse[block]))
        kernel = self.kernel_of_g
        grid = self.grid(len(present))
        if grid is None:
            potentials = [
                _core.TripletPotential(self._kernel, sparse[b], coefficients[b])
                for b in present
            ]
        else:
            potentials = [
                grid.potential(kernel, sparse[b], coefficients[b]) for b in present
            ]
        return PreparedTriplets(self._range(present), potentials)

    def predict(
        self,
        pairs: Pairs,
        prepared: PreparedTriplets,
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> LocalPrediction:
        """Return energies, forces and virials of this term."""
        with native_threads() as n_threads:
            energies, forces, virials, local = _core.triplet_energies(
                core_pairs(pairs, self.species),
                prepared.range,
                prepared.potentials,
                gradients,
                atom_virials,
                n_threads,
            )
        return LocalPrediction(energies, forces, to_voigt(virials), local)

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        return [SEVERAL_TERMS]


_KERNELS = {"angle": ProductKernel, "distances": PermutedKernel}


def triplet_term(
    config: Angle3bConfig, species: tuple[int, ...], *_: object
) -> Angle3b:
    """Return the descriptor with the settings of a configuration."""
    return Angle3b(
        species,
        _KERNELS[config.coordinates](
            config.delta, tuple(config.theta), config.kernel == "polynomial"
        ),
        Switch(config.r_cut, config.width, config.switch),
    )


def _sides(q: np.ndarray) -> np.ndarray:
    """Return (r_ij, r_ik, r_jk), r_ij >= r_ik, from q = (sum, square, r_jk)."""
    apart = np.sqrt(q[:, 1])
    return np.column_stack([(q[:, 0] + apart) / 2, (q[:, 0] - apart) / 2, q[:, 2]])
