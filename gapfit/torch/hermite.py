"""Quintic Hermite interpolation between equidistant knots; see hermite.hpp of the core."""

import torch
from torch import Tensor, nn

from gapfit.torch.switch import switch

__all__ = ["NO_KNOTS", "HermiteTable", "hermite_slopes", "hermite_weights", "scaled"]

#: For equidistant knots.
NO_KNOTS = torch.zeros(0, 0, dtype=torch.float64)


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


class HermiteTable(nn.Module):
    """Functions that knots define, zero beyond the last.

    Parameters
    ----------
    values : (n_functions, n_knots, 3) float64
        f, f' and f'' at the knots.
    start, spacing : float
        First knot, and distance of equidistant knots.
    knots : (n_functions, n_knots) float64
        Other knots, of which the last is the same; empty if they are equidistant.
    cosine : float
        Width of the cosine that ends f with the last knot; 0 without one.
    """

    rows: Tensor
    knots: Tensor

    def __init__(
        self,
        values: Tensor,
        start: float,
        spacing: float,
        knots: Tensor,
        cosine: float,
    ) -> None:
        super().__init__()
        self.start, self.spacing, self.cosine = start, spacing, cosine
        self.n_intervals = values.shape[1] - 1
        self.even = knots.shape[0] == 0
        self.end = start + spacing * self.n_intervals
        if self.even:
            values = scaled(values, spacing)
        else:
            self.end = float(knots[0, -1])
        self.register_buffer("knots", knots.clone())
        rows = torch.cat([values[:, :-1], values[:, 1:]], dim=2)
        self.register_buffer("rows", rows.view(-1, 6))

    def forward(self, which: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return f and f' where they are not zero.

        Parameters
        ----------
        which : (n,) int64
            Number of the function, -1 for none.
        x : (n,) float
            The places.

        Returns
        -------
        inside : (n_inside,) int64
            Numbers of the places that have a function, before its end.
        value, slope : (n_inside,) float
            f and f'.
        """
        inside = torch.nonzero((x < self.end) & (which >= 0)).flatten()
        x, which = x[inside], which[inside]
        value, slope = self._evaluate(which, x)
        if self.cosine > 0.0:
            s, change = switch(x, self.end, self.cosine, True)
            slope = change * value + s * slope
            value = s * value
        return inside, value, slope

    def _evaluate(self, which: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return f and f' without the cosine."""
        if self.even:
            place = (x - self.start) / self.spacing
            knot = place.clamp(min=0.0, max=float(self.n_intervals - 1)).long()
            rows = self.rows[which * self.n_intervals + knot]
            value = (hermite_weights(place - knot) * rows).sum(dim=1)
            slopes = hermite_slopes(place - knot, self.spacing)
            return value, (slopes * rows).sum(dim=1)
        knots = self.knots[which]
        knot = torch.searchsorted(knots, x.unsqueeze(1), right=True).squeeze(1) - 1
        knot = knot.clamp(min=0, max=self.n_intervals - 1)
        begin = knots.gather(1, knot.unsqueeze(1))
        h = knots.gather(1, knot.unsqueeze(1) + 1) - begin
        t = ((x.unsqueeze(1) - begin) / h).squeeze(1)
        scale = torch.cat([torch.ones_like(h), h, h * h], dim=1).repeat(1, 2)
        rows = self.rows[which * self.n_intervals + knot] * scale
        value = (hermite_weights(t) * rows).sum(dim=1)
        return value, (hermite_slopes(t, 1.0) * rows).sum(dim=1) / h.squeeze(1)
