"""Copies and pickles of objects that keep what they once computed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

__all__ = ["WithoutCaches"]


class WithoutCaches:
    """Copies and pickles leave out what cached properties hold.

    It is made again, to the same bits, where it is needed, and objects of the core or a
    calculator of ASE among it need not be picklable.
    """

    def __getstate__(self) -> dict[str, Any]:
        own = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(own, name, None), cached_property)
        }
