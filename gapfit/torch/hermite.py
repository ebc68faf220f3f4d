"""Quintic Hermite interpolation between equidistant knots; see hermite.hpp of the core."""

import torch
from torch import Tensor

__all__ = ["hermite_slopes", "hermite_weights", "scaled"]


def hermite_weights(t: Tensor) -> Tensor:
    """Return weights of f, h f', h² f'' at the knots below and above.

    Parameters
    ----------
    t : (n,) float
        Places between the knots, 0 to 1.

    Returns
    -------
    (n, 6) float
    """
    s = 1.0 - t
    t2, s2 = t * t, s * s
    s3, t3 = s2 * s, t2 * t
    return torch.stack(
        [
            s3 * (1.0 + 3.0 * t + 6.0 * t2),
            s3 * t * (1.0 + 3.0 * t),
            0.5 * s3 * t2,
            t3 * (1.0 + 3.0 * s + 6.0 * s2),
            -t3 * s * (1.0 + 3.0 * s),
            0.5 * t3 * s2,
        ],
        dim=1,
    )


def hermite_slopes(t: Tensor, spacing: float) -> Tensor:
    """Return the derivatives of `hermite_weights` with the coordinate, (n, 6), 1/Å."""
    s = 1.0 - t
    t2, s2 = t * t, s * s
    both = 30.0 * s2 * t2
    slopes = torch.stack(
        [
            -both,
            s2 * (1.0 - 3.0 * t) * (1.0 + 5.0 * t),
            0.5 * s2 * t * (2.0 - 5.0 * t),
            both,
            t2 * (1.0 - 3.0 * s) * (1.0 + 5.0 * s),
            -0.5 * t2 * s * (2.0 - 5.0 * s),
        ],
        dim=1,
    )
    return slopes * (1.0 / spacing)


def scaled(values: Tensor, spacing: float) -> Tensor:
    """Return f, h f' and h² f'', which `hermite_weights` multiply.

    Parameters
    ----------
    values : (n_tables, n_knots, 3, ...) float
        Functions and their first two derivatives at the knots.
    spacing : float
        Distance of the knots, Å.

    Returns
    -------
    (n_tables, n_knots, 3, ...) float
    """
    shape = [1, 1, 3] + [1] * (values.dim() - 3)
    powers = torch.tensor([1.0, spacing, spacing**2], dtype=values.dtype).view(shape)
    return values * powers
