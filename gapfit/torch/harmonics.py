"""Real spherical harmonics and their gradients; see harmonics.hpp of the core."""

from math import factorial, pi, sqrt

import torch
from torch import Tensor

__all__ = ["gradient_matrix", "harmonics", "recurrence"]


def _norm(degree: int, m: int) -> float:
    ratio = 1.0  # (l - m)! / (l + m)!
    for k in range(1, m + 1):
        ratio /= (degree + k) * (degree - k + 1)
    return sqrt((1.0 if m == 0 else 2.0) * (2 * degree + 1) / (4 * pi) * ratio)


def recurrence(l_max: int) -> tuple[Tensor, Tensor]:
    """Return the factors of `harmonics`.

    Returns
    -------
    norms : ((l_max + 1)², 1, 1) float64
        By l² + l + m, of functions whose highest power of z has the factor 1.
    back : (Σ_l (2 l - 3), 1, 1) float64
        By degree, from 2 on, and |m| < l - 1: of the function two degrees lower.
    """
    norms: list[float] = []
    back: list[float] = []
    odd = 1.0  # (2l - 1)!!
    for degree in range(l_max + 1):
        odd *= max(2 * degree - 1, 1)
        norms += [
            _norm(degree, abs(m)) * odd / factorial(degree - abs(m))
            for m in range(-degree, degree + 1)
        ]
        k = degree - 1
        back += [(k * k - m * m) / (4 * k * k - 1) for m in range(1 - k, k)]
    dtype = torch.float64
    return (
        torch.tensor(norms, dtype=dtype).view(-1, 1, 1),
        torch.tensor(back, dtype=dtype).view(-1, 1, 1),
    )


def harmonics(u: Tensor, norms: Tensor, back: Tensor) -> Tensor:
    """Return all Y_lm of unit vectors.

    Orthonormal on the sphere, without the Condon-Shortley phase.

    Parameters
    ----------
    u : (3, n, k) float
        Unit vectors.
    norms, back : tensor
        From `recurrence`.

    Returns
    -------
    ((l_max + 1)², n, k) float
        Y_lm at l² + l + m.
    """
    x, y, z = u[0], u[1], u[2]
    n_lm = norms.shape[0]
    Y = torch.empty([n_lm, x.shape[0], x.shape[1]], dtype=u.dtype, device=u.device)
    Y[0] = 1.0
    c, s = torch.ones_like(x), torch.zeros_like(x)  # c + i s = (x + i y)^l
    lower, before, begin, at = 0, 0, 1, 0
    while begin < n_lm:
        # All m of a degree at once; those with |m| = l begin anew.
        size = begin - before + 2
        own = Y[begin : begin + size]
        torch.mul(Y[before:begin], z, out=own[1:-1])
        if size > 3:
            own[2:-2].addcmul_(Y[lower:before], back[at : at + size - 4], value=-1.0)
            at += size - 4
        c, s = torch.addcmul(x * c, y, s, value=-1.0), torch.addcmul(x * s, y, c)
        own[0], own[-1] = s, c
        lower, before, begin = before, begin, begin + size
    return Y.mul_(norms)


def gradient_matrix(degree: int) -> Tensor:
    """Return the gradients of solid harmonics in terms of those one degree lower.

    ∂_x S_lm = Σ_k G_xkm S_{l-1,k}; see `add_gradient` in harmonics.hpp.

    Returns
    -------
    (3, 2 l - 1, 2 l + 1) float64
    """
    G = torch.zeros(3, 2 * degree - 1, 2 * degree + 1, dtype=torch.float64)

    def add(x: int, m: int, lower: int, factor: float) -> None:
        if abs(lower) < degree:
            ratio = _norm(degree, abs(m)) / _norm(degree - 1, abs(lower))
            G[x, degree - 1 + lower, degree + m] += factor * ratio

    for m in range(degree + 1):
        up, down = -1.0 if m == 0 else -0.5, 0.5 * (degree + m) * (degree + m - 1)
        add(0, m, m + 1, up)
        add(1, m, -(m + 1), up)
        add(2, m, m, degree + m)
        if m == 0:
            continue
        add(0, m, m - 1, down)
        add(0, -m, -(m + 1), up)
        add(1, -m, m + 1, -up)
        add(2, -m, -m, degree + m)
        add(1, -m, m - 1, down)
        if m > 1:
            add(1, m, -(m - 1), -down)
            add(0, -m, -(m - 1), down)
    return G
