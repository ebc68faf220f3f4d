"""Deltas, powers and sigmas that tuning may choose, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["MOST", "WIDE", "Freedom", "Leash", "Limits"]

#: Largest change of a delta or of a sigma.
MOST = 1000.0


class Limits(NamedTuple):
    """Least and largest ratio, or change of a power, that may be chosen."""

    low: float
    high: float

    def clipped(self, value: float) -> float:
        """Return the nearest value within the limits."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Leash:
    """Largest ratios of deltas to the sigma of a group.

    The fitted function depends on ratios of sigmas to deltas alone: the smaller these, the
    farther it swings where there are no data.

    Attributes
    ----------
    group : int
        The group.
    most : tuple of float
        By term, largest ratio of its factor to that of the sigma.
    """

    group: int
    most: tuple[float, ...]


#: The limits where no others are given.
WIDE = Limits(1.0 / MOST, MOST)


@dataclass(frozen=True)
class Freedom:
    """Deltas, powers and sigmas that may be chosen.

    Attributes
    ----------
    delta : tuple of (Limits or None)
        By term. None: fixed.
    sigma : tuple of (int or None)
        By group, the number of the parameter that the evidence chooses; groups of one
        number share their factor. None: fixed.
    energy : tuple of bool
        By group, whether errors of held-out frames choose its sigma.
    score : {"both", "energy", "forces", "evidence"}
        Errors that choose them; "evidence" counts as "both".
    sigma_limits : mapping of int to Limits
        By the number of the parameter; `WIDE` where absent.
    energy_limits : Limits
        Those of the sigmas that errors of held-out frames choose.
    powers : mapping of int to Limits
        Changes of the powers by which priors fall, by term; fixed where absent.
    refined : tuple of int
        Numbers of the parameters that errors of held-out frames may lower.
    rescales : bool
        Whether all deltas and all sigmas that matter are free, so that they can be
        multiplied by one factor.
    leash : Leash or None
        Limit of deltas by a sigma.
    """

    delta: tuple[Limits | None, ...]
    sigma: tuple[int | None, ...]
    energy: tuple[bool, ...]
    score: str
    sigma_limits: Mapping[int, Limits] = field(default_factory=dict)
    energy_limits: Limits = WIDE
    powers: Mapping[int, Limits] = field(default_factory=dict)
    refined: tuple[int, ...] = ()
    rescales: bool = False
    leash: Leash | None = None
