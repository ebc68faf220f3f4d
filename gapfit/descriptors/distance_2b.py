"""Two-body term: a Gaussian process in the distance of two atoms, by pair of species."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from gapfit import _core
from gapfit._support.paper import Paper
from gapfit.config.terms import Distance2bConfig
from gapfit.data.frame import VOIGT
from gapfit.data.neighbours import Pairs, core_pairs, separate, species_index
from gapfit.descriptors.blocks import (
    pair_key,
    pair_keys,
    pair_label,
    species_of_pair,
    species_pairs,
)
from gapfit.descriptors.cluster_priors import Clusters, cluster_priors
from gapfit.descriptors.kernels import (
    PiecewisePolynomial,
    ProductKernel,
    SquaredExponential,
)
from gapfit.descriptors.pair_table import PairTable, tabulate, tabulate_pieces
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
from gapfit.errors import GapfitError
from gapfit.threads import native_threads

__all__ = ["Distance2b", "pair_mean", "pair_term"]

#: Distance of the knots of the table in lengths theta: error of forces below 1e-7 eV/Å.
_KNOTS_PER_LENGTH = 0.03
#: Largest error of slopes of tables, eV/Å, and smallest distance of knots, Å.
_SLOPE_ERROR, _FINEST = 1e-9, 1e-3
# Pairs whose rows are computed together.
_CHUNK_PAIRS = 16_384
# Arrays by pair and sparse point in `kernel_rows`: three derivatives, three times.
_COPIES = 9


class Distance2b(Descriptor):
    """E = Σ_pairs s(r) g(r), g a Gaussian process (Eq. 4) by pair of species.

    s is the `Switch` that ends the potential at the cutoff. Sparse points are values of g,
    without s: those near the cutoff are as large as the others. See
    `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    kernel : SquaredExponential or PiecewisePolynomial
        Kernel of g in the distance, Å. Polynomials are for models of QUIP.
    switch : Switch
        Ends the potential at the cutoff.
    """

    def __init__(
        self,
        species: tuple[int, ...],
        kernel: SquaredExponential | PiecewisePolynomial,
        switch: Switch,
    ) -> None:
        self.species = species
        self.kernel_of_g = kernel
        self.cutoff = switch.r_cut
        self.switch = switch
        self.lengths = np.array([kernel.theta])
        self.blocks = species_pairs(species)
        self.n_features = 1
        place = [[self.blocks.index(pair_key(a, b)) for b in species] for a in species]
        self.place = np.array(place, dtype=np.int32)

    def label(self, block: int) -> str:
        """Return the symbols of a pair of species: ``Ge-Te``."""
        return pair_label(block)

    def carriers(self, block: int) -> tuple[int, ...]:
        """Return the species of the atoms whose energies have the kernels of a block."""
        return species_of_pair(block)

    def _keys(self, pairs: Pairs) -> np.ndarray:
        """Return the block of each pair, (n_pairs,) int64."""
        species_index(self.species, pairs.numbers)
        return pair_keys(pairs.numbers[pairs.i], pairs.numbers[pairs.j])

    def by_block(self, pairs: Pairs) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each block with its pairs, (n,) int64, and their distances, (n,), Å."""
        keys = self._keys(pairs)
        r = np.sqrt(np.einsum("px,px->p", pairs.R, pairs.R))
        for block in self.blocks:
            members = np.flatnonzero(keys == block)
            yield block, members, r[members]

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return the distances of all pairs of atoms by pair of species."""
        by_block = {}
        for block, members, r in self.by_block(pairs):
            once = pairs.i[members] <= pairs.j[members]
            by_block[block] = Environments(pairs.i[members][once], r[once, None])
        return by_block

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between distances of one block, eV²."""
        x, y = left[:, 0], right[:, 0]
        kernel: np.ndarray = self.kernel_of_g.derivatives(x, y)[0]
        return kernel

    def _for_fits(self) -> SquaredExponential:
        """Return the kernel of g; models of QUIP with others have no posterior."""
        if isinstance(self.kernel_of_g, SquaredExponential):
            return self.kernel_of_g
        raise GapfitError(
            'distance_2b: kernel = "polynomial" is for models read from QUIP, not for '
            "fits; leave it out"
        )

    def _switched(self, r: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return s k and its first two derivatives with r, (3, n, n_sparse)."""
        k, k1, k2 = self._for_fits().derivatives(r, points[:, 0])
        s, s1, s2 = self.switch(r)[:, :, None]
        return np.stack([s * k, s1 * k + s * k1, s2 * k + 2 * s1 * k1 + s * k2])

    def kernel_rows(
        self,
        pairs: Pairs,
        sparse: Sparse,
        *,
        gradients: bool,
        virials: bool = True,
        chunk_pairs: int = _CHUNK_PAIRS,
    ) -> KernelRows:
        """Return the rows of K_nm: energies, forces and virials of a pair list.

        Those of `chunk_pairs` pairs are computed together, which bounds the memory.
        """
        n_sparse = sum(len(points) for points in sparse.values())
        n_columns = n_sparse if gradients else 0
        rows = KernelRows(
            energies=np.zeros((pairs.n_frames, n_sparse)),
            forces=np.zeros((pairs.n_atoms, 3, n_columns)),
            virials=np.zeros((pairs.n_frames, 6, n_columns)),
        )
        first = 0
        for block, members, r in self.by_block(pairs):
            columns = slice(first, first + len(sparse[block]))
            first = columns.stop
            if len(members) == 0 or len(sparse[block]) == 0:
                continue
            for start in range(0, len(members), chunk_pairs):
                part = slice(start, start + chunk_pairs)
                self._add_rows(
                    rows, pairs, members[part], r[part], sparse[block], columns
                )
        return rows

    def _add_rows(
        self,
        rows: KernelRows,
        pairs: Pairs,
        members: np.ndarray,
        r: np.ndarray,
        points: np.ndarray,
        columns: slice,
    ) -> None:
        """Add the rows of some pairs of one block."""
        value, slope, _ = self._switched(r, points)
        frame = pairs.frame[pairs.i[members]]
        half = _sums(frame, np.full(len(members), 0.5), pairs.n_frames)
        rows.energies[:, columns] += half @ value
        if not rows.forces.shape[2]:
            return
        u = pairs.R[members] / r[:, None]
        # Each pair is listed twice, once for each atom: here the force on i.
        at = (3 * pairs.i[members][:, None] + np.arange(3)).ravel()
        pull = _sums(at, u.ravel(), 3 * pairs.n_atoms, np.repeat(np.arange(len(r)), 3))
        forces = (pull @ slope).reshape(pairs.n_atoms, 3, -1)
        rows.forces[:, :, columns] += forces
        for v, (x, y) in enumerate(VOIGT):
            weight = -0.5 * pairs.R[members, x] * u[:, y]
            strain = _sums(frame, weight, pairs.n_frames)
            rows.virials[:, v, columns] += strain @ slope

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances of local energies with g, and their prior variances."""
        kernel = self._for_fits()
        with native_threads() as n_threads:
            k_m, prior = _core.pair_covariances(
                core_pairs(pairs, self.species),
                self.place,
                self.switch.for_core,
                (kernel.delta, kernel.theta),
                [sparse[block][:, 0] for block in self.blocks],
                n_threads,
            )
        return k_m, prior

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return prior variances of energies, forces and virials."""
        kernel_of_g = self._for_fits()
        kernel = ProductKernel(kernel_of_g.delta, (kernel_of_g.theta,))
        return PriorVariances.joined(
            [
                cluster_priors(
                    self._clusters(frame), kernel, frame.n_atoms, gradients=gradients
                )
                for frame in separate(pairs)
            ]
        )

    def _clusters(self, pairs: Pairs) -> Iterator[Clusters]:
        """Yield the pairs of atoms of each block."""
        for _, members, r in self.by_block(pairs):
            once = pairs.i[members] <= pairs.j[members]
            members, r = members[once], r[once]
            i, j, R = pairs.i[members], pairs.j[members], pairs.R[members]
            # An atom and its image are listed twice, once for each direction.
            share = np.where(i == j, 0.5, 1.0)
            s, s1, _ = share * self.switch(r)
            u = (R / r[:, None])[:, None, :]
            yield Clusters(
                atoms=np.stack([i, j], axis=1),
                R=R[:, None, :],
                s=s,
                ds=s1[:, None, None] * u,
                q=r[:, None],
                dq=u[..., None],
            )

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> PairTable:
        """Return the fitted pair potentials as a table: its cost is independent of M."""
        potentials = {
            block: partial(self._potential, sparse[block], coefficients[block])
            for block in self.blocks
        }
        kernel, r_cut, width = self.kernel_of_g, self.cutoff, self.switch.width
        if isinstance(kernel, PiecewisePolynomial):
            shifts = kernel.theta * np.array([-1.0, 0.0, 1.0])
            pieces = {
                block: np.add.outer(sparse[block], shifts) for block in potentials
            }
            return tabulate_pieces(self.species, potentials, pieces, r_cut, width)
        return tabulate(
            self.species,
            potentials,
            r_cut,
            width,
            cosine=self.switch.form == "cosine",
            spacing=self._spacing(coefficients),
        )

    def _spacing(self, coefficients: Mapping[int, np.ndarray]) -> float:
        """Return the distance of knots at which slopes are accurate to `_SLOPE_ERROR`.

        Between knots the error of a Gaussian's slope is at most 0.0012 h⁵ / theta⁶, and the
        errors of all points may add up: large coefficients that cancel need more knots.
        """
        theta = self.kernel_of_g.theta
        most = max(float(np.abs(c).sum()) for c in coefficients.values())
        scale = 0.0012 * self.kernel_of_g.delta**2 * most / theta
        finest = theta * (_SLOPE_ERROR / max(scale, 1e-300)) ** 0.2
        return float(max(min(_KNOTS_PER_LENGTH * theta, finest), _FINEST))

    def _potential(
        self, points: np.ndarray, coefficients: np.ndarray, r: np.ndarray
    ) -> np.ndarray:
        """Return φ, φ' and φ'' of one pair of species, (3, n), without a cosine.

        Extended precision preserves the digits lost when large coefficients cancel.
        """
        k = self.kernel_of_g.derivatives(
            r.astype(np.longdouble), points[:, 0].astype(np.longdouble)
        )
        values = (k @ coefficients.astype(np.longdouble)).astype(float)
        return self.switch.times(values, r) if self.switch.form == "smooth" else values

    def predict(
        self,
        pairs: Pairs,
        prepared: PairTable,
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> LocalPrediction:
        """Return energies, forces and virials of this term."""
        return prepared.evaluate(pairs, gradients=gradients, atom_virials=atom_virials)

    def listed(self, words: Sequence[str]) -> np.ndarray:
        """Return the distance in a line of a list, (1,), Å."""
        values = super().listed(words)
        if not 0 < values[0] <= self.cutoff:
            raise ValueError(
                f"the distance {values[0]:g} Å must be > 0 and <= r_cut = "
                f"{self.cutoff:g} Å"
            )
        return values

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
        return 8.0 * _COPIES * min(_CHUNK_PAIRS, n_pairs) * n_sparse

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        return [SEVERAL_TERMS]


_KERNELS: dict[str, type[SquaredExponential | PiecewisePolynomial]] = {
    "exponential": SquaredExponential,
    "polynomial": PiecewisePolynomial,
}


def pair_term(
    config: Distance2bConfig, species: tuple[int, ...], *_: object
) -> Distance2b:
    """Return the descriptor with the settings of a configuration."""
    return Distance2b(
        species,
        _KERNELS[config.kernel](config.delta, config.theta),
        Switch(config.r_cut, config.width, config.switch),
    )


def pair_mean(config: Distance2bConfig, species: tuple[int, ...]) -> PairTable | None:
    """Return the prior mean f0 s(r) of all pairs; None without one."""
    if not config.f0:
        return None
    f0, switch = config.f0, Switch(config.r_cut, config.width, config.switch)
    smooth = config.switch == "smooth"

    def potential(r: np.ndarray) -> np.ndarray:
        if smooth:
            return f0 * switch(r)
        return f0 * np.eye(3, 1) * np.ones(len(r))

    potentials = dict.fromkeys(species_pairs(species), potential)
    return tabulate(species, potentials, config.r_cut, config.width, cosine=not smooth)


def _sums(
    rows: np.ndarray,
    weights: np.ndarray,
    n_rows: int,
    columns: np.ndarray | None = None,
) -> csr_array:
    """Return the matrix that adds weighted items (columns) to rows."""
    columns = np.arange(len(rows)) if columns is None else columns
    n_columns = int(columns[-1]) + 1
    return csr_array((weights, (rows, columns)), shape=(n_rows, n_columns))
