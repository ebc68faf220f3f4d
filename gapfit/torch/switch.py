"""The switch that ends pairs and triplets at the cutoff; see switch.hpp of the core."""

import math

import torch
from torch import Tensor

__all__ = ["switch"]


def switch(
    r: Tensor, cutoff: float, width: float, cosine: bool
) -> tuple[Tensor, Tensor]:
    """Return s and s' of distances below the cutoff.

    Parameters
    ----------
    r : (n,) float
        Distances, Å.
    cutoff, width : float
        Where the switch ends, and how far before it begins, Å.
    cosine : bool
        Whether it is QUIP's; see `gapfit.descriptors.switch.Switch`.

    Returns
    -------
    s, slope : (n,) float
        Dimensionless, and 1/Å.
    """
    t = ((r - cutoff) / width + 1.0).clamp(min=0.0)
    if cosine:
        turn = -0.5 * math.pi / width
        return 0.5 * (1.0 + torch.cos(math.pi * t)), turn * torch.sin(math.pi * t)
    s = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
    return s, (-30.0 / width) * t * t * (1.0 - t) * (1.0 - t)
