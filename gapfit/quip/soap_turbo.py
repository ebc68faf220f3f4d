"""QUIP's soap_turbo: its options as settings, and its order of features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.config.terms import SoapConfig
from gapfit.descriptors.soap_features import Compression, Features
from gapfit.descriptors.turbo_build import turbo_atom, turbo_soft
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.numbers import reals
from gapfit.quip.requirements import TermRead, refuse, require_kernel, require_width
from gapfit.quip.xml_file import Coordinates

__all__ = [
    "TurboOrder",
    "shared_basis",
    "turbo_centre",
    "turbo_options",
    "turbo_order",
    "turbo_settings",
    "turbo_term",
]

#: Keys of settings by species but alpha_max: QUIP's, ours, and the default.
_BY_SPECIES: tuple[tuple[str, str, float | None], ...] = (
    ("atom_sigma_r", "atom_sigma", None),
    ("atom_sigma_t", "sigma_t", None),
    ("atom_sigma_r_scaling", "sigma_r_scaling", 0.0),
    ("atom_sigma_t_scaling", "sigma_t_scaling", 0.0),
    ("amplitude_scaling", "amplitude_scaling", 1.0),
    ("central_weight", "central_weight", 1.0),
)
#: What QUIP takes for nf and rcut_hard - rcut_soft, Å, unless given.
_STEEPNESS, _SOFT = 4.0, 0.5


def turbo_settings(options: Options) -> dict[str, Any]:
    """Return a descriptor's settings as keys of a term, without zeta and delta.

    Parameters
    ----------
    options : Options
        Options of ``soap_turbo``.

    Raises
    ------
    GapfitError
        An option is missing, not a number or not supported; the message names it.
    """
    from ase.data import chemical_symbols

    channels = _channels(options)
    by_species: dict[str, list[Any]] = {"n_max": _numbers(options, len(channels))}
    for theirs, ours, default in _BY_SPECIES:
        by_species[ours] = _values(options, theirs, len(channels), default)
    if len(channels) == 1:
        # QUIP reads it for several species only.
        by_species["central_weight"] = [1.0]
    refuse(options, scaling_mode="polynomial")
    if (name := options.text("compress_file")) is not None:
        raise GapfitError(
            f"soap_turbo: compress_file = {shortened(name)} is not supported (only "
            "compress_mode = trivial)"
        )
    mode = options.text("compress_mode")
    if mode not in (None, "trivial"):
        raise GapfitError(
            f"soap_turbo: compress_mode = {shortened(mode or '')} is not supported (only "
            "trivial)"
        )
    basis = options.text("basis", default="poly3")
    if basis not in ("poly3", "poly3gauss"):
        raise GapfitError(
            f"soap_turbo: basis = {shortened(basis or '')} is not supported (only poly3 "
            "and poly3gauss, in small letters)"
        )
    largest = by_species["n_max"].index(max(by_species["n_max"]))
    usual = {key: values[largest] for key, values in by_species.items()}
    own = {
        chemical_symbols[z]: {
            key: values[place]
            for key, values in by_species.items()
            if values[place] != usual[key]
        }
        for place, z in enumerate(channels)
    }
    r_cut = _required(options, "rcut_hard")
    return {
        "type": "soap",
        "rbf": basis,
        "r_cut": r_cut,
        "n_max": usual.pop("n_max"),
        "l_max": _l_max(options),
        "atom_sigma": usual.pop("atom_sigma"),
        "turbo": {
            "r_soft": options.real("rcut_soft", default=r_cut - _SOFT),
            "steepness": options.real("nf", default=_STEEPNESS),
            "radial_enhancement": options.integer("radial_enhancement", default=0),
            "compression": "off" if mode is None else mode,
            "neighbours": [chemical_symbols[z] for z in sorted(channels)],
            "species": {symbol: own[symbol] for symbol in sorted(own) if own[symbol]},
            **usual,
        },
    }


def turbo_centre(options: Options) -> int:
    """Return the atomic number of the central species."""
    channels = _channels(options)
    index = options.integer("central_index", default=1)
    if not 1 <= index <= len(channels):
        raise GapfitError(
            f"soap_turbo: central_index = {index} is not one of the {len(channels)} "
            "species in species_Z"
        )
    return channels[index - 1]


def shared_basis(descriptors: Iterable[str]) -> str | None:
    """Return which descriptors QUIP confuses, as text; None if it does not.

    QUIP makes the radial functions of ``soap_turbo`` anew only if the sum of ``alpha_max``
    is another one than that of the descriptor before.

    Parameters
    ----------
    descriptors : iterable of str
        Strings of options of all descriptors of a model.
    """
    seen: dict[int, tuple[int, tuple[object, ...]]] = {}
    for number, text in enumerate(descriptors, 1):
        options = Options.of(text)
        if options.name != "soap_turbo":
            continue
        n_species = len(_channels(options))
        numbers = _numbers(options, n_species)
        functions: tuple[object, ...] = tuple(numbers)
        if options.text("basis") == "poly3gauss":
            widths = _values(options, "atom_sigma_r", n_species, None)
            functions += (_required(options, "rcut_hard"), *widths)
        first, others = seen.setdefault(sum(numbers), (number, functions))
        if others != functions:
            return (
                f"descriptors {first} and {number} (soap_turbo) have different radial "
                f"functions, but alpha_max adds up to {sum(numbers)} in both: QUIP then "
                "takes those of one for both, depending on which it evaluated before"
            )
    return None


def _channels(options: Options) -> list[int]:
    """Return the atomic numbers of the neighbours in QUIP's order."""
    channels = options.integers("species_Z")
    n_species = options.integer("n_species", default=1)
    if len(channels) != n_species or n_species < 1:
        raise GapfitError(
            f"soap_turbo: n_species = {n_species} does not agree with species_Z = "
            f"{shortened(options.text('species_Z') or 'none')}"
        )
    if len(set(channels)) != len(channels) or not all(0 < z < 119 for z in channels):
        raise GapfitError(
            f"soap_turbo: species_Z = {shortened(options.text('species_Z') or '')} must "
            "be atomic numbers that differ"
        )
    return channels


