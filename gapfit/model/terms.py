"""Terms of a potential: a descriptor with its sparse points and coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gapfit._support.caching import WithoutCaches
from gapfit.config.checks import turned
from gapfit.config.sections import Angle3bConfig, Distance2bConfig, SoapConfig, Term
from gapfit.data.neighbours import Pairs
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.kernels import (
    DotProductKernel,
    PermutedExponential,
    ProductExponential,
    SquaredExponential,
)
from gapfit.descriptors.protocol import Descriptor, LocalPrediction, Sparse
from gapfit.descriptors.radial import GtoDensity, RadialDensity, Weighting, reach
from gapfit.descriptors.soap import Soap
from gapfit.descriptors.soap_engine import NativeEngine, SoapEngine, VarianceRequest
from gapfit.descriptors.soap_features import Features
from gapfit.descriptors.switch import Switch

__all__ = [
    "FittedTerm",
    "basis_shapes",
    "build_term",
    "coefficient_vector",
    "new_basis",
    "with_coefficients",
]


_KERNELS_3B = {"angle": ProductExponential, "distances": PermutedExponential}


@dataclass(frozen=True, eq=False, repr=False)
class FittedTerm(WithoutCaches):
    """One term: its descriptor, sparse points and their coefficients.

    Attributes
    ----------
    config : SoapConfig, Distance2bConfig or Angle3bConfig
        Hyperparameters.
    species : tuple of int
        Atomic numbers of the potential, ascending.
    basis : dict of str to ndarray
        Tables that define the descriptor, stored with the model.
    descriptor : Descriptor
        Evaluates kernels and energies.
    sparse : dict of int to (n_sparse, width) float64
        Sparse points by block.
    coefficients : dict of int to (n_sparse,) float64
        Coefficients c by block, 1/eV; empty before the fit.
    lossless : dict of int to (width, rank) float64
        By block, directions of the lossless projection; see `gapfit.model.projection`.
    quadratic : bool
        Whether zeta = 2 is evaluated as a quadratic form where that is cheaper.
    """

    config: Term
    species: tuple[int, ...]
    basis: dict[str, np.ndarray]
    descriptor: Descriptor
    sparse: Sparse = field(default_factory=dict)
    coefficients: dict[int, np.ndarray] = field(default_factory=dict)
    lossless: dict[int, np.ndarray] = field(default_factory=dict)
    quadratic: bool = True

    @property
    def projections(self) -> Mapping[int, np.ndarray]:
        """By block, the directions that the descriptor is projected on."""
        return self.descriptor.projections

    @property
    def n_sparse(self) -> int:
        """Number of sparse points in all blocks."""
        return sum(len(points) for points in self.sparse.values())

    def n_wanted(self, block: int) -> int:
        """Return how many sparse points the configuration wants for a block."""
        label, given = self.descriptor.label(block), self.config.species_n_sparse
        return given.get(label, given.get(turned(label), self.config.n_sparse))

    @cached_property
    def prepared(self) -> Any:
        """Arrays for predictions; see `Descriptor.prepare`."""
        return self.descriptor.prepare(
            self.sparse,
            self.coefficients,
            projections=self.lossless,
            quadratic=self.quadratic,
        )

    def predict(
        self,
        pairs: Pairs,
        *,
        gradients: bool,
        atom_virials: bool = False,
        variance: VarianceRequest | None = None,
    ) -> LocalPrediction:
        """Return the contribution of this term; see `Descriptor.predict`.

        A SOAP term can give the variances of local energies, too; see
        `gapfit.model.local_variance`.
        """
        options = {} if variance is None else {"variance": variance}
        return self.descriptor.predict(
            pairs.within(self.descriptor.cutoff),
            self.prepared,
            gradients=gradients,
            atom_virials=atom_virials,
            **options,
        )


def with_coefficients(
    terms: Sequence[FittedTerm], vector: np.ndarray
) -> list[FittedTerm]:
    """Return terms with the coefficients (n_sparse,) of all of them, 1/eV."""
    out, first = [], 0
    for term in terms:
        coefficients = {}
        for block, points in term.sparse.items():
            coefficients[block] = vector[first : first + len(points)].copy()
            first += len(points)
        out.append(replace(term, coefficients=coefficients))
    return out


def coefficient_vector(terms: Sequence[FittedTerm]) -> np.ndarray:
    """Return the coefficients of all terms and blocks, (n_sparse,) float64, 1/eV."""
    return np.concatenate(
        [term.coefficients[block] for term in terms for block in term.sparse]
    )


def new_basis(config: Term) -> dict[str, np.ndarray]:
    """Return the basis tables of a term, from dscribe unless they are QUIP's."""
    if not isinstance(config, SoapConfig):
        return {}
    if config.rbf == "polynomial":
        from gapfit.descriptors.radial_polynomial import polynomial_basis

        return polynomial_basis(config.r_cut, config.n_max)
    if config.rbf == "equispaced_gaussians":
        from gapfit.descriptors.radial_equispaced import equispaced_basis

        return equispaced_basis(config.r_cut, config.n_max, config.atom_sigma)
    from gapfit.descriptors.soap_dscribe import gto_basis

    return gto_basis(config.r_cut, config.n_max, config.l_max)


