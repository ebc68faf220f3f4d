"""SOAP with the dot-product kernel: one block of sparse points per central species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gapfit.data.frame import to_voigt
from gapfit.data.neighbours import Pairs, separate
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.protocol import (
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
    Sparse,
)
from gapfit.descriptors.soap_engine import (
    EnergySum,
    SoapEngine,
    SparsePoints,
    VarianceForm,
    VarianceRequest,
)
from gapfit.descriptors.soap_priors import soap_priors

__all__ = ["Soap", "operations", "shortened"]


class Soap:
    """SOAP term of a potential; see `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    engine : SoapEngine
        Computes power spectra, kernel rows and energies.
    kernel : DotProductKernel
        Kernel between normalised power spectra.
    species : tuple of int
        Atomic numbers, ascending: the blocks.
    projections : mapping of int to (n_features, width) float64, optional
        Directions U by block; the descriptor is U^T p/|p|, with the norm |p| of the full
        power spectrum.
    centres : tuple of int, optional
        Central species that have sparse points, ascending; all when absent.
    """

    def __init__(
        self,
        engine: SoapEngine,
        kernel: DotProductKernel,
        species: tuple[int, ...],
        projections: Mapping[int, np.ndarray] | None = None,
        centres: tuple[int, ...] | None = None,
    ) -> None:
        self.engine = engine
        self.dot_product = kernel
        self.species = species
        self.blocks = species if centres is None else centres
        self.projections = dict(projections or {})
        self.cutoff = engine.cutoff
        self.lengths: np.ndarray | None = None

    def label(self, block: int) -> str:
        """Return the symbol of a central species."""
        from ase.data import chemical_symbols

        return str(chemical_symbols[block])

    @property
    def n_features(self) -> int:
        """Length of a power spectrum."""
        return self.engine.n_features

    def width(self, block: int) -> int:
        """Length of the descriptors of a block: features, or directions kept."""
        U = self.projections.get(block)
        return self.n_features if U is None else U.shape[1]

    def carriers(self, block: int) -> tuple[int, ...]:
        """Return the species of the atoms whose energies have the kernels of a block."""
        return (block,)

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""
        return self.dot_product.matrix(left, right)

    def covariances(
        self, pairs: Pairs, sparse: Sparse
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances of local energies with those of sparse points, and priors.

        Prior variances are those of the full descriptor: the sparse points do not explain
        what a projection discards, so it adds to the uncertainty.
        """
        ends = np.cumsum([0] + [len(sparse[z]) for z in self.blocks])
        k_m = np.zeros((pairs.n_centres, ends[-1]))
        prior = np.zeros(pairs.n_centres)
        environments = self.environments(pairs)
        for n, z in enumerate(self.blocks):
            at, values = environments[z].atoms - pairs.start, environments[z].values
            k_m[at, ends[n] : ends[n + 1]] = self.kernel(values, sparse[z])
            prior[at] = np.where(values.any(axis=1), self.dot_product.delta**2, 0.0)
        return k_m, prior

    def prior_variances(self, pairs: Pairs, *, gradients: bool) -> PriorVariances:
        """Return prior variances of energies, forces and virials.

        As in `covariances`, they are those of the full descriptor even if it is projected.
        """
        return PriorVariances.joined(
            [
                soap_priors(
                    self.engine,
                    self.dot_product,
                    self.species,
                    self.blocks,
                    frame,
                    gradients=gradients,
                )
                for frame in separate(pairs)
            ]
        )

    def environments(self, pairs: Pairs) -> dict[int, Environments]:
        """Return the unit power spectra (or projections) of all centres by species."""
        q, _ = self.engine.environments(pairs)
        numbers = pairs.numbers[pairs.start : pairs.stop]
        by_block = {}
        for z in self.blocks:
            centres = np.flatnonzero(numbers == z)
            values = q if len(centres) == len(q) else q[centres]
            if z in self.projections:
                values = values @ self.projections[z]
            by_block[z] = Environments(pairs.start + centres, values)
        return by_block

    def _points(self, species: int, sparse: Sparse) -> SparsePoints:
        """Return the sparse points of a central species, none if it has no block."""
        if species not in self.blocks:
            return SparsePoints(np.zeros((0, self.n_features)))
        return SparsePoints(sparse[species], self.projections.get(species))

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool
    ) -> KernelRows:
        """Return the rows of K_nm: energies, forces and virials of a pair list.

        With T = p̂·p̂_s and D = dp/dR_j, the row of a pair is
        dk/dR_j = k'(T)/|p| (D·p̂_s - (D·p̂) T). It is added to the force row of the centre,
        subtracted from that of j, and -R ⊗ dk/dR_j is added to the virial row.
        """
        n_sparse = sum(len(points) for points in sparse.values())
        n_columns = n_sparse if gradients else 0
        rows = KernelRows(
            energies=np.zeros((pairs.n_frames, n_sparse)),
            forces=np.zeros((pairs.n_atoms, 3, n_columns)),
            virials=np.zeros((pairs.n_frames, 6, n_columns)),
        )
        self.engine.add_rows(
            pairs,
            [self._points(z, sparse) for z in self.species],
            self.dot_product,
            rows.energies,
            rows.forces if gradients else None,
            rows.virials if gradients else None,
        )
        return rows

    def prepare(
        self,
        sparse: Sparse,
        coefficients: Mapping[int, np.ndarray],
        *,
        projections: Mapping[int, np.ndarray] | None = None,
        quadratic: bool = False,
    ) -> list[EnergySum]:
        """Return the sums over sparse points for `predict`, by central species.

        Parameters
        ----------
        sparse : dict of int to (n_sparse, width) float64
            Sparse points by block.
        coefficients : dict of int to (n_sparse,) float64
            Coefficients, 1/eV.
        projections : dict of int to (width, rank) float64, optional
            Directions that span the sparse points within a tolerance, in which the sum over
            sparse points is taken; see `gapfit.model.projection`.
        quadratic : bool
            For zeta = 2, replace sums over sparse points by p̂^T A p̂ with
            A = delta² Σ_s c_s p̂_s p̂_s^T (exact) where that is cheaper.
        """
        variance = self.dot_product.delta**2
        out = []
        for z in self.species:
            points = self._points(z, sparse)
            c = variance * coefficients[z] if z in self.blocks else np.zeros(0)
            choices = [EnergySum(points, c)]
            if projections and z in projections:
                choices.append(EnergySum(_projected(points, projections[z]), c))
            if quadratic and self.dot_product.zeta == 2 and len(c):
                choices += [_squared(choice) for choice in choices]
            out.append(min(choices, key=lambda choice: _cost(choice, self.n_features)))
        return out

    def predict(
        self,
        pairs: Pairs,
        prepared: list[EnergySum],
        *,
        gradients: bool,
        atom_virials: bool = False,
        variance: VarianceRequest | None = None,
    ) -> LocalPrediction:
        """Return energies, forces and virials; one GEMM forward, one backward.

        With dE/dp̂ = Σ_s c_s k'(T_s) p̂_s: dE/dp = (dE/dp̂ - p̂ (p̂·dE/dp̂)) / |p|, whose
        adjoint gives dE/dR of every pair. With `variance`, the variances of the local
        energies of all terms are included.
        """
        if variance is not None and variance.lossless:
            variance = replace(variance, forms=shortened(variance.forms, prepared))
        energies, forces, virials, local, variances = self.engine.predict(
            pairs,
            prepared,
            self.dot_product.zeta,
            gradients=gradients,
            atom_virials=atom_virials,
            variance=variance,
        )
        return LocalPrediction(energies, forces, to_voigt(virials), local, variances)

    def variance_form(
        self, species: int, sparse: Sparse, W: np.ndarray, before: int
    ) -> VarianceForm:
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
        kernel = self.dot_product
        if species not in self.blocks:
            kernel = replace(kernel, delta=0.0)
        return VarianceForm(self._points(species, sparse), kernel, W, before)


def shortened(
    forms: Sequence[VarianceForm], sums: Sequence[EnergySum]
) -> list[VarianceForm]:
    """Return variance forms with the points of the energy sums, unless these are quadratic.

    Parameters
    ----------
    forms, sums : sequence of VarianceForm and of EnergySum
        Forms and sums by central species.
    """
    return [
        form if energy_sum.quadratic else replace(form, points=energy_sum.points)
        for form, energy_sum in zip(forms, sums, strict=True)
    ]


def _projected(points: SparsePoints, V: np.ndarray) -> SparsePoints:
    U = points.projection
    return SparsePoints(
        points.values @ V, np.ascontiguousarray(V if U is None else U @ V)
    )


def _squared(choice: EnergySum) -> EnergySum:
    """Return the quadratic form that equals a sum over sparse points with zeta = 2."""
    P = choice.points.values
    A = (P.T * choice.coefficients) @ P
    points = SparsePoints(0.5 * (A + A.T), choice.points.projection)
    return EnergySum(points, np.zeros(0), quadratic=True)


def _cost(choice: EnergySum, n_features: int) -> float:
    n_sparse, width = choice.points.values.shape
    return operations(
        n_features,
        n_sparse,
        width,
        projected=choice.points.projection is not None,
        quadratic=choice.quadratic,
    )


def operations(
    n_features: int, n_sparse: int, width: int, *, projected: bool, quadratic: bool
) -> float:
    """Return the number of multiplications for one local energy and its slope.

    Parameters
    ----------
    n_features, n_sparse, width : int
        Length of the power spectrum; number and length of the sparse points.
    projected : bool
        Whether power spectra are projected on `width` directions first.
    quadratic : bool
        Whether a quadratic form replaces the sparse points.
    """
    form = width**2 if quadratic else 2 * n_sparse * width
    return form + (2 * n_features * width if projected else 0)
