"""Calculators that a model file may name: formulas in ASE that only compute.

The name of a class and its arguments decide what code runs. So a file may name only these
classes, with numbers as arguments: none of them opens a file, imports or starts anything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from gapfit.errors import shortened

__all__ = ["HARMLESS", "origin_problem", "refusal"]

_NUMBER, _SWITCH = "a number", "true or false"
_WATER = {"rc": _NUMBER, "width": _NUMBER}

#: Permitted options of each calculator and the kind of their values.
HARMLESS: dict[str, dict[str, str]] = {
    "ase.calculators.emt:EMT": {"asap_cutoff": _SWITCH},
    "ase.calculators.lj:LennardJones": {
        "epsilon": _NUMBER,
        "sigma": _NUMBER,
        "rc": _NUMBER,
        "ro": _NUMBER,
        "smooth": _SWITCH,
    },
    "ase.calculators.morse:MorsePotential": {
        "epsilon": _NUMBER,
        "rho0": _NUMBER,
        "r0": _NUMBER,
        "rcut1": _NUMBER,
        "rcut2": _NUMBER,
    },
    "ase.calculators.tip3p:TIP3P": _WATER,
    "ase.calculators.tip4p:TIP4P": _WATER,
}


def refusal(name: str, options: Mapping[str, Any]) -> str:
    """Return the reason to refuse a calculator of a model file; empty if it is harmless.

    Nothing is imported.

    Parameters
    ----------
    name : str
        ``"package.module:Name"``; harmless only if it is exactly one of `HARMLESS`.
    options : mapping of str to Any
        Keyword arguments of the calculator.
    """
    allowed = HARMLESS.get(name)
    if allowed is None:
        given = ", ".join(f"{key} = {value!r}" for key, value in options.items())
        return (
            f"it would be imported and called with {shortened(given) or 'no options'}, "
            f"and only these are known to be harmless: {', '.join(HARMLESS)}"
        )
    for key, value in options.items():
        if key not in allowed:
            return (
                f"the option {shortened(repr(key))} is not one of those known to be "
                f"harmless: {', '.join(allowed)}"
            )
        if not _is(allowed[key], value):
            return f"the option {key} = {shortened(repr(value))} is not {allowed[key]}"
    return ""


def _is(kind: str, value: Any) -> bool:
    return type(value) is bool if kind == _SWITCH else type(value) in (int, float)


def origin_problem() -> str:
    """Return a message if the package ase is not the installed one; otherwise empty.

    A folder ``ase`` in the current folder takes precedence where Python searches that.
    """
    loaded = sys.modules.get("ase")
    spec = loaded.__spec__ if loaded else PathFinder.find_spec("ase")
    place = Path(spec.origin).resolve().parent if spec and spec.origin else None
    folder = Path.cwd()
    paths = [path for path in sys.path if Path(path).resolve() != folder]
    # The first one counts: it hides the others.
    distribution = next(iter(distributions(name="ase", path=paths)), None)
    installed = (
        Path(str(distribution.locate_file("ase"))).resolve() if distribution else None
    )
    if place is not None and place == installed:
        return ""
    return f"ase comes from {place}, but the installed one is {installed}"
