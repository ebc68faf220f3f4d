"""Terms of a potential: a descriptor with its sparse points and coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gapfit._support.caching import WithoutCaches
from gapfit.config.checks import turned
from gapfit.config.sections import SparseTermConfig, TermConfig
from gapfit.data.neighbours import Pairs
from gapfit.descriptors.protocol import Descriptor, LocalPrediction, Sparse
from gapfit.descriptors.registry import kind_of
from gapfit.errors import ConfigError, GapfitError
from gapfit.threads import one_thread

__all__ = [
    "FittedTerm",
    "basis_shapes",
    "build_term",
    "coefficient_vector",
    "feature_count",
    "new_basis",
    "new_terms",
    "with_coefficients",
]


@dataclass(frozen=True, eq=False, repr=False)
class FittedTerm(WithoutCaches):
    """One term: its descriptor, sparse points and their coefficients.

    Attributes
    ----------
    config : TermConfig
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

    config: TermConfig
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

    @property
    def members(self) -> str:
        """What its coefficients belong to, in words."""
        return "functions" if self.config.points_method is None else "sparse points"

    def n_wanted(self, block: int) -> int:
        """Return how many sparse points the term wants for a block."""
        if self.descriptor.linear:
            return self.descriptor.n_features
        assert isinstance(self.config, SparseTermConfig)
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
        **requests: Any,
    ) -> LocalPrediction:
        """Return the contribution of this term; see `Descriptor.predict`.

        A descriptor `with_variances` can give those of local energies, too (`variance`,
        see `gapfit.model.local_variance`), and SOAP what another term adds to them (`ace`,
        see `Ace.shared`); None: it is not asked for.
        """
        options = {name: value for name, value in requests.items() if value is not None}
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


def new_basis(config: TermConfig) -> dict[str, np.ndarray]:
    """Return the tables that define the descriptor of a term; empty for most kinds."""
    return kind_of(config).basis(config)


def basis_shapes(config: TermConfig) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of the basis tables (None: any length)."""
    return kind_of(config).basis_shapes(config)


def feature_count(config: TermConfig, species: tuple[int, ...]) -> int:
    """Return how many numbers an environment of a term has, before it is built."""
    return kind_of(config).n_features(config, species)


def build_term(
    config: TermConfig,
    species: tuple[int, ...],
    basis: dict[str, np.ndarray],
    projections: Mapping[int, np.ndarray] | None = None,
) -> FittedTerm:
    """Return a term without sparse points.

    Parameters
    ----------
    config : TermConfig
        Hyperparameters.
    species : tuple of int
        Atomic numbers of the potential, ascending.
    basis : dict of str to ndarray
        From `new_basis` or from a model file.
    projections : mapping of int to (n_features, width) float64, optional
        Directions that the descriptor of each block is projected on.
    """
    descriptor = kind_of(config).build(config, species, basis, projections)
    return FittedTerm(config, species, basis, descriptor)


def new_terms(
    configs: Sequence[TermConfig], species: tuple[int, ...]
) -> list[FittedTerm]:
    """Return the terms of a configuration without sparse points.

    Raises
    ------
    ConfigError
        Some cannot be made for these species; all are listed by their numbers.
    """
    terms, errors = [], []
    for n, config in enumerate(configs):
        try:
            # The last digits of a basis must not depend on the number of threads, and
            # functions of a cluster expansion are kept for the fit.
            with one_thread():
                terms.append(build_term(config, species, new_basis(config)))
        except GapfitError as error:
            errors.append(f"[[terms]] {n + 1}: {error}")
    if errors:
        raise ConfigError("\n".join(errors))
    return terms
