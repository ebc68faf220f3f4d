"""Quintic Hermite interpolation between equidistant knots; see hermite.hpp of the core."""

import torch
from torch import Tensor, nn

from gapfit.torch.pairs import picked
from gapfit.torch.switch import switch

__all__ = ["NO_KNOTS", "HermiteTable", "centred", "weighted_powers"]

#: For equidistant knots.
NO_KNOTS = torch.zeros(0, 0, dtype=torch.float64)


def centred(values: Tensor, spacing: Tensor) -> Tensor:
    """Return the quintic polynomials between knots, around the middle.

    Parameters
    ----------
    values : (n_functions, n_knots, 3, ...) float64
        Functions and their first two derivatives at the knots.
    spacing : (n_functions or 1, n_knots - 1) float64
        Distances of the knots.

    Returns
    -------
    (n_functions, n_knots - 1, 6, ...) float64
        Factors of the powers of t - 1/2, where t goes from 0 to 1 between two knots.
    """
    h = spacing.view(*spacing.shape, *[1] * (values.dim() - 3))
    below, above = values[:, :-1], values[:, 1:]
    half_sum, half_difference = 0.5 * (above + below), 0.5 * (above - below)
    mean, bend = half_sum[:, :, 0], h * h * half_sum[:, :, 2]
    turn = h * half_difference[:, :, 1]
    even_4 = 0.5 * bend - turn
    even_2 = turn - 0.5 * even_4
    step, slope = half_difference[:, :, 0], h * half_sum[:, :, 1]
    excess = slope - 2.0 * step
    odd_5 = h * h * half_difference[:, :, 2] - 6.0 * excess
    odd_3 = 2.0 * excess - 0.5 * odd_5
    return torch.stack(
        [
            mean - 0.25 * even_2 - 0.0625 * even_4,
            2.0 * step - 0.25 * odd_3 - 0.0625 * odd_5,
            even_2,
            odd_3,
            even_4,
            odd_5,
        ],
        dim=2,
    )


def weighted_powers(
    t: Tensor, w: Tensor, slope: Tensor, h: float, gradients: bool
) -> Tensor:
    """Return the powers of t - 1/2 times w, and their derivatives.

    Parameters
    ----------
    t : (n,) float
        Place between two knots, 0..1.
    w, slope : (n,) float
        A function of a distance, and its derivative.
    h : float
        Distance of the knots.
    gradients : bool
        Whether to compute the derivatives.

    Returns
    -------
    (1 or 2, n, 6) float
        w (t - 1/2)^k for k = 0 to 5; with gradients their derivatives with the distance.
    """
    t = t - 0.5
    # Places are in the last dimension until the end: loops over six numbers are slow.
    first = torch.stack([w, slope]) if gradients else w.unsqueeze(0)
    out = torch.empty([6, first.shape[0], t.shape[0]], dtype=t.dtype, device=t.device)
    out[0] = first
    for k in range(5):
        torch.mul(out[k], t, out=out[k + 1])
    if gradients:
        factors = torch.arange(1, 6, dtype=t.dtype, device=t.device).unsqueeze(1) / h
        out[1:, 1].addcmul_(out[:-1, 0], factors)
    return out.permute(1, 2, 0).contiguous()


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
        h = torch.full([1, self.n_intervals], spacing, dtype=values.dtype)
        if not self.even:
            self.end = float(knots[0, -1])
            h = knots.diff(dim=1)
        self.register_buffer("knots", knots.clone())
        self.register_buffer("rows", centred(values, h).view(-1, 6))

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
        x, which = picked(x, inside), picked(which, inside)
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
            t, inverse = place - knot, torch.full_like(x, 1.0 / self.spacing)
        else:
            knots = self.knots[which]
            knot = torch.searchsorted(knots, x.unsqueeze(1), right=True) - 1
            knot = knot.clamp(min=0, max=self.n_intervals - 1)
            begin = knots.gather(1, knot).squeeze(1)
            knot, end = knot.squeeze(1), knots.gather(1, knot + 1).squeeze(1)
            inverse = 1.0 / (end - begin)
            t = (x - begin) * inverse
        rows = self.rows.index_select(0, which * self.n_intervals + knot).unbind(1)
        t = t - 0.5
        # Horner's scheme for the polynomial and its derivative.
        slope, value = rows[5], torch.addcmul(rows[4], rows[5], t)
        for k in range(3, -1, -1):
            slope = torch.addcmul(value, slope, t)
            value = torch.addcmul(rows[k], value, t)
        return value, slope * inverse
