"""SOAP from its configuration: basis tables, engine, descriptor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.config.checks import MOST_CHANNELS
from gapfit.config.terms import SoapConfig
from gapfit.config.turbo import TURBO_BASES
from gapfit.descriptors.density import RadialTables, contracted, shared
from gapfit.descriptors.quip_features import QuipFeatures
from gapfit.descriptors.radial import RadialDensity, Weighting, reach
from gapfit.descriptors.radial_bessel import BesselDensity, soap_bessel_basis
from gapfit.descriptors.radial_gto import GtoDensity, gto_basis
from gapfit.descriptors.soap import CONTRACTION, Soap
from gapfit.descriptors.soap_engine import NativeEngine, SoapEngine
from gapfit.descriptors.soap_features import FeatureList, Features
from gapfit.descriptors.turbo_build import (
    turbo_basis,
    turbo_basis_shapes,
    turbo_radial,
)
from gapfit.errors import GapfitError

__all__ = ["soap_basis", "soap_basis_shapes", "soap_term", "soap_width"]

#: Numbers of an environment beyond which a term is a mistake: 80 MB for each atom.
_MOST_FEATURES = 10_000_000


def soap_term(
    config: SoapConfig,
    species: tuple[int, ...],
    basis: dict[str, np.ndarray],
    projections: Mapping[int, np.ndarray] | None = None,
) -> Soap:
    """Return the descriptor with the settings of a configuration."""
    engine = _soap_engine(config, species, basis)
    descriptor = Soap(config, engine, species, projections)
    if config.channels != "all" and CONTRACTION not in basis:
        descriptor.primitive = _primitive_engine(config, species, basis)
    elif isinstance(config.channels, float):
        descriptor.found = f"{_n_combined(config, species, basis)} channels"
    return descriptor


def soap_basis(config: SoapConfig) -> dict[str, np.ndarray]:
    """Return the basis tables of a term."""
    if config.rbf in TURBO_BASES:
        return turbo_basis(config)
    if config.rbf == "polynomial":
        from gapfit.descriptors.radial_polynomial import polynomial_basis

        return polynomial_basis(config.r_cut, config.n_max)
    if config.rbf == "equispaced_gaussians":
        from gapfit.descriptors.radial_equispaced import equispaced_basis

        return equispaced_basis(config.r_cut, config.n_max, config.atom_sigma)
    if config.rbf == "bessel":
        shape = config.r_cut, config.n_max, config.l_max
        return soap_bessel_basis(*shape, config.atom_sigma)
    return gto_basis(config.r_cut, config.n_max, config.l_max)


def soap_basis_shapes(config: SoapConfig) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of the basis tables (None: any length)."""
    shapes = _radial_shapes(config)
    if config.channels != "all":
        share = isinstance(config.channels, float)
        q = None if share else int(config.channels)
        shapes[CONTRACTION] = (config.l_max + 1, None, q)
    return shapes


def _radial_shapes(config: SoapConfig) -> dict[str, tuple[int | None, ...]]:
    degrees, n_max = config.l_max + 1, config.n_max
    if config.rbf in TURBO_BASES:
        return turbo_basis_shapes(config)
    if config.rbf == "polynomial":
        n_nodes = 100
        return {"nodes": (n_nodes,), "weights": (n_nodes,), "values": (n_max, n_nodes)}
    if config.rbf == "equispaced_gaussians":
        return {"nodes": (n_max,), "transform": (n_max, n_max)}
    if config.rbf == "bessel":
        return {"combinations": (degrees, n_max, n_max), "centre": (n_max,)}
    return {"alphas": (degrees, n_max), "betas": (degrees, n_max, n_max)}


def soap_width(config: SoapConfig, species: tuple[int, ...]) -> int:
    """Return the number of features, which grows with the number of species squared.

    With a share of the variance as `channels` it is the smallest number possible, that of
    one channel.
    """
    if isinstance(config.channels, float):
        return len(Features(1, 1, config.l_max))
    return len(_features(config, species, {}))


def _features(
    config: SoapConfig, species: tuple[int, ...], basis: Mapping[str, np.ndarray]
) -> FeatureList:
    if config.channels != "all":
        return Features(1, _n_combined(config, species, basis), config.l_max)
    if config.rbf == "equispaced_gaussians":
        return QuipFeatures(
            _named(config) or species,
            config.n_max,
            config.l_max,
            config.compression == "mu2",
            config.quip.compression,
        )
    n_channels = len(_named(config)) or len(species)
    trivial = config.turbo.compression == "trivial"
    compression = "trivial" if trivial else config.compression
    return Features(n_channels, config.n_max, config.l_max, compression)


def _n_combined(
    config: SoapConfig, species: tuple[int, ...], basis: Mapping[str, np.ndarray]
) -> int:
    """Return the number of channels; the largest possible while the data decide."""
    if not isinstance(config.channels, float):
        return int(config.channels)
    if CONTRACTION in basis:
        return int(basis[CONTRACTION].shape[2])
    return min(MOST_CHANNELS, len(species) * config.n_max)


