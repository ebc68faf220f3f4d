"""Interface of descriptors; each has its own file.

A descriptor turns pair lists into environments, and sparse points into rows of the kernel
matrix or into energies. It includes its kernel. Environments are divided into blocks (for
SOAP: one per central species) that do not share sparse points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gapfit.data.neighbours import Pairs

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
        return PriorVariances(
            np.concatenate([part.energies for part in parts]),
            np.concatenate([part.forces for part in parts]),
            np.concatenate([part.virials for part in parts]),
        )


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
    """Interface of the descriptor of a term, with its kernel."""

    cutoff: float
    #: Lengths over which the kernel varies, in the units of the features: environments
    #: that agree to 1e-3 of them count as equal. None: those that agree to 1e-10.
    lengths: np.ndarray | None
    #: Directions (n_features, width) that descriptors are projected on, by block.
    projections: dict[int, np.ndarray]

    @property
    def blocks(self) -> tuple[int, ...]:
        """Keys of the blocks, in the order of the columns of `kernel_rows`."""

    @property
    def n_features(self) -> int:
        """Length of a descriptor before any projection."""

    def label(self, block: int) -> str:
        """Return the name of a block, made of chemical symbols."""

    def width(self, block: int) -> int:
        """Length of the sparse points of a block."""

    def carriers(self, block: int) -> tuple[int, ...]:
        """Return the species of the atoms whose energies have the kernels of a block."""

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return all environments of a pair list by block."""

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""

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
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool
    ) -> KernelRows:
        """Return the rows of K_nm for all observations of a pair list.

        Without gradients the arrays of forces and virials are empty (0 columns).
        """

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> Any:
        """Return the data for `predict`; shortcuts as in `gapfit.model.projection`."""

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
