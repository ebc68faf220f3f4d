"""Engines that evaluate a SOAP term: their interface, and the native core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from gapfit import _core
from gapfit.data.neighbours import Pairs, core_pairs
from gapfit.descriptors.density import RadialTables
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.radial import Weighting
from gapfit.descriptors.row_points import RowPoints, SparsePoints
from gapfit.descriptors.soap_features import FeatureList
from gapfit.threads import native_threads

__all__ = [
    "EnergySum",
    "NativeEngine",
    "SoapDefinition",
    "SoapEngine",
    "VarianceForm",
    "VarianceRequest",
]


@dataclass(frozen=True, eq=False)
class EnergySum:
    """Sum that gives the local energies of one central species.

    Attributes
    ----------
    points : SparsePoints
        Sparse points; or the matrix A of ε = p̂^T A p̂ when `quadratic`.
    coefficients : (n_sparse,) float64
        Coefficients times delta², eV; empty when `quadratic`.
    quadratic : bool
        Whether the sum over sparse points (zeta = 2) is replaced by p̂^T A p̂.
    """

    points: SparsePoints
    coefficients: np.ndarray
    quadratic: bool = False


@dataclass(frozen=True, eq=False)
class VarianceForm:
    """Quadratic form that turns covariances k of one central species into variances.

    Attributes
    ----------
    points : SparsePoints
        Sparse points of the SOAP term; k contains covariances with them and with those of
        other terms.
    kernel : DotProductKernel
        Kernel of the term; delta = 0 if the term does not include the species.
    W : (size, size) float64
        Upper triangular, in Fortran order, 1/eV; |W^T k|² is the variance explained by the
        data.
    before : int
        Number of points of other terms at the beginning of k; the others are at its end.
    """

    points: SparsePoints
    kernel: DotProductKernel
    W: np.ndarray
    before: int


@dataclass(frozen=True, eq=False)
class VarianceRequest:
    """Variances to compute together with the energies of one pair list.

    Attributes
    ----------
    forms : sequence of VarianceForm
        Quadratic forms by central species.
    k_other : (n_centres, n_columns) float64
        Covariances with sparse points of other terms, eV²; each row begins with those in k
        of its species.
    prior : (n_centres,) float64
        Prior variances of the other terms, eV².
    lossless : bool
        Whether kernels may be taken within the lossless projections
        (`gapfit.model.projection`).
    """

    forms: Sequence[VarianceForm]
    k_other: np.ndarray
    prior: np.ndarray
    lossless: bool


class SoapEngine(Protocol):
    """Evaluates power spectra, kernel rows, energies and variances."""

    cutoff: float
    n_features: int

    def environments(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return unit power spectra (n_centres, n_features) and their norms."""

    def add_rows(
        self,
        pairs: Pairs,
        points: Sequence[SparsePoints],
        kernel: DotProductKernel,
        energies: np.ndarray,
        forces: np.ndarray | None,
        virials: np.ndarray | None,
    ) -> None:
        """Add kernel rows of all observations; see `KernelRows`.

        Parameters
        ----------
        pairs : Pairs
            Neighbours of all atoms.
        points : sequence of SparsePoints
            Sparse points by central species, in the order of the columns.
        kernel : DotProductKernel
            Kernel between unit power spectra.
        energies : (n_frames, n_columns) float64
            Rows of energies, to add to.
        forces : (n_atoms, 3, n_columns) float64 or None
            Rows of forces, to add to unless None.
        virials : (n_frames, 6, n_columns) float64 or None
            Rows of virials, to add to unless None.
        """

    def predict(
        self,
        pairs: Pairs,
        sums: Sequence[EnergySum],
        zeta: float,
        *,
        gradients: bool,
        atom_virials: bool,
        variance: VarianceRequest | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Return energies, derivatives and variances; empty arrays if not asked for.

        Returns
        -------
        energies : (n_centres,) float64
            Local energies, eV.
        forces : (n_atoms, 3) float64
            Forces, eV/Å.
        virials : (n_frames, 3, 3) float64
            -Σ R ⊗ dE/dR, eV.
        atom_virials : (n_atoms, 3, 3) float64
            The same by neighbour, eV.
        variances : (n_centres,) float64
            Prior variance of all terms minus |W^T k|², eV²; may be slightly negative by
            rounding.
        """


class SoapDefinition(NamedTuple):
    """Definition of a descriptor: the arguments of the core, in their order.

    Attributes
    ----------
    table : (n_tables, n_knots, 3, l_max + 1, n_max) float64
        Radial functions and their first two derivatives at equidistant knots from 0.
    table_of : list of int
        Which table each species has.
    next : list of (int, float, int)
        Species, distance in Å and table: from there on the species has this one instead;
        by distance.
    spacing : float
        Distance of the knots, Å.
    centre : (n_tables, n_max) float64
        Contribution of the central atom to the densities.
    weighting : tuple
        Name of the function and its r0, c, d and m; see `Weighting`.
    channel : list of int
        Density channel of each species.
    species_weight : list of float
        Weight of each species.
    mixed : list of int
        Number of functions of each mixed channel, which combines all densities.
    mixing : (n_mixed, n_densities, n_max, n_max) float64
        How functions of densities enter mixed channels.
    central_in_all : bool
        Whether the central atom adds to every density, not only to that of its species.
    blocks : list of (int, int)
        Pairs of channels, in the order of the features.
    scale : (n_features,) float64
        Factor of each feature.
    products : {"all", "first", "equal"}
        Which functions of two channels are multiplied; see `FeatureList`.
    """

    table: np.ndarray
    table_of: list[int]
    next: list[tuple[int, float, int]]
    spacing: float
    centre: np.ndarray
    weighting: tuple[str, float, float, float, float]
    channel: list[int]
    species_weight: list[float]
    mixed: list[int]
    mixing: np.ndarray
    central_in_all: bool
    blocks: list[tuple[int, int]]
    scale: np.ndarray
    products: str


class NativeEngine:
    """Evaluation of SOAP in the C++ core.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    radial : RadialTables
        Radial functions and density channels of the species.
    cutoff : float
        Range of the neighbours, Å.
    weighting : Weighting
        Weight of a neighbour with its distance.
    features : FeatureList
        Products of densities that are features.
    scale : (n_features,) float64
        Factor of each feature; see `Features.prefactor`.
    central_in_all : bool
        Whether the central atom adds to every density, not only to that of its species.
    species_weights : sequence of float
        Weight of each species.
    """

    def __init__(
        self,
        species: tuple[int, ...],
        radial: RadialTables,
        *,
        cutoff: float,
        weighting: Weighting,
        features: FeatureList,
        scale: np.ndarray,
        central_in_all: bool = False,
        species_weights: Sequence[float] | None = None,
    ) -> None:
        self.species = species
        self.cutoff = cutoff
        self.features = features
        self.n_features = len(features)
        w = weighting
        self.definition = SoapDefinition(
            radial.table,
            radial.table_of,
            radial.next,
            radial.spacing,
            radial.centre * w.at_centre,
            (w.function, w.r0, w.c, w.d, w.m),
            radial.channel,
            list(species_weights or [1.0] * len(species)),
            features.mixed,
            features.mixing,
            central_in_all,
            features.blocks,
            scale,
            features.products,
        )
        self._core = _core.Soap(*self.definition)
        self._row_points = RowPoints(features)
        #: Seconds in descriptors, kernel and adjoint of the last prediction, all threads.
        self.last_seconds = (0.0, 0.0, 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_core"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._core = _core.Soap(*self.definition)

    def density_gram(self, pairs: Pairs) -> np.ndarray:
        """Return Σ c c^T over centres and m, (l_max + 1, n, n), by channel, then n."""
        with native_threads() as n_threads:
            gram: np.ndarray = self._core.density_gram(
                core_pairs(pairs, self.species), n_threads
            )
        return gram

    def environments(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return unit power spectra and their norms; see `SoapEngine`."""
        with native_threads() as n_threads:
            q, norms = self._core.environments(
                core_pairs(pairs, self.species), n_threads
            )
        return q, norms

    def points_of_rows(self, points: Sequence[SparsePoints]) -> list[SparsePoints]:
        """Return sparse points within fewer directions, by species; see `RowPoints`."""
        return [self._row_points.of(n, part) for n, part in enumerate(points)]

    def add_rows(
        self,
        pairs: Pairs,
        points: Sequence[SparsePoints],
        kernel: DotProductKernel,
        energies: np.ndarray,
        forces: np.ndarray | None,
        virials: np.ndarray | None,
    ) -> None:
        """Add kernel rows; see `SoapEngine`."""
        n_columns = energies.shape[1]
        with native_threads() as n_threads:
            self._core.add_rows(
                core_pairs(pairs, self.species),
                [
                    _core.Points(part.values, part.projection)
                    for part in self.points_of_rows(points)
                ],
                kernel.delta,
                kernel.zeta,
                energies,
                None
                if forces is None
                else forces.reshape(3 * pairs.n_atoms, n_columns),
                None
                if virials is None
                else virials.reshape(6 * pairs.n_frames, n_columns),
                n_threads,
            )

    def predict(
        self,
        pairs: Pairs,
        sums: Sequence[EnergySum],
        zeta: float,
        *,
        gradients: bool,
        atom_virials: bool,
        variance: VarianceRequest | None = None,
        ace: Any = None,
    ) -> tuple[np.ndarray, ...]:
        """Return energies, derivatives and variances; see `SoapEngine`.

        With `ace` the energies of a cluster expansion are added, see `Ace.shared`.
        """
        blocks = [
            _core.SparseBlock(
                _core.Points(energy_sum.points.values, energy_sum.points.projection),
                energy_sum.coefficients,
                zeta,
                energy_sum.quadratic,
            )
            for energy_sum in sums
        ]
        with native_threads() as n_threads:
            *out, self.last_seconds = self._core.predict(
                core_pairs(pairs, self.species),
                blocks,
                gradients,
                atom_virials,
                n_threads,
                None if variance is None else _core_variances(variance),
                ace,
            )
        return tuple(out)


def _core_variances(request: VarianceRequest) -> Any:
    blocks = [
        _core.VarianceBlock(
            _core.Points(form.points.values, form.points.projection),
            form.W.T,
            form.before,
            form.kernel.delta,
            form.kernel.zeta,
        )
        for form in request.forms
    ]
    return _core.Variances(blocks, request.k_other, request.prior)