def _required(options: Options, key: str) -> float:
    if options.text(key) is None:
        raise GapfitError(f"soap_turbo: {key} is missing")
    return options.real(key, default=0.0)


def _l_max(options: Options) -> int:
    if options.text("l_max") is None:
        raise GapfitError("soap_turbo: l_max is missing")
    return options.integer("l_max", default=0)


def _numbers(options: Options, n_species: int) -> list[int]:
    """Return the numbers of radial functions."""
    given = options.text("alpha_max")
    if given is None:
        raise GapfitError("soap_turbo: alpha_max is missing")
    numbers = options.integers("alpha_max")
    if len(numbers) != n_species or min(numbers) < 1:
        raise GapfitError(
            f"soap_turbo: alpha_max = {shortened(given)} must have n_species = {n_species} "
            "numbers above 0"
        )
    return numbers


def _values(
    options: Options, key: str, number: int, default: float | None
) -> list[Any]:
    """Return the values of all species."""
    given = options.text(key)
    if given is None and default is None:
        raise GapfitError(f"soap_turbo: {key} is missing")
    if given is None:
        return [default] * number
    try:
        values = reals(given).tolist()
    except ValueError:
        values = []
    if len(values) != number:
        raise GapfitError(
            f"soap_turbo: {key} = {shortened(given)} must have n_species = {number} "
            "numbers"
        )
    return values


