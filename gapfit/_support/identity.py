"""Differences between two records of plain data, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "differences",
]


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Return one line for each value in which plain data differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(
                old.get(key), new.get(key), f"{name}.{key}" if name else key
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [
            line for n, (a, b) in pairs for line in differences(a, b, f"{name}[{n}]")
        ]
    return [] if old == new else [f"{name}: {old!r} then, {new!r} now"]