def _soap_engine(
    config: SoapConfig, species: tuple[int, ...], basis: dict[str, np.ndarray]
) -> SoapEngine:
    weighting = _weighting(config)
    turbo = config.rbf in TURBO_BASES
    cutoff = config.r_cut
    if not turbo and config.rbf != "bessel":
        cutoff = reach(config.r_cut, config.atom_sigma, weighting)
    features = _features(config, species, basis)
    if len(features) > _MOST_FEATURES:
        raise GapfitError(
            f"soap: an environment of {len(species)} species would take {len(features)} "
            f"numbers, more than {_MOST_FEATURES}: lower n_max or l_max, or in "
            "[terms.quip.compression] n_mixed"
        )
    weights = _species_weights(config, species)
    quip = turbo or config.rbf == "equispaced_gaussians"
    # Combinations of densities have no preferred axes: only the full kernel is the same
    # for all of them.
    full = config.full_kernel or quip or config.channels != "all"
    if config.engine == "dscribe":
        from gapfit.descriptors.soap_dscribe import DscribeEngine, dscribe_options

        return DscribeEngine(
            species,
            dscribe_options(config, weighting, weights),
            cutoff=cutoff,
            scale=features.prefactor(full=full) / features.prefactor(full=False),
        )
    scale = features.prefactor(full=full, plain=turbo or config.quip.plain)
    return NativeEngine(
        species,
        _radial(config, species, basis, cutoff),
        cutoff=cutoff,
        weighting=weighting,
        features=features,
        scale=scale,
        central_in_all=config.quip.central_in_all,
        species_weights=list(weights.values()),
    )


def _radial(
    config: SoapConfig,
    species: tuple[int, ...],
    basis: dict[str, np.ndarray],
    cutoff: float,
) -> RadialTables:
    if config.rbf in TURBO_BASES:
        channels = _channels(config, species, _features(config, species, basis))
        return turbo_radial(config, _symbols(species), basis, channels)
    density = _density(config, basis)
    if config.channels == "all":
        features = _features(config, species, basis)
        channels = _channels(config, species, features)
        return shared(density, cutoff, channels, features.width)
    n, q = len(species) * config.n_max, _n_combined(config, species, basis)
    if q > n:
        raise GapfitError(
            f"channels = {q}: n_max = {config.n_max} and {len(species)} species make only "
            f'{n}; use channels = "all" or fewer'
        )
    unknown = np.broadcast_to(np.eye(n, q), (config.l_max + 1, n, q))
    return contracted(density, cutoff, basis.get(CONTRACTION, unknown), len(species))


def _primitive_engine(
    config: SoapConfig, species: tuple[int, ...], basis: dict[str, np.ndarray]
) -> NativeEngine:
    """Return the engine of the densities that channels are combined of."""
    plain = config.model_copy(update={"channels": "all"})
    engine = _soap_engine(plain, species, basis)
    assert isinstance(engine, NativeEngine)
    return engine


def _channels(
    config: SoapConfig, species: tuple[int, ...], features: FeatureList
) -> list[int]:
    """Return the density channel of each species, also of those with weight zero."""
    named = _named(config)
    if not named:
        return features.channels
    channels = [named.index(z) if z in named else 0 for z in species]
    if max(channels) + 1 < len(named):
        missing = _symbols(tuple(z for z in named if z not in species))
        raise GapfitError(
            f"neighbours: {', '.join(missing)} is no species of the model; remove it there"
        )
    return channels


def _neighbours(config: SoapConfig) -> list[str]:
    """Return the species of neighbours by symbol; empty for all."""
    return config.quip.neighbours or config.turbo.neighbours


def _named(config: SoapConfig) -> tuple[int, ...]:
    """Return the atomic numbers of the neighbours, ascending; empty for all."""
    from ase.data import atomic_numbers

    return tuple(sorted(atomic_numbers[symbol] for symbol in _neighbours(config)))


def _weighting(config: SoapConfig) -> Weighting:
    if config.rbf in ("bessel", *TURBO_BASES):
        return Weighting("none", config.r_cut)
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
    if config.rbf == "bessel":
        return BesselDensity(config.r_cut, basis["combinations"], basis["centre"])
    return GtoDensity(basis["alphas"], basis["betas"], config.atom_sigma)


def _species_weights(config: SoapConfig, species: tuple[int, ...]) -> dict[str, float]:
    symbols = _symbols(species)
    if named := _neighbours(config):
        return {symbol: float(symbol in named) for symbol in symbols}
    return {symbol: config.species_weights.get(symbol, 1.0) for symbol in symbols}


def _symbols(species: tuple[int, ...]) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[z] for z in species]
