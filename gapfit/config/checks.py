"""Checks of values that the types and ranges of the configuration cannot express."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = [
    "check_channels",
    "check_components",
    "check_import_name",
    "check_plain",
    "check_scan_table",
    "check_sparse",
    "check_symbols",
    "check_width",
    "turned",
]


#: Radial functions that the core can handle.
MOST_CHANNELS = 16


def turned(label: str) -> str:
    """Return a label of a pair or triplet with its last two symbols exchanged."""
    *symbols, final = label.split("-")
    return "-".join([*symbols[:-1], final, *symbols[-1:]])


def _check_species_numbers(term: Any) -> None:
    """Raise a ValueError unless ``species_n_sparse`` fits the type of the term."""
    size = term.symbols_per_block
    given = term.species_n_sparse
    for name, number in given.items():
        parts = name.split("-")
        if len(parts) != size:
            raise ValueError(
                f'species_n_sparse: "{name}" must be {size} '
                f"{'symbol' if size == 1 else 'symbols with hyphens between them'}"
            )
        check_symbols(parts)
        if number < 0:
            raise ValueError(f'species_n_sparse: "{name}" = {number} must be >= 0')
        if turned(name) != name and turned(name) in given:
            raise ValueError(
                f'species_n_sparse: "{name}" and "{turned(name)}" are the same; keep one'
            )


def check_scan_table(scan: Any) -> None:
    """Raise a ValueError unless a table of scans contains lists of finite values."""
    if not isinstance(scan, dict):
        return
    for key, values in scan.items():
        sound = isinstance(values, list) and all(
            isinstance(v, str) or (isinstance(v, int | float) and math.isfinite(v))
            for v in values
        )
        if not sound:
            raise ValueError(
                f'"{key}" needs a list of numbers, texts or true and false, the key in '
                'quotes: scan = { "soap.r_cut" = [4.5, 5.0] }'
            )


def check_symbols(names: Iterable[str]) -> None:
    """Raise a ValueError unless all names are chemical symbols."""
    names = list(names)
    if not names:
        return
    from ase.data import atomic_numbers

    unknown = [name for name in names if atomic_numbers.get(name, 0) == 0]
    if unknown:
        raise ValueError(f"not a chemical symbol: {', '.join(unknown)}")


def check_components(value: Any) -> Any:
    """Return a value of ``components``; raise a ValueError if it is invalid."""
    number = isinstance(value, int) and not isinstance(value, bool)
    size = isinstance(value, float) and 1e-7 <= value < 1
    if value == "all" or (number and 1 <= value <= 10**6) or size:
        return value
    raise ValueError(
        'it must be "all", a whole number >= 1, or a relative size from 1e-7 to below 1'
    )


def check_channels(value: Any) -> Any:
    """Return a value of ``channels``; raise a ValueError if it is invalid."""
    number = isinstance(value, int) and not isinstance(value, bool)
    share = isinstance(value, float) and 0 < value < 1
    if value == "all" or (number and 1 <= value <= MOST_CHANNELS) or share:
        return value
    raise ValueError(
        f'it must be "all", a whole number from 1 to {MOST_CHANNELS}, or a share of the '
        "variance between 0 and 1"
    )


def check_sparse(term: Any) -> None:
    """Raise a ValueError if the keys that choose sparse points contradict each other."""
    quotas = term.config_type_n_sparse
    total = sum(quotas.values())
    _check_species_numbers(term)
    numbers = [term.n_sparse, *term.species_n_sparse.values()]
    # Quotas do not apply to species without points.
    fewest = min(number for number in numbers if number)
    if any(quota < 0 for quota in quotas.values()) or total > fewest:
        raise ValueError(
            f"config_type_n_sparse adds up to {total}: its numbers must be >= 0 and "
            f"together at most n_sparse = {fewest}"
        )
    if term.sparse_method == "file" and term.sparse_file is None:
        raise ValueError(
            'sparse_method = "file" needs sparse_file, the list of sparse points'
        )
    if term.sparse_method != "file" and term.sparse_file is not None:
        raise ValueError(
            f'sparse_file is given, but sparse_method = "{term.sparse_method}"; make it '
            '"file", or remove sparse_file'
        )
    if term.sparse_method == "file" and quotas:
        raise ValueError(
            'sparse_method = "file" takes all points from sparse_file; remove '
            "config_type_n_sparse"
        )


def check_width(width: float, r_cut: float) -> None:
    """Raise a ValueError unless the width of a switch is less than its cutoff, Å."""
    if width >= r_cut:
        raise ValueError(f"width = {width} Å: it must be less than r_cut = {r_cut} Å")


def check_import_name(name: str) -> None:
    """Raise a ValueError unless a text has the form ``package.module:Name``."""
    module, colon, attribute = name.partition(":")
    if not colon or not all(p.isidentifier() for p in (*module.split("."), attribute)):
        raise ValueError(
            'give module and name as "package.module:Name", such as '
            '"ase.calculators.lj:LennardJones"'
        )


def check_plain(options: dict[str, Any]) -> None:
    """Raise a ValueError unless JSON can store all values without change."""
    for name, value in options.items():
        if not _is_plain(value):
            raise ValueError(
                f"{name} must be a finite number, a text, true or false, or lists or "
                "tables of them, to be stored in the model file"
            )


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(v) for key, v in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    finite = not isinstance(value, float) or math.isfinite(value)
    return isinstance(value, bool | int | float | str) and finite
