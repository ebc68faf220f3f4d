"""SOAP of the kind of soap_turbo from its configuration: tables for the core."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gapfit.config.terms import SoapConfig
from gapfit.config.turbo import TURBO_BASES
from gapfit.descriptors.density import RadialTables
from gapfit.descriptors.radial_turbo import TurboAtom, TurboDensity, TurboShape
from gapfit.descriptors.turbo_polynomials import turbo_transform
from gapfit.errors import ConfigError

__all__ = [
    "turbo_atom",
    "turbo_basis",
    "turbo_basis_shapes",
    "turbo_cautions",
    "turbo_radial",
    "turbo_soft",
]

#: Most radial functions that rounding leaves eight digits of.
_SOUND = {"poly3": 7, "poly3gauss": 8}
# Largest power of the decay with which forces jump at the cutoff.
_JUMPING = 0.5
# Knots whose integrals are formed at once, for memory.
_CHUNK = 256
#: Å before the cutoff where the filter begins by default.
_SOFT = 0.5


def turbo_soft(config: SoapConfig) -> float:
    """Return where the filter begins, Å."""
    given = config.turbo.r_soft
    return config.r_cut - _SOFT if given is None else given


def turbo_atom(config: SoapConfig, symbol: str) -> TurboAtom:
    """Return the Gaussian of the atoms of a species; "" for one without own settings."""
    turbo = config.turbo
    own = turbo.species.get(symbol)

    def setting(key: str, default: float) -> float:
        value = None if own is None else getattr(own, key)
        return default if value is None else float(value)

    sigma = setting("atom_sigma", config.atom_sigma)
    return TurboAtom(
        n_max=int(setting("n_max", config.n_max)),
        sigma_r=sigma,
        sigma_t=setting("sigma_t", sigma if turbo.sigma_t is None else turbo.sigma_t),
        scaling_r=setting("sigma_r_scaling", turbo.sigma_r_scaling),
        scaling_t=setting("sigma_t_scaling", turbo.sigma_t_scaling),
        amplitude_scaling=setting("amplitude_scaling", turbo.amplitude_scaling),
        central_weight=setting("central_weight", turbo.central_weight),
    )


def _kinds(config: SoapConfig) -> list[str]:
    """Return the species with own settings, after "" for all others."""
    return ["", *sorted(config.turbo.species)]


def turbo_basis(config: SoapConfig) -> dict[str, np.ndarray]:
    """Return ``transform``: W of all others, and of species with own settings, sorted.

    Raises
    ------
    ConfigError
        The radial functions are linearly dependent to machine precision.
    """
    kinds = _kinds(config)
    transforms = np.zeros((len(kinds), config.n_max, config.n_max))
    for place, symbol in zip(transforms, kinds, strict=True):
        atom = turbo_atom(config, symbol)
        gaussian = atom.sigma_r if config.rbf == "poly3gauss" else None
        try:
            W = turbo_transform(atom.n_max, config.r_cut, gaussian)
        except np.linalg.LinAlgError as error:
            raise ConfigError(
                f'n_max = {atom.n_max} functions of rbf = "{config.rbf}" with atom_sigma = '
                f"{atom.sigma_r:g} Å are linearly dependent to machine precision; take a "
                "smaller n_max"
            ) from error
        place[: atom.n_max, : atom.n_max] = W
    return {"transform": transforms}


def turbo_basis_shapes(config: SoapConfig) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of the basis tables."""
    return {"transform": (len(_kinds(config)), config.n_max, config.n_max)}


def turbo_cautions(config: SoapConfig) -> Iterator[str]:
    """Yield warnings about the settings, for a fit; none for other bases."""
    if config.rbf not in TURBO_BASES:
        return
    atoms = {symbol: turbo_atom(config, symbol) for symbol in _kinds(config)}
    for symbol, atom in atoms.items():
        if (power := atom.amplitude_scaling) <= _JUMPING:
            whose = f" of {symbol}" if symbol else ""
            what = "forces" if power else "energies"
            yield (
                f"turbo.amplitude_scaling = {power:g}{whose}: {what} jump as atoms cross "
                f"r_cut = {config.r_cut:g} Å; use 1 for dynamics"
            )
    most = _SOUND[config.rbf]
    if config.n_max > most:
        yield (
            f'n_max = {config.n_max}: rbf = "{config.rbf}" is ill-conditioned above '
            f"{most}, and QUIP's numbers for it may differ by rounding"
        )


def turbo_radial(
    config: SoapConfig,
    symbols: list[str],
    basis: dict[str, np.ndarray],
    channels: list[int],
) -> RadialTables:
    """Return the radial functions of all species, in pieces that are smooth.

    Parameters
    ----------
    config : SoapConfig
        The term.
    symbols : list of str
        Species of the potential, by symbol, in their order.
    basis : dict of arrays
        See `turbo_basis`.
    channels : list of int
        Density channel of each species.
    """
    kinds = _kinds(config)
    used = sorted({kinds.index(s) if s in kinds else 0 for s in symbols})
    densities = [_density(config, kinds[k], basis["transform"][k]) for k in used]
    spacing = min(density.spacing for density in densities)
    knots = np.linspace(0.0, config.r_cut, int(np.ceil(config.r_cut / spacing)) + 1)
    parts = np.array_split(knots, 1 + len(knots) // _CHUNK)
    tables = [
        np.concatenate([density.piece(start, part) for part in parts])
        for density in densities
        for start in density.starts
    ]
    first = np.cumsum([0] + [len(density.starts) for density in densities])
    own = [used.index(kinds.index(s) if s in kinds else 0) for s in symbols]
    beyond = [
        (species, start, int(first[kind]) + piece)
        for species, kind in enumerate(own)
        for piece, start in enumerate(densities[kind].starts)
        if piece
    ]
    centre = [d.centre for d in densities for _ in d.starts]
    return RadialTables(
        np.stack(tables),
        [int(first[kind]) for kind in own],
        float(knots[1]),
        np.stack(centre),
        channels,
        sorted(beyond, key=lambda change: change[1]),
    )


def _density(config: SoapConfig, symbol: str, transform: np.ndarray) -> TurboDensity:
    shape = TurboShape(
        r_cut=config.r_cut,
        r_soft=turbo_soft(config),
        steepness=config.turbo.steepness,
        gaussian=config.rbf == "poly3gauss",
        enhancement=config.turbo.radial_enhancement,
        l_max=config.l_max,
    )
    return TurboDensity(shape, turbo_atom(config, symbol), transform)
