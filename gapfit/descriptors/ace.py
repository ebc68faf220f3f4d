"""Atomic cluster expansion with a linear kernel: one block per central species.

The energy of an atom is linear in invariant polynomials B_f of the density of its
neighbours (Drautz, Phys. Rev. B 99, 014104 (2019)). As a Gaussian process with a smoothness
prior its kernel is k(x, x') = delta² Σ_f u_f² B_f(x) B_f(x'), which adds to those of other
terms. The functions stand in place of sparse points, so this kernel is not approximated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gapfit import _core
from gapfit._support.paper import Paper
from gapfit.config.terms import AceConfig
from gapfit.data.frame import to_voigt
from gapfit.data.neighbours import Pairs, core_pairs
from gapfit.descriptors.ace_functions import Expansion, Order, expansion
from gapfit.descriptors.ace_radial import (
    COMBINATIONS,
    bessel_engine,
    combinations_of,
    contracted,
    radial_tables,
)
from gapfit.descriptors.density import RadialTables
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.papers import ACE, CONTRACTION, SEVERAL_TERMS
from gapfit.descriptors.protocol import (
    Descriptor,
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
    Sparse,
)
from gapfit.descriptors.soap import Soap
from gapfit.descriptors.soap_engine import NativeEngine
from gapfit.threads import native_threads

__all__ = ["Ace", "ace_features", "ace_term"]

# Spread of a function over its size, and over the largest spread, that may be rounding.
_SAME, _VANISHING = 1e-7, 1e-10
# Condition number of SOAP's functions beyond which others are not found from them.
_ALIKE = 1e6
# Environments whose rows the core forms at once, for each thread.
_TOGETHER = 4


class Ace(Descriptor):
    """Cluster expansion; see `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    config : AceConfig
        Hyperparameters.
    species : tuple of int
        Atomic numbers, ascending: the blocks.
    combinations : (n_tables, l_max + 1, n_max, n_bessel) float64
        Factors of the Bessel functions in each radial function, for all species or by
        species.
    scalings : mapping of int to (n_features, n_features) float64, optional
        By block, diagonal matrices of the u_f.

    Attributes
    ----------
    expansion : Expansion
        The functions.
    dot_product : DotProductKernel
        Kernel between scaled functions.
    primitive : NativeEngine or None
        Engine of the densities that are combined; None if the combinations are known.
    """

    complete = True
    atomic = True
    linear = True

    def __init__(
        self,
        config: AceConfig,
        species: tuple[int, ...],
        combinations: np.ndarray,
        scalings: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        self.config = config
        self.species = species
        self.combinations = combinations
        self.blocks = species
        self.cutoff = config.r_cut
        self.smoothness = config.smoothness
        self.dot_product = DotProductKernel(config.delta, 1.0)
        self.expansion = _expansion(config, species)
        self.n_features = len(self.expansion.functions)
        self.components = self.n_features
        self.projections = dict(scalings or {})
        self.primitive: NativeEngine | None = None
        self._core = self._made()

    @property
    def radial(self) -> RadialTables:
        """Radial functions and densities."""
        return radial_tables(self.config, self.species, self.combinations)

    @property
    def adaptive(self) -> bool:
        """Whether combinations are still to be found in the data."""
        return self.primitive is not None

    def environment_sums(self, pairs: Pairs) -> np.ndarray:
        """Return Σ c c^T of the densities of Bessel functions."""
        assert self.primitive is not None
        return self.primitive.density_gram(pairs)

    def adapted_basis(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the combinations of Bessel functions and species."""
        return {COMBINATIONS: contracted(self.config, len(self.species), sums)}

    def _made(self) -> Any:
        functions, radial = self.expansion, self.radial
        return _core.Ace(
            radial.table,
            radial.table_of,
            radial.spacing,
            radial.channel,
            functions.coefficients,
            functions.products,
            functions.summands,
            functions.factors,
            self.n_features,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_core"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._core = self._made()

    def scaling(self, mean: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Return diag(u): the prior falls with the degree, and delta is that of an atom.

        u_f = (degree / least degree)^-smoothness / (spread of B_f), times a number such
        that the energies of the training environments vary by delta.
        """
        degrees = self.expansion.degrees
        prior = (degrees / degrees.min(initial=np.inf)) ** -self.config.smoothness
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        # A function that is the same everywhere, or zero by symmetry as in crystals at
        # rest, says nothing; what is left of it by rounding must not be scaled up.
        alive = spread > np.maximum(
            _SAME * np.sqrt(square), _VANISHING * spread.max(initial=0.0)
        )
        u = np.where(alive, prior / np.where(alive, spread, 1.0), 0.0)
        total = float(np.sqrt((prior[alive] ** 2).sum()))
        return np.diag(u / total if total else u)

    def degrees(self, block: int) -> np.ndarray:
        """Return the degrees of the functions, (n_features,); see `scaling`."""
        degrees = self.expansion.degrees.astype(float)
        return np.where(self.scales(block) > 0, degrees, np.inf)

    def scales(self, block: int) -> np.ndarray:
        """Return u of a block, (n_features,)."""
        if block not in self.projections:
            return np.ones(self.n_features)
        return np.diag(self.projections[block])

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return the (scaled) functions of all centres by species."""
        with native_threads() as n_threads:
            B = self._core.environments(core_pairs(pairs, self.species), n_threads)
        numbers = pairs.numbers[pairs.start : pairs.stop]
        by_block = {}
        for z in self.blocks:
            centres = np.flatnonzero(numbers == z)
            values = B[centres] * self.scales(z)
            by_block[z] = Environments(pairs.start + centres, values)
        return by_block

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""
        return self.dot_product.matrix(left, right)

    def variances(self, values: np.ndarray) -> np.ndarray:
        """Return k(x, x) of environments of one block, (n,), eV²."""
        return self.dot_product.value(np.einsum("nf,nf->n", values, values))

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances of local energies with the functions, and prior variances."""
        ends = np.cumsum([0] + [len(sparse[z]) for z in self.blocks])
        k_m = np.zeros((pairs.n_centres, ends[-1]))
        prior = np.zeros(pairs.n_centres)
        for n, (z, part) in enumerate(self.environments(pairs).items()):
            at = part.atoms - pairs.start
            k_m[at, ends[n] : ends[n + 1]] = self.kernel(part.values, sparse[z])
            prior[at] = self.variances(part.values)
        return k_m, prior

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return prior variances: sums over the functions, which are independent."""
        rows = self._rows(pairs, self.blocks, gradients=gradients)
        square = self.dot_product.delta**2
        energies, forces, virials = (
            np.einsum("...f,...f->...", K, K) / square
            for K in (rows.energies, rows.forces, rows.virials)
        )
        if gradients:
            return PriorVariances(energies, forces, virials)
        return PriorVariances(energies, np.zeros((0, 3)), np.zeros((0, 6)))

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool, virials: bool = True
    ) -> KernelRows:
        """Return the rows of K_nm: delta² u_f times what is observed of ΣB_f."""
        present = [z for z in self.blocks if len(sparse[z])]
        return self._rows(pairs, present, gradients=gradients)

    def _rows(
        self, pairs: Pairs, present: Sequence[int], *, gradients: bool
    ) -> KernelRows:
        """Return the rows with the functions of some blocks."""
        n_rows = self.n_features * len(present)
        n_columns = n_rows if gradients else 0
        rows = KernelRows(
            energies=np.zeros((pairs.n_frames, n_rows)),
            forces=np.zeros((pairs.n_atoms, 3, n_columns)),
            virials=np.zeros((pairs.n_frames, 6, n_columns)),
        )
        weights = [
            self.dot_product.delta**2 * self.scales(z) if z in present else None
            for z in self.species
        ]
        with native_threads() as n_threads:
            self._core.add_rows(
                core_pairs(pairs, self.species),
                weights,
                rows.energies,
                rows.forces.reshape(-1, n_columns) if gradients else None,
                rows.virials.reshape(-1, n_columns) if gradients else None,
                n_threads,
            )
        return rows

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> list[np.ndarray | None]:
        """Return the coefficients of the functions B_f by central species, eV."""
        square = self.dot_product.delta**2
        return [
            square * self.scales(z) * coefficients[z] if len(coefficients[z]) else None
            for z in self.species
        ]

    def predict(
        self,
        pairs: Pairs,
        prepared: list[np.ndarray | None],
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> LocalPrediction:
        """Return energies, forces and virials of this term."""
        with native_threads() as n_threads:
            (energies, forces, virials, local), _ = self._core.predict(
                core_pairs(pairs, self.species),
                prepared,
                gradients,
                atom_virials,
                n_threads,
            )
        return LocalPrediction(energies, forces, to_voigt(virials), local)

    def shared(
        self,
        soap: Descriptor,
        basis: Mapping[str, np.ndarray],
        prepared: list[np.ndarray | None],
    ) -> Any:
        """Return what `Soap.predict` takes to add the energies of this term.

        None unless SOAP, with its basis tables, combines the same Bessel functions at the
        same knots: then both need the same densities, which are expanded once.
        """
        if not (
            isinstance(soap, Soap)
            and soap.config.rbf == "bessel"
            and soap.config.channels == "all"
            and not soap.config.species_weights
            and soap.config.n_max == self.combinations.shape[3]
            and soap.config.l_max >= max(self.config.l_max)
            and soap.cutoff == self.cutoff
        ):
            return None
        of_soap = basis["combinations"][: max(self.config.l_max) + 1]
        if np.linalg.cond(of_soap).max() > _ALIKE:
            return None
        return self._core.shared(prepared, self.combinations @ np.linalg.inv(of_soap))

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
        n_coefficients = len(self.expansion.coefficients)
        each = self.n_features * (n_coefficients + 1)
        return 8.0 * _TOGETHER * threads * each if gradients else 0.0

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        papers = [("cluster expansion", ACE), SEVERAL_TERMS]
        if self.config.radial == "contracted":
            papers.append(("contracted densities", CONTRACTION))
        return papers


def ace_features(config: AceConfig, species: tuple[int, ...]) -> int:
    """Return the number of functions of an environment."""
    return len(_expansion(config, species).functions)


def _expansion(config: AceConfig, species: tuple[int, ...]) -> Expansion:
    orders = zip(config.orders, config.n_max, config.l_max, strict=True)
    n_channels = 1 if config.radial == "contracted" else len(species)
    return expansion(tuple(Order(*order) for order in orders), n_channels)


def ace_term(
    config: AceConfig,
    species: tuple[int, ...],
    basis: Mapping[str, np.ndarray],
    projections: Mapping[int, np.ndarray] | None = None,
) -> Ace:
    """Return the descriptor with the settings of a configuration."""
    ace = Ace(config, species, combinations_of(config, species, basis), projections)
    if config.radial == "contracted" and COMBINATIONS not in basis:
        ace.primitive = bessel_engine(config, species)
    return ace
