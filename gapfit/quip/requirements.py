"""What gapfit requires of a descriptor of QUIP, and what reading one gives."""

from __future__ import annotations

import numpy as np

from gapfit.config.term_base import TermConfig
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.xml_file import Coordinates

__all__ = ["TermRead", "refuse", "require_kernel", "require_width"]

#: Settings, blocks, points, and how often QUIP counts each pair or triplet.
TermRead = tuple[TermConfig, tuple[int, ...], np.ndarray, int]


def refuse(options: Options, **only: object) -> None:
    """Refuse options with other values than those supported."""
    for key, value in only.items():
        stored: object
        if isinstance(value, bool):
            stored = options.logical(key, default=value)
        elif isinstance(value, float | int):
            stored = options.real(key, default=float(value))
        else:
            stored = options.text(key, default=str(value))
        if stored != value:
            given = shortened(options.text(key) or "")
            raise GapfitError(
                f"{options.name}: {key} = {given} is not supported (only {value})"
            )


#: Kernels by the number `covariance` of `Coordinates`.
_KERNELS = {1: "ard_se", 2: "dot_product", 3: "bond_real_space", 4: "pp"}


def require_kernel(source: Coordinates, options: Options, *supported: int) -> None:
    """Refuse a kernel other than the numbers `covariance` of `Coordinates` given."""
    if source.covariance not in supported:
        name = _KERNELS.get(source.covariance, f"number {source.covariance}")
        names = " and ".join(_KERNELS[number] for number in supported)
        raise GapfitError(
            f"{source.label}: {options.name} with the kernel {name} is not supported (only "
            f"{names})"
        )


def require_width(source: Coordinates, width: int) -> None:
    """Refuse sparse points of another number of values than `width`."""
    if source.points.shape[1] != width:
        raise GapfitError(
            f"{source.label}: sparse points have {source.points.shape[1]} numbers, but "
            f"their descriptor has {width}"
        )
