"""Copies and pickles of objects without the results that they keep."""

from __future__ import annotations

from functools import cached_property
from typing import Any

__all__ = ["WithoutCaches"]


class WithoutCaches:
    """Base of classes whose copies and pickles leave out the values of cached properties.

    These are computed again, to the same bits, where they are needed. Objects of the core
    and ASE calculators among them need not be picklable.
    """

    def __getstate__(self) -> dict[str, Any]:
        cls = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(cls, name, None), cached_property)
        }
