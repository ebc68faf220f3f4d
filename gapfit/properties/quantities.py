"""Named numbers with units and error bars, and their comparison with a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.foreign import MB, foreign_text, json_file, toml_values
from gapfit.errors import GapfitError, shortened

__all__ = ["CrystalQuantity", "ReferenceComparison", "compared", "read_reference"]

#: Largest file of reference values, bytes.
_LARGEST = 2 * MB


@dataclass(frozen=True)
class CrystalQuantity:
    """A computed number.

    Attributes
    ----------
    value : float
        In `unit`.
    unit : str
        ``"GPa"``; empty if it has none.
    std : float or None
        Standard deviation from the posterior, in `unit`; None if it is not known.
    """

    value: float
    unit: str
    std: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class ReferenceComparison:
    """A computed number compared with its reference.

    Attributes
    ----------
    reference : float
        In the unit of the quantity.
    deviation : float
        Computed number minus reference, in its unit.
    relative : float or None
        Deviation in units of the reference; None if that is 0.
    """

    reference: float
    deviation: float
    relative: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def read_reference(path: str | Path) -> dict[str, float]:
    """Read reference values from JSON or TOML.

    Parameters
    ----------
    path : str or Path
        ``.json`` or ``.toml``, in the units of gapfit's table: ``{"elastic": {"C11":
        153}}`` or ``{"elastic.C11": 153}``.

    Returns
    -------
    dict of str to float
        By the names of the table: ``"elastic.C11"``.

    Raises
    ------
    GapfitError
        The file has another format, or a value is not a finite number.
    """
    path = Path(path)
    if path.suffix not in (".json", ".toml"):
        raise GapfitError(f"{path}: give reference values as .json or .toml")
    try:
        if path.suffix == ".json":
            values = json_file(path)
        else:
            values = toml_values(foreign_text(path, _LARGEST))
    except ValueError as error:
        reason = shortened(str(error), 300)
        raise GapfitError(f"{path}: cannot be read: {reason}") from error
    if not isinstance(values, dict):
        raise GapfitError(f"{path}: give a table of names and numbers")
    reference = {}
    for name, value in _flat(values):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not np.isfinite(value):
            shown = f"{shortened(name, 60)} = {shortened(repr(value), 60)}"
            raise GapfitError(f"{path}: {shown}: give a finite number")
        reference[name] = float(value)
    return reference


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def compared(
    quantities: Mapping[str, CrystalQuantity], reference: Mapping[str, float]
) -> tuple[dict[str, ReferenceComparison], list[str]]:
    """Compare quantities with reference values of the same names.

    Returns
    -------
    dict of str to ReferenceComparison
        By name.
    list of str
        Messages about reference values without a computed number, each with the most
        similar name.
    """
    comparisons, messages = {}, []
    for name, value in reference.items():
        if name not in quantities:
            near = get_close_matches(name, quantities, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            messages.append(f"the reference {name} was not computed{hint}")
            continue
        deviation = quantities[name].value - value
        relative = deviation / abs(value) if value else None
        comparisons[name] = ReferenceComparison(value, deviation, relative)
    return comparisons, messages
