"""SOAP with the dot-product kernel: one block of sparse points per central species."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gapfit._support.paper import Paper
from gapfit.config.terms import SoapConfig
from gapfit.data.frame import to_voigt
from gapfit.data.neighbours import Pairs, separate
from gapfit.descriptors.density import leading, n_leading
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.papers import soap_papers
from gapfit.descriptors.protocol import (
    Descriptor,
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
    Sparse,
)
from gapfit.descriptors.row_points import SparsePoints, directions_nbytes
from gapfit.descriptors.soap_engine import (
    EnergySum,
    NativeEngine,
    SoapEngine,
    VarianceForm,
    VarianceRequest,
)
from gapfit.descriptors.soap_priors import soap_priors
from gapfit.descriptors.soap_sums import multiplications, projected, squared
from gapfit.descriptors.turbo_build import turbo_cautions

__all__ = ["Soap", "projected_forms"]

#: Name of the table of directions of channels, (l_max + 1, n_species · n_max, channels).
CONTRACTION = "contraction"

# About how many rows of derivatives, sparse points and environments the native core
# multiplies at once.
_CORE_ROWS, _CORE_POINTS, _CORE_ENVIRONMENTS = 1000, 1024, 128


class Soap(Descriptor):
    """SOAP term of a potential; see `gapfit.descriptors.protocol.Descriptor`.

    Parameters
    ----------
    config : SoapConfig
        Hyperparameters.
    engine : SoapEngine
        Computes power spectra, kernel rows and energies.
    species : tuple of int
        Atomic numbers, ascending: the blocks.
    projections : mapping of int to (n_features, width) float64, optional
        Directions U by block; the descriptor is U^T p/|p|, with the norm |p| of the full
        power spectrum.

    Attributes
    ----------
    dot_product : DotProductKernel
        Kernel between normalised power spectra.
    """

    complete = False
    atomic = True
    unit_vectors = True
    with_variances = True

    def __init__(
        self,
        config: SoapConfig,
        engine: SoapEngine,
        species: tuple[int, ...],
        projections: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        self.config = config
        self.engine = engine
        self.dot_product = DotProductKernel(config.delta, config.zeta)
        self.species = species
        self.blocks = _centres(config, species)
        self.projections = dict(projections or {})
        self.components = config.components
        self.displacement = config.atom_sigma
        self.cutoff = engine.cutoff
        self.n_features = engine.n_features
        self.lossless = isinstance(engine, NativeEngine)
        #: Engine of the densities that channels are combined of; None if the combinations
        #: are known, or if there are none.
        self.primitive: NativeEngine | None = None

    @property
    def adaptive(self) -> bool:
        """Whether channels are still to be combined from the data."""
        return self.primitive is not None

    def environment_sums(self, pairs: Pairs) -> np.ndarray:
        """Return Σ c c^T of the densities, (l_max + 1, n, n)."""
        assert self.primitive is not None
        return self.primitive.density_gram(pairs)

    def adapted_basis(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the directions of the channels in the densities."""
        q = n_leading(sums, self.config.channels)
        return {CONTRACTION: leading(sums, q)}

    def kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the kernel matrix between environments of one block, eV²."""
        return self.dot_product.matrix(left, right)

    def variances(self, values: np.ndarray) -> np.ndarray:
        """Return k(x, x) of environments of one block, (n,), eV²."""
        return self.dot_product.value(np.einsum("nf,nf->n", values, values))

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

    def points_of(self, species: int, sparse: Sparse) -> SparsePoints:
        """Return the sparse points of a central species, none if it has no block."""
        if species not in self.blocks:
            return SparsePoints(np.zeros((0, self.n_features)))
        return SparsePoints(sparse[species], self.projections.get(species))

    def kernel_rows(
        self, pairs: Pairs, sparse: Sparse, *, gradients: bool, virials: bool = True
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
            virials=np.zeros((pairs.n_frames, 6, n_columns if virials else 0)),
        )
        self.engine.add_rows(
            pairs,
            [self.points_of(z, sparse) for z in self.species],
            self.dot_product,
            rows.energies,
            rows.forces if gradients else None,
            rows.virials if gradients and virials else None,
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
            points = self.points_of(z, sparse)
            c = variance * coefficients[z] if z in self.blocks else np.zeros(0)
            choices = [EnergySum(points, c)]
            if projections and z in projections:
                choices.append(EnergySum(projected(points, projections[z]), c))
            if quadratic and self.dot_product.zeta == 2 and len(c):
                choices += [squared(choice) for choice in choices]
            out.append(min(choices, key=self._cost))
        return out

    def predict(
        self,
        pairs: Pairs,
        prepared: list[EnergySum],
        *,
        gradients: bool,
        atom_virials: bool = False,
        variance: VarianceRequest | None = None,
        ace: Any = None,
    ) -> LocalPrediction:
        """Return energies, forces and virials; one GEMM forward, one backward.

        With dE/dp̂ = Σ_s c_s k'(T_s) p̂_s: dE/dp = (dE/dp̂ - p̂ (p̂·dE/dp̂)) / |p|, whose
        adjoint gives dE/dR of every pair. With `variance`, the variances of the local
        energies of all terms are included; with `ace`, those of a cluster expansion of the
        same densities (`Ace.shared`).
        """
        options = {} if ace is None else {"ace": ace}
        if variance is not None and variance.lossless:
            variance = replace(
                variance, forms=projected_forms(variance.forms, prepared)
            )
        energies, forces, virials, local, variances = self.engine.predict(
            pairs,
            prepared,
            self.dot_product.zeta,
            gradients=gradients,
            atom_virials=atom_virials,
            variance=variance,
            **options,
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
        return VarianceForm(self.points_of(species, sparse), kernel, W, before)

    def operations(
        self, n_sparse: int, width: int, rank: int | None, *, quadratic: bool
    ) -> float:
        """Return the multiplications for one environment in the cheapest way."""
        ways = [False, True] if quadratic and self.dot_product.zeta == 2 else [False]
        return min(
            multiplications(
                self.n_features,
                n_sparse,
                rank or width,
                projected=rank is not None or width < self.n_features,
                quadratic=way,
            )
            for way in ways
        )

    def _cost(self, choice: EnergySum) -> float:
        n_sparse, width = choice.points.values.shape
        return multiplications(
            self.n_features,
            n_sparse,
            width,
            projected=choice.points.projection is not None,
            quadratic=choice.quadratic,
        )

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
        n_rows = _CORE_ROWS if gradients else _CORE_ENVIRONMENTS
        kernels = 2 * _CORE_ENVIRONMENTS * min(n_sparse, _CORE_POINTS * threads)
        # Rows with all features and projected, kernels and slopes, points in panels.
        core = 8 * (2 * n_rows * width + kernels + n_sparse * width)
        n_blocks = len(self.blocks)
        return core + directions_nbytes(n_blocks, self.n_features, n_blocks * n_sparse)

    def cautions(self) -> Iterator[str]:
        """Yield warnings about the settings, for a fit."""
        yield from turbo_cautions(self.config)
        config, weighting = self.config, self.config.weighting
        r0 = weighting.r0 or config.r_cut
        # A poly weight that ends beyond the reach of the basis is cut off there, too.
        if weighting.function != "poly" or r0 > self.cutoff:
            yield (
                f"weighting.function = {weighting.function!r} (r0 = {r0} Å) does not "
                f"vanish at the cutoff ({self.cutoff:.2f} Å): energies jump as atoms "
                'cross it; use function = "poly" with r0 = r_cut for dynamics'
            )
        if config.n_max > 12:
            yield (
                f"n_max = {config.n_max}: the radial basis is ill-conditioned above 12; "
                "8 is as accurate"
            )

    def papers(self) -> Iterable[tuple[str, Paper]]:
        """Return the methods used, in words, each with its paper."""
        return soap_papers(self.config)


def projected_forms(
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


def _centres(config: SoapConfig, species: tuple[int, ...]) -> tuple[int, ...]:
    """Return the central species of a term, those among `species` that it names."""
    from ase.data import atomic_numbers

    named = {atomic_numbers[symbol] for symbol in config.centres} or set(species)
    return tuple(z for z in species if z in named)
