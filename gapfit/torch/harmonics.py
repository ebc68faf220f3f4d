"""Real spherical harmonics and their gradients; see harmonics.hpp of the core."""

from math import factorial, pi, sqrt

import torch
from torch import Tensor, nn

__all__ = ["Harmonics", "gradient_matrix"]


def _norm(degree: int, m: int) -> float:
    ratio = 1.0  # (l - m)! / (l + m)!
    for k in range(1, m + 1):
        ratio /= (degree + k) * (degree - k + 1)
    return sqrt((1.0 if m == 0 else 2.0) * (2 * degree + 1) / (4 * pi) * ratio)


class Harmonics(nn.Module):
    """All Y_lm of unit vectors u, orthonormal, without the Condon-Shortley phase.

    They are polynomials in x, y and z. Without their norms, S = Y / N, those with |m| = l
    are the imaginary and the real part of (x + i y)^l, and

        S_lm = z S_{l-1,m} - b_lm S_{l-2,m}

    for others, where b is 0 if |m| = l - 1.

    Parameters
    ----------
    l_max : int
        Largest degree l.
    """

    norms: Tensor
    back: Tensor
    inverse: Tensor
    outer: Tensor
    change: Tensor

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.n_lm = (l_max + 1) ** 2
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
        # N by l² + l + m; b by degree from 2 on, and |m| < l - 1.
        self.register_buffer("norms", _column(norms))
        self.register_buffer("back", _column(back))
        # 1/N of the degrees below l_max.
        self.register_buffer("inverse", 1.0 / _column(norms)[: l_max**2, :, 0].t())
        # Where m is -l and l, by degree from 0 on.
        outer = [[k * k, k * k + 2 * k] for k in range(l_max + 1)]
        self.register_buffer("outer", torch.tensor(outer).t().contiguous())
        # l/N makes Y with |m| = l - 1 the derivative of (x + i y)^l. For l = 1 that is 1,
        # without an imaginary part.
        change = [(k + 1) / norms[k * k] for k in range(l_max)]
        imaginary = [0.0, *change[1:]] if l_max else []
        self.register_buffer(
            "change", torch.stack([_column(imaginary), _column(change)])
        )

    def forward(self, u: Tensor) -> Tensor:
        """Return Y_lm at l² + l + m, ((l_max + 1)², n, k), of unit vectors u (3, n, k)."""
        x, y, z = u[0], u[1], u[2]
        Y = torch.empty(
            [self.n_lm, x.shape[0], x.shape[1]], dtype=u.dtype, device=u.device
        )
        Y[0] = 1.0
        c, s = torch.ones_like(x), torch.zeros_like(x)  # c + i s = (x + i y)^l
        lower, before, begin, at = 0, 0, 1, 0
        while begin < self.n_lm:
            # All m of a degree at once; those with |m| = l begin anew.
            size = begin - before + 2
            own = Y[begin : begin + size]
            torch.mul(Y[before:begin], z, out=own[1:-1])
            if size > 3:
                back = self.back[at : at + size - 4]
                own[2:-2].addcmul_(Y[lower:before], back, value=-1.0)
                at += size - 4
            c, s = torch.addcmul(x * c, y, s, value=-1.0), torch.addcmul(x * s, y, c)
            own[0], own[-1] = s, c
            lower, before, begin = before, begin, begin + size
        return Y.mul_(self.norms)

    def gradient(self, z: Tensor, Y: Tensor, g: Tensor) -> Tensor:
        """Return the derivatives of Σ_lm g_lm S_lm with x, y and z, (3, n, k).

        The recurrence is gone back, degree by degree, so this takes no more than a few
        times as long as Y itself. Only the part across u has a meaning: the polynomials
        are those of unit vectors.

        Parameters
        ----------
        z : (n, k) float
            Third component of the unit vectors.
        Y : ((l_max + 1)², n, k) float
            The harmonics.
        g : ((l_max + 1)², n, k) float
            Factors of S_lm: those of Y_lm times N. They are overwritten.
        """
        n_low = self.inverse.shape[1]
        along_z = torch.empty_like(Y[:n_low])
        begin, end, at = n_low, self.n_lm, self.back.shape[0]
        while begin > 0:
            size = end - begin
            before = begin - size + 2
            own = g[begin + 1 : end - 1]
            torch.mul(own, Y[before:begin], out=along_z[before:begin])
            if before > 0:
                g[before:begin].addcmul_(own, z)
                lower = before - size + 4
                at -= size - 4
                back = self.back[at : at + size - 4]
                g[lower:before].addcmul_(own[1:-1], back, value=-1.0)
            begin, end = before, begin
        low = Y[self.outer[:, :-1].flatten()].view(2, -1, z.shape[0], z.shape[1])
        low = low * self.change
        s, c = low[0], low[1]
        own = g[self.outer[:, 1:].flatten()].view(low.shape)
        g_s, g_c = own[0], own[1]
        return torch.stack(
            [
                (g_c * c).addcmul_(g_s, s).sum(dim=0),
                (g_s * c).addcmul_(g_c, s, value=-1.0).sum(dim=0),
                (self.inverse @ along_z.flatten(1)).view(z.shape),
            ]
        )


def _column(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64).view(len(numbers), 1, 1)


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
