"""The descriptor ``eam_density`` of QUIP's version for tabGAP; its release has none."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from gapfit.config.sections import EamDensityConfig
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_blocks import symbols
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.gap_fit_sparse import sparse_settings
from gapfit.quip.gap_fit_values import length, named_kernel, required
from gapfit.quip.merge_terms import Piece
from gapfit.quip.remarks import Note
from gapfit.quip.requirements import TermRead, require_kernel, require_width
from gapfit.quip.xml_file import Coordinates

__all__ = ["density_options", "density_piece", "density_term"]

_FORMS = {"fsgen": "power", "polycutoff": "smooth", "coscutoff": "cosine"}
_SWITCHES = {"smooth": "polycutoff", "cosine": "coscutoff"}
_MODES = ("blind", "EAM", "FSgen", "FSsym")
#: The power of ``pair_function=FSgen`` in the papers on tabGAP.
_POWER = 3


def density_term(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    """Return the term of a descriptor in a file."""
    require_kernel(source, options, 1)
    require_width(source, 1)
    settings = _settings(options, species)
    if settings["form"] == "power" and "power" not in settings:
        raise GapfitError(
            f"{source.label}: eam_density without order: add order={_POWER} to the "
            "descriptor in the file if it is that of the papers on tabGAP"
        )
    config = EamDensityConfig(
        **settings, theta=float(source.theta[0]), delta=source.delta
    )
    z = options.integer("Z", default=0)
    return config, (z,) if z else species, source.points, 1


def density_piece(options: Options, species: Collection[int], note: Note) -> Piece:
    """Return the term of a descriptor in a command."""
    named_kernel(options, note, ("ard_se", "gaussian"))
    settings: dict[str, Any] = {
        "type": "eam_density",
        **_settings(options, species),
        "delta": required(options, "delta", "energy_scale"),
        **sparse_settings(options, note, "eam_density"),
    }
    if settings["form"] == "power" and "power" not in settings:
        settings["power"] = _POWER
        text = f"missing: {_POWER} is taken, as in the papers on tabGAP"
        note("order", "", text, changes=True)
    if (theta := length(options)) is not None:
        settings["theta"] = theta
    else:
        text = "a length by the data: gapfit's default is taken"
        note("theta_uniform", "", text, changes=True)
    z = options.integer("Z", default=0)
    if options.logical("add_species", default=True):
        if z:
            text = "no effect without add_species=F: replaced by all species"
            note("Z", str(z), text)
        return Piece(settings)
    return Piece(settings, tuple(symbols([z])) if z else ())


def _settings(options: Options, species: Collection[int]) -> dict[str, Any]:
    """Return the keys of the density: the power only where the options have it."""
    name = options.text("pair_function", default="") or ""
    form = _FORMS.get(name.lower())
    if form is None:
        raise GapfitError(
            f"eam_density: pair_function = {shortened(name) or 'nothing'} is not "
            "supported (only FSgen, polycutoff and coscutoff)"
        )
    r_cut = options.real("cutoff", default=0.0)
    settings: dict[str, Any] = {"r_cut": r_cut, "form": form}
    # Asked for in any case, so that they are not unknown.
    order, r_min = options.text("order"), options.real("rmin", default=-1.0)
    width = options.real("cutoff_transition_width", default=-1.0)
    if form == "power":
        if order is not None:
            power = options.real("order", default=0.0)
            settings["power"] = int(power) if power.is_integer() else power
    elif r_min < 0 and width < 0:
        raise GapfitError(f"eam_density: {name} needs rmin; add it")
    elif r_min != 0 and (taken := r_cut - r_min if r_min > 0 else width) < r_cut:
        settings["width"] = taken
    mode = options.text("mode", default="blind") or "blind"
    if mode.lower() not in map(str.lower, _MODES):
        raise GapfitError(
            f"eam_density: mode = {shortened(mode)} is not supported (only blind, EAM, "
            "FSgen and FSsym)"
        )
    if weights := _weights(mode.lower(), sorted(species)):
        settings["species_weights"] = weights
    return settings


def density_options(config: EamDensityConfig, species: tuple[int, ...]) -> str | None:
    """Return a term as options of QUIP, without its species and kernel.

    None where no mode has its weights of species.
    """
    from ase.data import chemical_symbols

    symbol = {z: chemical_symbols[z] for z in species}

    def weight(given: Mapping[str, float], centre: int, other: int) -> float:
        names = (f"{symbol[centre]}-{symbol[other]}", symbol[other])
        return next((given[name] for name in names if name in given), 1.0)

    def same(mode: str) -> bool:
        wanted = _weights(mode.lower(), species)
        return all(
            math.isclose(weight(config.species_weights, a, b), weight(wanted, a, b))
            for a in species
            for b in species
        )

    mode = next((mode for mode in _MODES if same(mode)), None)
    if mode is None:
        return None
    form = {"power": f"FSgen order={config.power}"}.get(config.form)
    if form is None:
        r_min = config.r_cut - config.switch_width
        form = f"{_SWITCHES[config.form]} rmin={r_min!r}"
    return f"cutoff={config.r_cut!r} pair_function={form} mode={mode}"


def _weights(mode: str, species: Collection[int]) -> dict[str, float]:
    """Return the weights of neighbours, or of neighbours at a centre, by symbols."""
    if mode == "blind":
        return {}
    names = dict(zip(species, symbols(species), strict=True))
    if mode == "eam":
        return {name: math.sqrt(z) / 10 for z, name in names.items()}
    return {
        f"{names[a]}-{names[b]}": (
            a**0.1 * math.sqrt(b) / 10 if mode == "fsgen" else math.sqrt(a * b) / 40
        )
        for a in species
        for b in species
    }
