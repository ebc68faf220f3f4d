"""The errors gapfit raises for its users."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "GapfitError",
    "LeftOutError",
    "LostDigitsError",
    "ModelFileError",
    "StructureError",
]


class GapfitError(ValueError):
    """Base of all errors that a user can cause and fix.

    The message says what is wrong, the value, where it came from and what to do.
    """


class ConfigError(GapfitError):
    """A configuration that cannot be used; the message lists all problems."""


class DataError(GapfitError):
    """Reference data that cannot be fitted; the message names file and frame."""


class StructureError(GapfitError):
    """A structure that the model cannot predict: unknown species or overlapping atoms."""


class ModelFileError(GapfitError):
    """A model file that is damaged, not gapfit's, or from a newer version."""


class LostDigitsError(GapfitError):
    """Normal equations that are not positive definite to working precision."""


class LeftOutError(GapfitError):
    """A training structure that cannot be left out; the message names it."""
