"""Densities of neighbours, c_nlm = Σ_j w(r) f_nl(r) Y_lm(R/r), and their adjoint.

As expansion.hpp of the core, but for a chunk of atoms at once: neighbours of each atom and
channel fill the columns of small matrices, which are multiplied by degree.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gapfit.torch.harmonics import gradient_matrix, harmonics, recurrence
from gapfit.torch.hermite import hermite_slopes, hermite_weights, scaled
from gapfit.torch.pairs import Groups, Neighbours, chunks, group
from gapfit.torch.weighting import neighbour_weight

__all__ = ["Chunk", "Density", "Expansion"]


class Chunk(NamedTuple):
    """Neighbours of some atoms, by channel, each padded to the same number for all atoms.

    Attributes
    ----------
    pair : (n_pairs,) int64
        Numbers of the pairs.
    place : (n_pairs,) int64
        Their places among the padded ones.
    R : (n_atoms, width, 3) float
        Vectors, Å: those of the first channel, then of the next.
    weight : (n_atoms, width) float
        Weight of the neighbour's species; 0 in padding.
    table : (n_atoms, width) int64
        Number of the table of the neighbour's species.
    ends : list of int
        Where the places of each channel end.
    """

    pair: Tensor
    place: Tensor
    R: Tensor
    weight: Tensor
    table: Tensor
    ends: list[int]


class Expansion(NamedTuple):
    """What the adjoint of a density needs.

    Attributes
    ----------
    u : (n_atoms, width, 3) float
        Directions of the neighbours.
    r : (n_atoms, width, 1) float
        Distances, Å.
    Y : (n_atoms, n_lm, width) float
        Spherical harmonics.
    F : (n_atoms, width, n_l · n) float
        Weighted radial functions w f.
    slopes : (n_atoms, width, n_l · n) float
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
    further : list of (int, float, int)
        Species, distance from which it has another table, Å, and that table; ascending.
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
    further: list[tuple[int, float, int]]

    def __init__(
        self,
        table: Tensor,
        spacing: float,
        table_of: Tensor,
        channel: Tensor,
        species_weight: Tensor,
        weighting: tuple[str, list[float]],
        further: list[tuple[int, float, int]],
    ) -> None:
        super().__init__()
        self.further = further
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

    def grouped(
        self, near: Neighbours, cutoff: float
    ) -> tuple[Neighbours, Tensor, Groups]:
        """Return the pairs within a cutoff, their numbers, and how they are grouped."""
        inside = torch.nonzero(near.r < cutoff).flatten()
        near = Neighbours(
            near.centre[inside],
            near.neighbour[inside],
            near.R[inside],
            near.r[inside],
            near.species,
        )
        channel = self.channel[near.species[near.neighbour]]
        n_species = self.table_of.shape[0]
        groups = group(near.centre, channel, self.n_channels, near.species, n_species)
        return near, inside, groups

    def chunks(
        self, groups: Groups, species: int, n_numbers: int, n_bytes: int
    ) -> list[list[int]]:
        """Return chunks of the atoms of a species; see `chunks`.

        Parameters
        ----------
        groups : Groups
            Pairs of all atoms.
        species : int
            Number of the species.
        n_numbers : int
            Numbers that each atom needs besides those of its density.
        n_bytes : int
            Memory of a chunk; 0: what suits the device.
        """
        begin, end = groups.ends[species], groups.ends[species + 1]
        if begin == end:
            nothing: list[list[int]] = []
            return nothing
        if n_bytes == 0:
            n_bytes = 2_000_000_000 if groups.atoms.is_cuda else 64_000_000
        width = int(groups.counts[begin:end].amax(dim=0).sum())
        each = 8 * self.n_l * self.n_max + 4 * self.n_l * self.n_l
        most = max(n_bytes // (8 * (width * each + n_numbers)), 16)
        return chunks(groups, begin, end, most)

    def chunk(self, near: Neighbours, groups: Groups, bounds: list[int]) -> Chunk:
        """Return the neighbours of a chunk of atoms; bounds as from `chunks`."""
        begin, end, from_pair, to_pair, _ = bounds
        widths = groups.counts[begin:end].amax(dim=0)
        widths[0].clamp_(min=1)
        ends = torch.cumsum(widths, dim=0)
        last: list[int] = ends.tolist()
        n, width = end - begin, last[-1]
        pair = groups.pair[from_pair:to_pair]
        row = groups.row[from_pair:to_pair]
        atom = torch.div(row, self.n_channels, rounding_mode="floor")
        channel = row - atom * self.n_channels
        place = (atom - begin) * width + (ends - widths)[channel]
        place = place + groups.slot[from_pair:to_pair]
        species = near.species[near.neighbour[pair]]
        # Padding has some harmless vector, and no weight.
        R = torch.ones([n * width, 3], dtype=near.R.dtype, device=near.R.device)
        R[place] = near.R[pair]
        weight = torch.zeros([n * width], dtype=R.dtype, device=R.device)
        weight[place] = self.species_weight[species]
        table = torch.zeros([n * width], dtype=torch.int64, device=R.device)
        tables = self.table_of[species]
        for which, begin_r, number in self.further:
            beyond = (species == which) & (near.r[pair] >= begin_r)
            tables = torch.where(beyond, torch.full_like(tables, number), tables)
        table[place] = tables
        return Chunk(
            pair,
            place,
            R.view(n, width, 3),
            weight.view(n, width),
            table.view(n, width),
            last,
        )

    def atom_of(self, chunk: Chunk) -> Tensor:
        """Return the number of the central atom in the chunk by pair, (n_pairs,)."""
        return torch.div(chunk.place, chunk.R.shape[1], rounding_mode="floor")

    def expand(self, chunk: Chunk, gradients: bool) -> tuple[list[Tensor], Expansion]:
        """Return the densities and what their adjoint needs.

        Densities are by degree (n_atoms, n_channels, 2 l + 1, n_max).
        """
        r = torch.sqrt((chunk.R * chunk.R).sum(dim=2, keepdim=True))
        u = chunk.R / r
        Y = harmonics(u, self.first, self.up, self.back)
        F, slopes = self._radial(chunk, r, gradients)
        c: list[Tensor] = []
        for degree in range(self.n_l):
            harmonic, radial = self._harmonics(Y, degree), self._functions(F, degree)
            parts: list[Tensor] = []
            begin = 0
            for end in chunk.ends:
                parts.append(torch.bmm(harmonic[:, :, begin:end], radial[:, begin:end]))
                begin = end
            c.append(torch.stack(parts, dim=1))
        return c, Expansion(u, r, Y, F, slopes)

    def adjoint(self, chunk: Chunk, e: Expansion, d: list[Tensor]) -> Tensor:
        """Return dE/dR of the pairs of a chunk, (n_pairs, 3), from dE/dc.

        The latter are by degree (n_atoms, n_channels, 2 l + 1, n_max).

        Along u the slope is Σ_l F'_l·(Σ_m Y_lm d_lm). Across it, it is 1/r times the part
        of Σ_l F_l·(Σ_m ∇S_lm d_lm) that is perpendicular to u. S are the solid harmonics
        at u, whose gradients are harmonics one degree lower.
        """
        along = torch.zeros_like(chunk.weight)
        across = torch.zeros_like(chunk.R).transpose(1, 2)
        at = 0
        for degree in range(self.n_l):
            slopes = self._functions(e.slopes, degree)
            own = _by_channel(d[degree], slopes, chunk.ends)
            along += own.mul_(self._harmonics(e.Y, degree)).sum(dim=1)
            if degree == 0:
                continue
            low, size = 2 * degree - 1, 2 * degree + 1
            G = self.lowering[at : at + 3 * low * size].view(3 * low, size)
            at += 3 * low * size
            lowered = torch.matmul(G, d[degree])
            own = _by_channel(lowered, self._functions(e.F, degree), chunk.ends)
            own = own.view(own.shape[0], 3, low, own.shape[2])
            own = own.mul_(self._harmonics(e.Y, degree - 1).unsqueeze(1))
            across += own.sum(dim=2)
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


def _by_channel(left: Tensor, radial: Tensor, ends: list[int]) -> Tensor:
    """Return products with the radial functions of the neighbours of each channel.

    Parameters
    ----------
    left : (n_atoms, n_channels, n_rows, n_max) float
        By channel.
    radial : (n_atoms, width, n_max) float
        Of the neighbours, those of the first channel, then of the next.
    ends : list of int
        Where the places of each channel end.

    Returns
    -------
    (n_atoms, n_rows, width) float
    """
    parts: list[Tensor] = []
    begin = 0
    for channel, end in enumerate(ends):
        own = radial[:, begin:end].transpose(1, 2)
        parts.append(torch.bmm(left[:, channel], own))
        begin = end
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
