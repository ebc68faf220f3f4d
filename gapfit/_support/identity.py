"""Records of plain data: their differences in words, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "differences",
    "digest_of",
]


def digest_of(plain: Any) -> str:
    """Return a SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


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
