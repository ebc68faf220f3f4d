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
    """Base of all errors that a user can cause and mend.

    The message says what is wrong, the value, where it came from and what to do.
    """


class ConfigError(GapfitError):
    """A configuration that cannot be used; lists every problem found."""


class DataError(GapfitError):
    """Reference data that cannot be fitted; names file and frame."""


class StructureError(GapfitError):
    """A structure whose energy the model cannot give (species, overlapping atoms)."""


class ModelFileError(GapfitError):
    """A model file that is damaged, foreign or newer than this gapfit."""


class LostDigitsError(GapfitError):
    """Normal equations that are not positive definite to working precision."""


class LeftOutError(GapfitError):
    """A training structure that cannot be left out; names it."""