def basis_shapes(config: Term) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of the basis tables (None: any length)."""
    if not isinstance(config, SoapConfig):
        return {}
    degrees, n_max = config.l_max + 1, config.n_max
    if config.rbf == "polynomial":
        n_nodes = 100
        return {"nodes": (n_nodes,), "weights": (n_nodes,), "values": (n_max, n_nodes)}
    if config.rbf == "equispaced_gaussians":
        return {"nodes": (n_max,), "transform": (n_max, n_max)}
    return {"alphas": (degrees, n_max), "betas": (degrees, n_max, n_max)}


def build_term(
    config: Term,
    species: tuple[int, ...],
    basis: dict[str, np.ndarray],
    projections: Mapping[int, np.ndarray] | None = None,
) -> FittedTerm:
    """Return a term without sparse points.

    Parameters
    ----------
    config : SoapConfig, Distance2bConfig or Angle3bConfig
        Hyperparameters.
    species : tuple of int
        Atomic numbers of the potential, ascending.
    basis : dict of str to ndarray
        From `new_basis` or from a model file.
    projections : mapping of int to (n_features, width) float64, optional
        Directions that the descriptor of each block is projected on.
    """
    descriptor: Descriptor
    if isinstance(config, Distance2bConfig):
        descriptor = Distance2b(
            species,
            SquaredExponential(config.delta, config.theta),
            Switch(config.r_cut, config.width, config.switch),
        )
    elif isinstance(config, Angle3bConfig):
        descriptor = Angle3b(
            species,
            _KERNELS_3B[config.coordinates](config.delta, tuple(config.theta)),
            Switch(config.r_cut, config.width, config.switch),
        )
    else:
        kernel = DotProductKernel(config.delta, config.zeta)
        engine = _soap_engine(config, species, basis)
        centres = _centres(config, species)
        descriptor = Soap(engine, kernel, species, projections, centres)
    return FittedTerm(config, species, basis, descriptor)


def _soap_engine(
    config: SoapConfig, species: tuple[int, ...], basis: dict[str, np.ndarray]
) -> SoapEngine:
    weighting = _weighting(config)
    cutoff = reach(config.r_cut, config.atom_sigma, weighting)
    n_channels = len(config.quip.neighbours) or len(species)
    features = Features(n_channels, config.n_max, config.l_max, config.compression)
    weights = _species_weights(config, species)
    quip = config.rbf == "equispaced_gaussians"
    full = config.full_kernel or quip
    if config.engine == "dscribe":
        from gapfit.descriptors.soap_dscribe import DscribeEngine, dscribe_options

        return DscribeEngine(
            species,
            dscribe_options(config, weighting, weights),
            cutoff=cutoff,
            scale=features.prefactor(full=full) / features.prefactor(full=False),
        )
    return NativeEngine(
        species,
        _density(config, basis),
        cutoff=cutoff,
        weighting=weighting,
        features=features,
        channels=_channels(config, species, features),
        scale=features.prefactor(full=full, plain=config.quip.plain),
        central_in_all=config.quip.central_in_all,
        species_weights=list(weights.values()),
    )


def _channels(
    config: SoapConfig, species: tuple[int, ...], features: Features
) -> list[int]:
    """Return the density channel of each species, also of those with weight zero."""
    from ase.data import atomic_numbers

    if not config.quip.neighbours:
        return features.channels
    named = sorted(atomic_numbers[symbol] for symbol in config.quip.neighbours)
    return [named.index(z) if z in named else 0 for z in species]


def _weighting(config: SoapConfig) -> Weighting:
    if config.rbf == "equispaced_gaussians":
        quip = config.quip
        return Weighting("cosine", config.r_cut, d=quip.width, w0=quip.central_weight)
    w = config.weighting
    return Weighting(w.function, w.r0 or config.r_cut, w.c, w.d, w.m, w.w0)


def _density(config: SoapConfig, basis: dict[str, np.ndarray]) -> RadialDensity:
    if config.rbf == "polynomial":
        from gapfit.descriptors.radial_polynomial import PolynomialDensity

        return PolynomialDensity(basis, config.l_max, config.atom_sigma)
    if config.rbf == "equispaced_gaussians":
        from gapfit.descriptors.radial_equispaced import EquispacedDensity

        return EquispacedDensity(basis, config.l_max, config.atom_sigma)
    return GtoDensity(basis["alphas"], basis["betas"], config.atom_sigma)


def _centres(config: SoapConfig, species: tuple[int, ...]) -> tuple[int, ...]:
    """Return the central species of a term, those among `species` that it names."""
    from ase.data import atomic_numbers

    named = {atomic_numbers[symbol] for symbol in config.centres} or set(species)
    return tuple(z for z in species if z in named)


def _species_weights(config: SoapConfig, species: tuple[int, ...]) -> dict[str, float]:
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in species]
    if named := config.quip.neighbours:
        return {symbol: float(symbol in named) for symbol in symbols}
    return {symbol: config.species_weights.get(symbol, 1.0) for symbol in symbols}
