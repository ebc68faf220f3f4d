"""The warning that rounding spoils a fit, and which delta or sigma to change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.config.sections import FitConfig, SigmaOverride
from gapfit.errors import GapfitError
from gapfit.gp.observations import Group
from gapfit.gp.rounding import Loss, Rounding
from gapfit.model.observation_groups import DEFAULT, FRAME_SIGMA

__all__ = ["ROUNDED", "rounding_warning"]

#: How the warning begins.
ROUNDED = "rounding changes "
#: Share of the fitted values that may be rounding; ordinary fits have 1e-9.
TOLERANCE = 1e-4
#: The same of energies of atoms, eV.
LOCAL_TOLERANCE = 1e-3

_UNITS = {"energy": "eV", "forces": "eV/Å", "virial": "eV"}
_SIGMA_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}
_NAMES = {"energy": "energies", "forces": "forces", "virial": "virials"}
_OWN_LABELS = {
    "energy": "energy_sigma",
    "forces": "force_sigma",
    "virial": "virial_sigma",
}
# Deltas and ratios of targets to sigmas that ordinary fits have.
_ORDINARY_DELTA, _ORDINARY_RATIO = 10.0, 1e4


def rounding_warning(found: Rounding, config: FitConfig) -> str | None:
    """Return what to say of a fit that rounding spoils, and what to change; else None.

    Parameters
    ----------
    found : Rounding
        Of the fit.
    config : FitConfig
        Its sigmas and deltas.

    Raises
    ------
    GapfitError
        Rounding is as large as the fitted values.
    """
    worst = found.worst
    if worst is None:
        return None
    kind, own = worst[0], found.groups[worst]
    if own.share > TOLERANCE:
        values = (
            f"the fitted {_NAMES.get(kind, 'values')} by about {own.change:.1g} "
            f"{_UNITS.get(kind, 'of their units')}, {own.share:.1g} of their size"
        )
    elif found.local > LOCAL_TOLERANCE:
        values = f"the energies of atoms by about {found.local:.1g} eV"
    else:
        return None
    text = f"{ROUNDED}{values}: {_remedy(found.groups, config)}"
    if own.share >= 1.0:
        raise GapfitError(f"nothing is left of this fit, for {text}")
    return text


def _remedy(groups: Mapping[Group, Loss], config: FitConfig) -> str:
    """Return which delta or sigma is the most unusual, and what to do about it."""
    deltas = [term.delta for term in config.terms]
    number = int(np.argmax(deltas))
    narrow = max(groups, key=lambda group: groups[group].size / groups[group].sigma)
    ratio = groups[narrow].size / groups[narrow].sigma
    large = deltas[number] / _ORDINARY_DELTA > ratio / _ORDINARY_RATIO
    text, advice = (
        f"{_sigma(narrow, groups, config)} is too small for 16 digits",
        "larger",
    )
    if large:
        advice = "smaller"
        text = (
            f"delta = {deltas[number]:g} eV of [[terms]] {number + 1} is too large for the "
            "sigmas and 16 digits"
        )
    advice = f"give a {advice} one"
    if config.solver.method == "cholesky":
        advice += ', or solver.method = "qr", which loses fewer digits'
    return f"{text}; {advice}"


def _sigma(group: Group, groups: Mapping[Group, Loss], config: FitConfig) -> str:
    kind, name = group
    if kind not in _UNITS:
        return "a sigma"
    if name == FRAME_SIGMA:
        return f"{_OWN_LABELS[kind]} of frames, {groups[group].sigma:.2g} on average,"
    override = config.sigma.config_types.get(name, SigmaOverride())
    own = getattr(override, kind) if name != DEFAULT else None
    value = getattr(config.sigma, kind) if own is None else own
    place = "sigma" if own is None else f"sigma.config_types.{name}"
    return f"{place}.{kind} = {value:g} {_SIGMA_UNITS[kind]}"
