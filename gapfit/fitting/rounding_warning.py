"""Warning of rounding that spoils a fit, with the delta or sigma to change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.config.sections import FitConfig, SigmaOverride
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.gp.observations import Group
from gapfit.gp.rounding import Loss, Rounding
from gapfit.model.observation_groups import DEFAULT, FRAME_SIGMA, ISOLATED

__all__ = ["ROUNDED", "rounding_warning"]

#: Start of the warning.
ROUNDED = "rounding changes "
#: Share of the fitted values that may be rounding; ordinary fits have 1e-9.
TOLERANCE = 1e-4
#: Rounding allowed in energies of atoms, eV.
LOCAL_TOLERANCE = 1e-3

# The group of all observations has none of these.
_UNITS: dict[str, str] = {
    Quantity.ENERGY: "eV",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "eV",
}
_SIGMA_UNITS: dict[str, str] = {
    Quantity.ENERGY: "eV/atom",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "eV/atom",
}
_NAMES: dict[str, str] = {
    Quantity.ENERGY: "energies",
    Quantity.FORCES: "forces",
    Quantity.VIRIAL: "virials",
}
_OWN_LABELS: dict[str, str] = {
    Quantity.ENERGY: "energy_sigma",
    Quantity.FORCES: "force_sigma",
    Quantity.VIRIAL: "virial_sigma",
}
# Deltas and ratios of targets to sigmas that ordinary fits have.
_ORDINARY_DELTA, _ORDINARY_RATIO = 10.0, 1e4


def rounding_warning(rounding: Rounding, config: FitConfig) -> str | None:
    """Return a warning with advice if rounding spoils a fit; else None.

    Parameters
    ----------
    rounding : Rounding
        Rounding of the fit.
    config : FitConfig
        Its sigmas and deltas.

    Raises
    ------
    GapfitError
        Rounding is as large as the fitted values.
    """
    worst = rounding.worst
    if worst is None:
        return None
    quantity, loss = worst[0], rounding.groups[worst]
    if loss.share > TOLERANCE:
        values = (
            f"the fitted {_NAMES.get(quantity, 'values')} by about {loss.change:.1g} "
            f"{_UNITS.get(quantity, 'of their units')}, {loss.share:.1g} of their size"
        )
    elif rounding.local > LOCAL_TOLERANCE:
        values = f"the energies of atoms by about {rounding.local:.1g} eV"
    else:
        return None
    text = f"{ROUNDED}{values}: {_remedy(rounding.groups, config)}"
    if loss.share >= 1.0:
        raise GapfitError(f"the fit is lost: {text}")
    return text


def _remedy(groups: Mapping[Group, Loss], config: FitConfig) -> str:
    """Return the most unusual delta or sigma, and advice, as text."""
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
    quantity, name = group
    if quantity not in _UNITS:
        return "a sigma"
    if name == FRAME_SIGMA:
        return (
            f"{_OWN_LABELS[quantity]} of frames, {groups[group].sigma:.2g} on average,"
        )
    if name == ISOLATED:
        return f"sigma.isolated = {config.sigma.isolated:g} eV"
    override = config.sigma.config_types.get(name, SigmaOverride())
    value = getattr(override, quantity) if name != DEFAULT else None
    place = "sigma" if value is None else f"sigma.config_types.{name}"
    if value is None:
        value = getattr(config.sigma, quantity)
    return f"{place}.{quantity} = {value:g} {_SIGMA_UNITS[quantity]}"
