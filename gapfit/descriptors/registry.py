"""The kinds of descriptors: how terms are made of their configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.config.term_base import TermConfig, register_term
from gapfit.config.terms import (
    AceConfig,
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
)
from gapfit.descriptors.ace import ace_features, ace_term
from gapfit.descriptors.ace_radial import ace_basis, ace_basis_shapes
from gapfit.descriptors.angle_3b import triplet_term
from gapfit.descriptors.distance_2b import pair_mean, pair_term
from gapfit.descriptors.eam_density import density_term
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.protocol import Descriptor
from gapfit.descriptors.soap_build import (
    soap_basis,
    soap_basis_shapes,
    soap_term,
    soap_width,
)
from gapfit.errors import GapfitError

__all__ = ["Kind", "kind_of", "register"]

#: Tables that define a descriptor, and their shapes (None: any length).
Basis = dict[str, np.ndarray]
BasisShapes = dict[str, tuple[int | None, ...]]


def _none(*_: object) -> None:
    """Return None: there is no prior mean."""


def _no_tables(*_: object) -> dict[str, Any]:
    return {}


def _one(*_: object) -> int:
    return 1


@dataclass(frozen=True)
class Kind:
    """Functions of the configuration of a term, see `register`."""

    build: Callable[
        [Any, tuple[int, ...], Basis, Mapping[int, np.ndarray] | None], Descriptor
    ]
    basis: Callable[[Any], Basis]
    basis_shapes: Callable[[Any], BasisShapes]
    prior_mean: Callable[[Any, tuple[int, ...]], PairTable | None]
    n_features: Callable[[Any, tuple[int, ...]], int]


_KINDS: dict[str, Kind] = {}


def register(
    model: type[TermConfig],
    build: Callable[..., Descriptor],
    *,
    basis: Callable[[Any], Basis] = _no_tables,
    basis_shapes: Callable[[Any], BasisShapes] = _no_tables,
    prior_mean: Callable[[Any, tuple[int, ...]], PairTable | None] = _none,
    n_features: Callable[[Any, tuple[int, ...]], int] = _one,
) -> None:
    """Register a descriptor for configurations, fits and model files.

    Parameters
    ----------
    model : type of TermConfig
        Its configuration; the default of ``type`` names the kind.
    build : callable
        Called as ``build(config, species, basis, projections)``: the configuration, the
        atomic numbers of the potential, the tables from `basis`, and by block the
        directions (n_features, width) to project on, or None.
    basis, basis_shapes : callable
        Called with the configuration: tables that define the descriptor, float64, which
        model files keep; and their shapes.
    prior_mean : callable
        Called with the configuration and the atomic numbers: pair potentials that are
        subtracted from the labels before the fit; or None.
    n_features : callable
        Called with the configuration and the atomic numbers: numbers of an environment. A
        model file without an array of as many is refused before memory is taken for them.

    Raises
    ------
    ValueError
        See `gapfit.config.register_term`.
    """
    register_term(model)
    name = model.model_fields["type"].default
    _KINDS[name] = Kind(build, basis, basis_shapes, prior_mean, n_features)


def kind_of(config: TermConfig) -> Kind:
    """Return the functions that make a term of its configuration.

    Raises
    ------
    GapfitError
        There is no such kind.
    """
    if config.type not in _KINDS:
        raise GapfitError(
            f'type = "{config.type}" has no descriptor; call '
            "gapfit.descriptors.registry.register with its model and its class"
        )
    return _KINDS[config.type]


register(
    SoapConfig,
    soap_term,
    basis=soap_basis,
    basis_shapes=soap_basis_shapes,
    n_features=soap_width,
)
register(Distance2bConfig, pair_term, prior_mean=pair_mean)
register(Angle3bConfig, triplet_term)
register(
    AceConfig,
    ace_term,
    basis=ace_basis,
    basis_shapes=ace_basis_shapes,
    n_features=ace_features,
)
register(EamDensityConfig, density_term)
