"""Base class and helpers of all tables of the configuration."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LARGEST_DELTA", "LEAST_DELTA", "LEAST_SIGMA", "Section", "described"]

#: Smallest sigma; no computed quantity is that accurate, eV or eV/Å.
LEAST_SIGMA = 1e-10
#: Smallest and largest delta; beyond them rounding dominates or the potential vanishes, eV.
LEAST_DELTA, LARGEST_DELTA = 1e-10, 1e8


def described(default: Any, text: str, unit: str = "", **constraints: Any) -> Any:
    """Return a pydantic field that carries its unit for template and documentation."""
    return Field(
        default,
        description=text,
        json_schema_extra={"unit": unit} if unit else None,
        **constraints,
    )


class Section(BaseModel):
    """A table of the configuration: unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def unused_tables(self) -> frozenset[str]:
        """Names of inner tables that other keys make useless; files leave them out."""
        return frozenset()
