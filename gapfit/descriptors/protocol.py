"""Interface of descriptors; each has its own file.

A descriptor turns pair lists into environments, and sparse points into rows of the kernel
matrix or into energies. It includes its kernel, which is proportional to delta².
Environments are divided into blocks (for SOAP: one per central species) that do not share
sparse points.

A new descriptor is a file with two classes and one call:

1. its configuration, a `gapfit.config.SparseTermConfig` (or a `TermConfig` where no sparse
   points are chosen) whose ``type`` has the name of the kind as its default, with the keys
   of ``[[terms]]`` that the others do not have;
2. a class that inherits from `Descriptor`: members without a value or a body below are
   mandatory, all others have defaults that suit a kernel of few coordinates;
3. ``register(MyConfig, MyDescriptor)`` of `gapfit.descriptors.registry`.

Fits, model files, error bars, `gapfit init` and messages about ``fit.toml`` then know it.
A package names its module as an entry point of the group ``gapfit.descriptors``, so that
the command line finds it. tests/contract/ holds the tests that all descriptors must pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from gapfit._support.paper import Paper
from gapfit.data.neighbours import Pairs
from gapfit.descriptors.blocks import species_label

__all__ = [
    "Descriptor",
    "Environments",
    "KernelRows",
    "LocalPrediction",
    "PriorVariances",
    "Sparse",
]

#: Sparse points by block: block key -> (n_sparse, n_features) float64.
Sparse = dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Environments:
    """Environments of one block.

    Attributes
    ----------
    atoms : (n,) int64
        Index of the atom that carries each environment.
    values : (n, n_features) float64
        Descriptors, the arguments of the kernel (SOAP: unit vectors).
    """

    atoms: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class KernelRows:
    """Kernel between observations and the sparse points of one term, eV² per unit.

    Attributes
    ----------
    energies : (n_frames, n_sparse) float64
        Covariance of total energies with the sparse local energies.
    forces : (n_atoms, 3, n_sparse) float64
        Covariance of forces, per Å.
    virials : (n_frames, 6, n_sparse) float64
        Covariance of virials (-stress × volume), Voigt order.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray


@dataclass(frozen=True, eq=False)
class PriorVariances:
    """Variances of observations before any data, k(L, L), of one term.

    Terms are independent: the variances of a potential are the sums over its terms.

    Attributes
    ----------
    energies : (n_frames,) float64
        Variances of total energies, eV².
    forces : (n_atoms, 3) float64
        Variances of force components, (eV/Å)²; (0, 3) unless asked for.
    virials : (n_frames, 6) float64
        Variances of virials (-stress × volume), Voigt order, eV²; (0, 6) unless asked for.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray

    @staticmethod
    def joined(parts: Sequence[PriorVariances]) -> PriorVariances:
        """Return the variances of several frames, one after the other."""
        arrays = [(part.energies, part.forces, part.virials) for part in parts]
        return PriorVariances(*map(np.concatenate, zip(*arrays, strict=True)))


@dataclass(frozen=True, eq=False)
class LocalPrediction:
    """Contribution of one term to a prediction.

    Attributes
    ----------
    energies : (n_atoms,) float64
        Local energies, eV.
    forces : (n_atoms, 3) float64
        Forces, eV/Å.
    virials : (n_frames, 6) float64
        Virials, -stress × volume in Voigt order, eV.
    atom_virials : (n_atoms, 3, 3) float64
        Virial by atom, -Σ_i R_ij ⊗ dE_i/dR_ij over the centres i with atom j as neighbour,
        eV. The sum is the virial, and Σ_j W_j v_j is the potential part of the heat flux
        (Fan et al., PRB 92, 094301 (2015)). Empty unless asked for.
    variances : (n_atoms,) float64
        Variances of the local energies of all terms, eV²; empty unless asked for.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    atom_virials: np.ndarray
    variances: np.ndarray = field(default_factory=lambda: np.zeros(0))


