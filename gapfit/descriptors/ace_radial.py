"""Radial functions of the cluster expansion: Bessel functions and their combinations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.config.terms import AceConfig
from gapfit.descriptors.density import RadialTables, leading
from gapfit.descriptors.radial import Weighting
from gapfit.descriptors.radial_bessel import bessel_functions, bessel_table
from gapfit.descriptors.soap_engine import NativeEngine
from gapfit.descriptors.soap_features import Features
from gapfit.errors import GapfitError

__all__ = [
    "COMBINATIONS",
    "MOST_BESSEL",
    "ace_basis",
    "ace_basis_shapes",
    "bessel_engine",
    "combinations_of",
    "contracted",
    "radial_tables",
]

#: Radial functions of more Bessel functions than this are refused.
MOST_BESSEL = 64
#: Name of the table of factors of the Bessel functions.
COMBINATIONS = "combinations"
# Bessel functions of each species that are combined from the data.
_PRIMITIVE = 8
# Power of 1 + n by which the n-th Bessel function counts less in combinations.
_SMOOTHNESS = 1.0


def ace_basis(config: AceConfig) -> dict[str, np.ndarray]:
    """Return the basis tables of a term before it has seen data."""
    return {COMBINATIONS: _bessel(config)} if config.radial == "combined" else {}


def ace_basis_shapes(config: AceConfig) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of the basis tables (None: any length)."""
    shape = (max(config.l_max) + 1, max(config.n_max), None)
    if config.radial == "combined":
        return {COMBINATIONS: shape}
    return {COMBINATIONS: (None, *shape)} if config.radial == "contracted" else {}


def combinations_of(
    config: AceConfig, species: tuple[int, ...], basis: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the factors of the Bessel functions in each radial function.

    Returns
    -------
    (n_tables, l_max + 1, n_max, n_bessel) float64
        One table for all species, or one for each.

    Raises
    ------
    GapfitError
        There are more Bessel functions than `MOST_BESSEL`, other tables than species, or
        more combinations than functions.
    """
    if config.radial != "contracted":
        combinations = basis.get(COMBINATIONS, _bessel(config))[None]
    elif COMBINATIONS in basis:
        combinations = basis[COMBINATIONS]
        if len(combinations) != len(species):
            raise GapfitError(
                f"ace: radial functions of {len(combinations)} species, not of "
                f"{len(species)}"
            )
    else:
        combinations = _unknown(config, len(species))
    n_bessel = combinations.shape[3]
    if not 1 <= n_bessel <= MOST_BESSEL:
        raise GapfitError(
            f"ace: radial functions of {n_bessel} Bessel functions; 1 to {MOST_BESSEL} "
            "are supported"
        )
    return combinations


def radial_tables(
    config: AceConfig, species: tuple[int, ...], combinations: np.ndarray
) -> RadialTables:
    """Return the radial functions as the core takes them.

    Each species has a density of its own; contracted functions differ between species and
    make one density of them all.
    """
    tables, spacings = zip(
        *(bessel_table(config.r_cut, table) for table in combinations), strict=True
    )
    n_species = len(species)
    every, first = list(range(n_species)), [0] * n_species
    is_contracted = config.radial == "contracted"
    return RadialTables(
        np.array(tables),
        every if is_contracted else first,
        spacings[0],
        np.zeros((len(tables), combinations.shape[2])),
        first if is_contracted else every,
    )


def bessel_engine(config: AceConfig, species: tuple[int, ...]) -> NativeEngine:
    """Return the engine of the densities that are combined: Bessel functions by species."""
    l_max, n_bessel = max(config.l_max), _primitive(config)
    plain = config.model_copy(update={"radial": "bessel"})
    functions = bessel_functions(l_max, n_bessel)[None]
    features = Features(len(species), n_bessel, l_max)
    return NativeEngine(
        species,
        radial_tables(plain, species, functions),
        cutoff=config.r_cut,
        weighting=Weighting("none", config.r_cut),
        features=features,
        scale=np.ones(len(features)),
    )


def contracted(config: AceConfig, n_species: int, gram: np.ndarray) -> np.ndarray:
    """Return the combinations of Bessel functions and species that vary most.

    Densities of the many distant neighbours vary most, in functions of many nodes, and say
    least. So variances are those of densities divided by 1 + n, as the prior does it.

    Parameters
    ----------
    config : AceConfig
        How many are wanted.
    n_species : int
        Species of neighbours.
    gram : (l_max + 1, n_species · n_bessel, n_species · n_bessel) float64
        Σ c c^T of the densities of `bessel_engine` over all data.

    Returns
    -------
    (n_species, l_max + 1, n_max, n_bessel) float64
        By decreasing variance.
    """
    n_bessel, q = _primitive(config), max(config.n_max)
    weight = np.tile(1.0 + np.arange(n_bessel), n_species) ** -_SMOOTHNESS
    vectors = leading(weight[:, None] * gram * weight, q)
    factors = (weight[:, None] * vectors).reshape(len(gram), n_species, n_bessel, q)
    return np.ascontiguousarray(factors.transpose(1, 0, 3, 2))


def _primitive(config: AceConfig) -> int:
    return max(_PRIMITIVE, *config.n_max)


def _unknown(config: AceConfig, n_species: int) -> np.ndarray:
    """Return functions of the right shape for a term that has not seen data."""
    functions = np.eye(max(config.n_max), _primitive(config))
    shape = (n_species, max(config.l_max) + 1, *functions.shape)
    return np.ascontiguousarray(np.broadcast_to(functions, shape))


def _bessel(config: AceConfig) -> np.ndarray:
    return bessel_functions(max(config.l_max), max(config.n_max))