def turbo_term(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    """Return the settings, central species and sparse points of a soap_turbo.

    Parameters
    ----------
    source : Coordinates
        The descriptor in the file.
    options : Options
        Its options.
    species : tuple of int
        Atomic numbers of the model, ascending.
    version : int
        ``gap_version`` of the file.

    Raises
    ------
    GapfitError
        An option is not supported, or the sparse points have another length.
    """
    require_kernel(source, options, 2)
    if source.zeta is None:
        raise GapfitError(f"{source.label}: zeta of the dot product is missing")
    settings = turbo_settings(options)
    config = SoapConfig(**settings, zeta=source.zeta, delta=source.delta)
    centre = turbo_centre(options)
    channels = _channels(options)
    require_width(source, _width(config, channels))
    order = turbo_order(config, channels)
    points = np.zeros((len(source.points), order.n_features))
    points[:, order.features] = source.points[:, order.places]
    return config, (centre,), points, 1


def _width(config: SoapConfig, channels: Sequence[int]) -> int:
    """Return the length of QUIP's descriptor."""
    from ase.data import chemical_symbols

    total = sum(turbo_atom(config, chemical_symbols[z]).n_max for z in channels)
    pairs = total * (total + 1) // 2
    if config.turbo.compression == "trivial":
        rest = total - len(channels)
        pairs -= rest * (rest + 1) // 2
    return pairs * (config.l_max + 1)


@dataclass(frozen=True, eq=False)
class TurboOrder:
    """Where QUIP has the features of gapfit.

    Attributes
    ----------
    features : (n,) int64
        Features of gapfit that QUIP has; the others are 0.
    places : (n,) int64
        Their places in QUIP's descriptor.
    n_features, width : int
        Lengths of the descriptors of gapfit and of QUIP.
    """

    features: np.ndarray
    places: np.ndarray
    n_features: int
    width: int


def turbo_order(config: SoapConfig, channels: Sequence[int]) -> TurboOrder:
    """Return where QUIP has the features of a term.

    QUIP counts radial functions through all its channels, K = 1 ... N, and has features
    (K1, K2 >= K1, l), l running fastest; with ``compress_mode = trivial`` those of which
    K1 or K2 is the first function of a channel. gapfit has blocks of two channels in
    ascending order of species, and in them l, n, n'.

    Parameters
    ----------
    config : SoapConfig
        The term.
    channels : sequence of int
        Atomic numbers of the neighbours in QUIP's order.
    """
    from ase.data import chemical_symbols

    numbers = np.array(
        [turbo_atom(config, chemical_symbols[z]).n_max for z in channels]
    )
    first = np.cumsum(numbers) - numbers
    trivial = config.turbo.compression == "trivial"
    compression: Compression = "trivial" if trivial else "off"
    labels = Features(len(channels), config.n_max, config.l_max, compression).labels
    a, b, degree, n, k = labels.T
    sort = np.argsort(channels)
    ends = np.sort([first[sort[a]] + n, first[sort[b]] + k], axis=0)
    known = (n < numbers[sort[a]]) & (k < numbers[sort[b]])
    total = int(numbers.sum())
    rows, columns = np.triu_indices(total)
    kept = np.ones(len(rows), dtype=bool)
    if trivial:
        kept = np.isin(rows, first) | np.isin(columns, first)
    pair = np.full((total, total), -1)
    pair[rows[kept], columns[kept]] = np.arange(kept.sum())
    features = np.flatnonzero(known)
    n_degrees = config.l_max + 1
    places = pair[ends[0, features], ends[1, features]] * n_degrees + degree[features]
    return TurboOrder(features, places, len(n), int(kept.sum()) * n_degrees)


def turbo_options(config: SoapConfig, channels: Sequence[int], centre: int) -> str:
    """Return the settings of a term as a string of options.

    Parameters
    ----------
    config : SoapConfig
        The term.
    channels : sequence of int
        Atomic numbers of the neighbours.
    centre : int
        Atomic number of the central species.
    """
    from ase.data import chemical_symbols

    turbo = config.turbo
    atoms = [turbo_atom(config, chemical_symbols[z]) for z in channels]
    arrays = " ".join(
        f"{key}={{{' '.join(repr(getattr(atom, name)) for atom in atoms)}}}"
        for key, name in _ATTRIBUTES.items()
    )
    compressed = " compress_mode=trivial" if turbo.compression == "trivial" else ""
    return (
        f"soap_turbo l_max={config.l_max} {arrays} rcut_hard={config.r_cut!r} "
        f"rcut_soft={turbo_soft(config)!r} nf={turbo.steepness!r} basis={config.rbf} "
        f"scaling_mode=polynomial radial_enhancement={turbo.radial_enhancement}"
        f"{compressed} covariance_type=dot_product zeta={config.zeta!r} "
        f"n_species={len(channels)} species_Z={{{' '.join(map(str, channels))}}} "
        f"central_index={list(channels).index(centre) + 1}"
    )


#: Attributes of `TurboAtom` by QUIP's keys.
_ATTRIBUTES = {
    "alpha_max": "n_max",
    "atom_sigma_r": "sigma_r",
    "atom_sigma_t": "sigma_t",
    "atom_sigma_r_scaling": "scaling_r",
    "atom_sigma_t_scaling": "scaling_t",
    "amplitude_scaling": "amplitude_scaling",
    "central_weight": "central_weight",
}