class Descriptor(Protocol):
    """Interface of the descriptor of a term, with its kernel; to be inherited from.

    Attributes
    ----------
    cutoff : float
        Range of the neighbours, Å.
    blocks : tuple of int
        Keys of the blocks, in the order of the columns of `kernel_rows`.
    n_features : int
        Length of a descriptor before any projection.
    lengths : (n_features,) float64 or None
        Lengths over which the kernel varies, in the units of the features: environments
        that agree to 1e-3 of them count as equal. None: those that agree to 1e-10.
    projections : mapping of int to (n_features, width) float64
        Directions that descriptors are projected on, by block.
    components : int, float or str
        Directions to choose for that: a number, a relative size of the least, or "all".
    complete : bool
        Whether the sparse points of a fit cover the environments of other structures, as
        those of a grid do: none are added later.
    displacement : float
        Displacement of an atom that changes its environment, Å; unused if complete.
    atomic : bool
        Whether each atom of the species of a block has one environment, so that lists
        name sparse points by frame and atom.
    smoothness : float or None
        Power by which the prior falls with `degrees`, a key of the term; or None. delta
        does not depend on it.
    unit_vectors : bool
        Whether the environment of an atom is a unit vector, or zero.
    linear : bool
        Whether the kernel is the dot product of the features: each feature is then a
        sparse point of its own, and no environment is chosen.
    adaptive : bool
        Whether tables of its basis are still to be found, see `environment_sums`.
    lossless : bool
        Whether `prepare` takes projections of a finished model; needs `operations`.
    with_variances : bool
        Whether `predict` takes ``variance``; needs `variance_form`.
    found : str
        What the data decided about the features, as "7 channels"; or nothing.
    """

    cutoff: float
    blocks: tuple[int, ...]
    n_features: int
    lengths: np.ndarray | None = None
    projections: Mapping[int, np.ndarray] = MappingProxyType({})
    components: int | float | str = "all"
    complete: bool = True
    displacement: float = 0.5
    atomic: bool = False
    smoothness: float | None = None
    unit_vectors: bool = False
    linear: bool = False
    lossless: bool = False
    with_variances: bool = False
    found: str = ""

    @property
    def adaptive(self) -> bool:
        """Whether tables of its basis are still to be found."""
        return False

    def label(self, block: int) -> str:
        """Return the name of a block, made of chemical symbols.

        Blocks are atomic numbers of central species unless a descriptor says otherwise.
        """
        return species_label(block)

    def carriers(self, block: int) -> tuple[int, ...]:
        """Return the species of the atoms whose energies have the kernels of a block."""
        return (block,)

    def degrees(self, block: int) -> np.ndarray:
        """Return degrees of functions whose prior falls as degree^-`smoothness`.

        Returns
        -------
        (n_features,) float64
            Positive; infinite for functions without prior.
        """
        return np.ones(self.n_features)

    def width(self, block: int) -> int:
        """Length of the sparse points of a block."""
        U = self.projections.get(block)
        return self.n_features if U is None else U.shape[1]

    def scaling(self, mean: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Return the diagonal projection that scales the features of a `linear` kernel.

        Parameters
        ----------
        mean, square : (n_features,) float64
            Of the features, and of their squares, in the training data of a block.
        """
        raise TypeError(f"{type(self).__name__} is linear, but has no scaling")

    def environment_sums(self, pairs: Pairs) -> np.ndarray:
        """Return sums over environments from which an `adaptive` basis is found."""
        raise TypeError(f"{type(self).__name__} does not adapt to the data")

    def adapted_basis(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the tables to add to the basis, from `environment_sums` of all data."""
        raise TypeError(f"{type(self).__name__} does not adapt to the data")

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return all environments of a pair list by block."""

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""

    def variances(self, values: np.ndarray) -> np.ndarray:
        """Return k(x, x) of environments of one block, (n, width) -> (n,), eV²."""
        variances = [self.kernel(x[None], x[None])[0, 0] for x in values]
        return np.array(variances, dtype=float)

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (n_centres, n_sparse) covariances of local energies, (n_centres,) priors.

        Covariances with the sparse points and prior variances, eV².
        """

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return the prior variances of all observations of a pair list.

        Parameters
        ----------
        pairs : Pairs
            Neighbours of all atoms within the cutoff, as for `kernel_rows`.
        gradients : bool
            Whether those of forces and virials are wanted.
        """

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool, virials: bool = True
    ) -> KernelRows:
        """Return the rows of K_nm for all observations of a pair list.

        Without gradients the arrays of forces and virials are empty (0 columns). Without
        `virials` theirs may be.
        """

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> Any:
        """Return the data for `predict`; projections as in `gapfit.model.projection`."""

    def predict(
        self,
        pairs: Pairs,
        prepared: Any,
        *,
        gradients: bool,
        atom_virials: bool = False,
    ) -> LocalPrediction:
        """Return energies, forces and virials of this term.

        Arrays of gradients are empty unless asked for.
        """

    def listed(self, words: Sequence[str]) -> np.ndarray:
        """Return the sparse point in a line of a list, (n_features,).

        Parameters
        ----------
        words : sequence of str
            The line without the name of the block.

        Raises
        ------
        ValueError
            The words are not such a point; the message is for users.
        """
        wanted = self.n_features
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != wanted or not all(map(math.isfinite, values)):
            count = "1 number" if wanted == 1 else f"{wanted} numbers"
            raise ValueError(
                f"expected {count} after the label, found {' '.join(words)!r}"
            )
        return np.array(values)

    def buffers_nbytes(
        self,
        n_pairs: float,
        n_sparse: float,
        width: int,
        *,
        gradients: bool,
        threads: int,
    ) -> float:
        """Return the memory of the temporary arrays of `kernel_rows`, bytes.

        Parameters
        ----------
        n_pairs : float
            Pairs within the longest cutoff of the model.
        n_sparse : float
            Sparse points of a block, on average.
        width : int
            Numbers per environment: descriptor and projection.
        gradients : bool
            Whether forces or virials are among the rows.
        threads : int
            Threads of the native core.
        """
        return 0.0

    def cautions(self) -> Iterable[str]:
        """Return warnings about the settings, for a fit."""
        return ()

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        return ()

    def operations(
        self, n_sparse: int, width: int, rank: int | None, *, quadratic: bool
    ) -> float:
        """Return the number of multiplications for one local energy and its slope.

        Parameters
        ----------
        n_sparse, width : int
            Sparse points of a block, and their length.
        rank : int or None
            Directions that `prepare` is given; None for no projection.
        quadratic : bool
            See `prepare`.
        """
        raise TypeError(f"{type(self).__name__} is lossless, but has no operations")

    def variance_form(
        self, species: int, sparse: Sparse, W: np.ndarray, before: int
    ) -> Any:
        """Return the form that turns covariances of one central species into variances.

        Parameters
        ----------
        species : int
            Atomic number.
        sparse : dict of int to (n_sparse, width) float64
            Sparse points by block.
        W : (size, size) float64
            Factor from `gapfit.model.local_variance.explaining_factor`, 1/eV.
        before : int
            Number of points of other terms before those of this term.
        """
        raise TypeError(f"{type(self).__name__} has variances, but no form of them")
