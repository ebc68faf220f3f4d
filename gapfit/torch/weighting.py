"""Weight of a neighbour with its distance; see `Weighting` in radial.hpp of the core."""

import math

import torch
from torch import Tensor

__all__ = ["neighbour_weight"]


def neighbour_weight(
    function: str, parameters: list[float], r: Tensor
) -> tuple[Tensor, Tensor]:
    """Return w(r) and w'(r).

    Parameters
    ----------
    function : {"none", "poly", "pow", "exp", "cosine"}
        Form of the function.
    parameters : [r0, c, d, m]
        Its parameters; r0 (and d of a cosine) in Å.
    r : (n,) float
        Distances, Å.

    Returns
    -------
    w, slope : (n,) float
        Dimensionless, and 1/Å.
    """
    r0, c, d, m = parameters[0], parameters[1], parameters[2], parameters[3]
    u = r / r0
    if function == "poly":
        u = u.clamp(max=1.0)
        base = 1.0 + u * u * (2.0 * u - 3.0)
        power = torch.full_like(r, c)
        if m != 1.0:
            # The weight is zero from r0 on; a negative power of zero must not arise.
            power = torch.where(u < 1.0, c * base.clamp(min=1e-300).pow(m - 1.0), 0.0)
        return power * base, (m * 6.0 / r0) * power * u * (u - 1.0)
    if function == "pow":
        um = u.pow(m)
        bottom = d + um
        return c / bottom, (-c * m) * um / (bottom * bottom * r)
    if function == "exp":
        decay = torch.exp(-u)
        bottom = d + decay
        return c / bottom, (c / r0) * decay / (bottom * bottom)
    if function == "cosine":
        t = ((r - r0) / d + 1.0).clamp(min=0.0, max=1.0)
        turn = -0.5 * c * math.pi / d
        return 0.5 * c * (1.0 + torch.cos(math.pi * t)), turn * torch.sin(math.pi * t)
    return torch.ones_like(r), torch.zeros_like(r)
