"""Densities of neighbours, c_nlm = Σ_j w(r) f_nl(r) Y_lm(R/r), and their adjoint.

As expansion.hpp of the core, but for a chunk of atoms at once: neighbours of each atom and
channel fill the columns of small matrices, which are multiplied by degree.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gapfit.torch.harmonics import gradient_matrix, harmonics, recurrence
from gapfit.torch.hermite import hermite_slopes, hermite_weights, scaled
from gapfit.torch.pairs import Groups, Neighbours
from gapfit.torch.weighting import neighbour_weight

__all__ = ["Chunk", "Density", "Expansion"]


class Chunk(NamedTuple):
    """Neighbours of some atoms, by atom and channel, padded to the same number.

    Attributes
    ----------
    pair : (n_pairs,) int64
        Numbers of the pairs.
    place : (n_pairs,) int64
        Their places among the padded ones.
    R : (n_rows, width, 3) float
        Vectors, Å; rows are atoms times channels.
    weight : (n_rows, width) float
        Weight of the neighbour's species; 0 in padding.
    table : (n_rows, width) int64
        Number of the table of the neighbour's species.
    """

    pair: Tensor
    place: Tensor
    R: Tensor
    weight: Tensor
    table: Tensor


class Expansion(NamedTuple):
    """What the adjoint of a density needs.

    Attributes
    ----------
    u : (n_rows, width, 3) float
        Directions of the neighbours.
    r : (n_rows, width, 1) float
        Distances, Å.
    Y : (n_rows, n_lm, width) float
        Spherical harmonics.
    F : (n_rows, width, n_l · n) float
        Weighted radial functions w f.
    slopes : (n_rows, width, n_l · n) float
        Their derivatives (w f)', 1/Å; empty without gradients.
    """

    u: Tensor
    r: Tensor
    Y: Tensor
    F: Tensor
    slopes: Tensor


class Density(nn.Module):
    """Densities of the neighbours of atoms.

    Parameters
    ----------
    table : (n_tables, n_knots, 3, n_l, n_max) float64
        Radial functions and their first two derivatives at equidistant knots from 0.
    spacing : float
        Distance of the knots, Å.
    table_of, channel : (n_species,) int64
        Table and channel of each species.
    species_weight : (n_species,) float64
        Weight of each species.
    weighting : str, list of float
        Name of the function and its parameters; see `neighbour_weight`.
    """

    rows: Tensor
    six: Tensor
    table_of: Tensor
    channel: Tensor
    species_weight: Tensor
    lowering: Tensor
    first: list[float]
    up: list[list[float]]
    back: list[list[float]]

    def __init__(
        self,
        table: Tensor,
        spacing: float,
        table_of: Tensor,
        channel: Tensor,
        species_weight: Tensor,
        weighting: tuple[str, list[float]],
    ) -> None:
        super().__init__()
        n_tables, n_knots, _, self.n_l, self.n_max = table.shape
        self.spacing = spacing
        self.n_knots = n_knots
        self.n_channels = int(channel.max()) + 1
        self.function, self.parameters = weighting
        self.first, self.up, self.back = recurrence(self.n_l - 1)
        rows = scaled(table, spacing).reshape(n_tables * n_knots * 3, -1)
        self.register_buffer("rows", rows)
        self.register_buffer("six", torch.arange(6))
        self.register_buffer("table_of", table_of)
        self.register_buffer("channel", channel)
        self.register_buffer("species_weight", species_weight)
        lowering = [gradient_matrix(degree).flatten() for degree in range(1, self.n_l)]
        self.register_buffer("lowering", torch.cat([torch.zeros(0), *lowering]))

    def chunk(self, near: Neighbours, groups: Groups, bounds: list[int]) -> Chunk:
        """Return the neighbours of a chunk of atoms; bounds as from `chunks`."""
        begin, end, from_pair, to_pair, width = bounds
        n_rows = (end - begin) * self.n_channels
        pair = groups.pair[from_pair:to_pair]
        row = groups.row[from_pair:to_pair] - begin * self.n_channels
        place = row * width + groups.slot[from_pair:to_pair]
        species = near.species[near.neighbour[pair]]
        # Padding has some harmless vector, and no weight.
        R = torch.ones([n_rows * width, 3], dtype=near.R.dtype, device=near.R.device)
        R[place] = near.R[pair]
        weight = torch.zeros([n_rows * width], dtype=R.dtype, device=R.device)
        weight[place] = self.species_weight[species]
        table = torch.zeros([n_rows * width], dtype=torch.int64, device=R.device)
        table[place] = self.table_of[species]
        return Chunk(
            pair,
            place,
            R.view(n_rows, width, 3),
            weight.view(n_rows, width),
            table.view(n_rows, width),
        )

    def expand(self, chunk: Chunk, gradients: bool) -> tuple[list[Tensor], Expansion]:
        """Return the densities, by degree (n_rows, 2 l + 1, n_max), and an expansion."""
        r = torch.sqrt((chunk.R * chunk.R).sum(dim=2, keepdim=True))
        u = chunk.R / r
        Y = harmonics(u, self.first, self.up, self.back)
        F, slopes = self._radial(chunk, r, gradients)
        c = [
            torch.bmm(self._harmonics(Y, degree), self._functions(F, degree))
            for degree in range(self.n_l)
        ]
        return c, Expansion(u, r, Y, F, slopes)

    def adjoint(self, chunk: Chunk, e: Expansion, d: list[Tensor]) -> Tensor:
        """Return dE/dR of the pairs of a chunk, (n_pairs, 3), from dE/dc by degree.

        Along u the slope is Σ_l F'_l·(Σ_m Y_lm d_lm). Across it, it is 1/r times the part
        of Σ_l F_l·(Σ_m ∇S_lm d_lm) that is perpendicular to u. S are the solid harmonics
        at u, whose gradients are harmonics one degree lower.
        """
        along = torch.zeros_like(chunk.weight)
        across = torch.zeros_like(chunk.R).transpose(1, 2)
        at = 0
        for degree in range(self.n_l):
            slopes = self._functions(e.slopes, degree).transpose(1, 2)
            Y = self._harmonics(e.Y, degree)
            along += torch.bmm(d[degree], slopes).mul_(Y).sum(dim=1)
            if degree == 0:
                continue
            low, own = 2 * degree - 1, 2 * degree + 1
            G = self.lowering[at : at + 3 * low * own].view(1, 3 * low, own)
            at += 3 * low * own
            lowered = torch.bmm(G.expand(d[degree].shape[0], 3 * low, own), d[degree])
            T = torch.bmm(lowered, self._functions(e.F, degree).transpose(1, 2))
            Y = self._harmonics(e.Y, degree - 1)
            T = T.view(-1, 3, low, T.shape[2]).mul_(Y.unsqueeze(1))
            across += T.sum(dim=2)
        across = across.transpose(1, 2) / e.r
        along = along.unsqueeze(2) - (across * e.u).sum(dim=2, keepdim=True)
        return (across + e.u * along).view(-1, 3)[chunk.place]

    def _harmonics(self, Y: Tensor, degree: int) -> Tensor:
        return Y[:, degree * degree : (degree + 1) * (degree + 1)]

    def _functions(self, F: Tensor, degree: int) -> Tensor:
        return F[:, :, degree * self.n_max : (degree + 1) * self.n_max]

    def _radial(
        self, chunk: Chunk, r: Tensor, gradients: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted radial functions, and their slopes."""
        flat = r.flatten()
        x = flat * (1.0 / self.spacing)
        knot = x.long().clamp(max=self.n_knots - 2)
        t = x - knot
        w, slope = neighbour_weight(self.function, self.parameters, flat)
        species_weight = chunk.weight.flatten()
        w, slope = w * species_weight, slope * species_weight
        # f, h f', h² f'' at the knot below and at that above are consecutive rows.
        rows = (chunk.table.flatten() * self.n_knots + knot).unsqueeze(1) * 3 + self.six
        weights = hermite_weights(t)
        F = self._combined(rows, weights * w.unsqueeze(1), r)
        if not gradients:
            return F, torch.zeros_like(r)
        change = hermite_slopes(t, self.spacing) * w.unsqueeze(1)
        return F, self._combined(rows, change + weights * slope.unsqueeze(1), r)

    def _combined(self, rows: Tensor, weights: Tensor, r: Tensor) -> Tensor:
        """Return weighted sums of six rows of the table, (n_rows, width, n_l · n)."""
        sums = nn.functional.embedding_bag(
            rows, self.rows, mode="sum", per_sample_weights=weights
        )
        return sums.view(r.shape[0], r.shape[1], -1)
