"""Real spherical harmonics and their gradients; see harmonics.hpp of the core."""

from math import pi, sqrt

import torch
from torch import Tensor

__all__ = ["gradient_matrix", "harmonics", "recurrence"]


def _norm(degree: int, m: int) -> float:
    ratio = 1.0  # (l - m)! / (l + m)!
    for k in range(1, m + 1):
        ratio /= (degree + k) * (degree - k + 1)
    return sqrt((1.0 if m == 0 else 2.0) * (2 * degree + 1) / (4 * pi) * ratio)


def recurrence(l_max: int) -> tuple[list[float], list[list[float]], list[list[float]]]:
    """Return the factors by which `harmonics` goes from one degree to the next.

    Returns
    -------
    first : list of float
        By m, of the function of degree m.
    up, back : list of list of float
        By degree and m, of the functions one and two degrees lower.
    """
    first, odd = [], 1.0  # (2m - 1)!!
    up = [[0.0] * (l_max + 1) for _ in range(l_max + 1)]
    back = [[0.0] * (l_max + 1) for _ in range(l_max + 1)]
    for m in range(l_max + 1):
        odd *= max(2 * m - 1, 1)
        first.append(odd * _norm(m, m))
        for degree in range(m + 1, l_max + 1):
            norm = _norm(degree, m) / (degree - m)
            up[degree][m] = (2 * degree - 1) * norm / _norm(degree - 1, m)
            if degree > m + 1:
                back[degree][m] = (degree + m - 1) * norm / _norm(degree - 2, m)
    return first, up, back


def harmonics(
    u: Tensor, first: list[float], up: list[list[float]], back: list[list[float]]
) -> Tensor:
    """Return all Y_lm of unit vectors.

    Orthonormal on the sphere, without the Condon-Shortley phase.

    Parameters
    ----------
    u : (n, k, 3) float
        Unit vectors.
    first, up, back : list
        From `recurrence`.

    Returns
    -------
    (n, (l_max + 1)², k) float
        Y_lm at l² + l + m.
    """
    x, y, z = u[:, :, 0].contiguous(), u[:, :, 1].contiguous(), u[:, :, 2].contiguous()
    n_l = len(first)
    Y = torch.empty([u.shape[0], n_l * n_l, u.shape[1]], dtype=u.dtype, device=u.device)
    c, s = torch.ones_like(x), torch.zeros_like(x)  # c + i s = (x + i y)^m
    for m in range(n_l):
        if m > 0:
            c, s = x * c - y * s, x * s + y * c
        q, before = torch.full_like(x, first[m]), torch.zeros_like(x)
        for degree in range(m, n_l):
            if degree == m + 1:
                q, before = (up[degree][m] * z) * q, q
            elif degree > m:
                q, before = (up[degree][m] * z) * q - back[degree][m] * before, q
            at = degree * degree + degree
            torch.mul(q, c, out=Y[:, at + m])
            if m > 0:
                torch.mul(q, s, out=Y[:, at - m])
    return Y


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
