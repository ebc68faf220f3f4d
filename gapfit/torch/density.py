"""Densities of neighbours, c_nlm = Σ_j w(r) f_nl(r) Y_lm(R/r), and their adjoint.

As expansion.hpp of the core, but for a chunk of atoms at once: neighbours of each atom fill
the columns of small matrices, which are multiplied by degree. Each neighbour has radial
functions of all channels, zeros but for its own. That costs more products, but of matrices
that are larger and less padded than those of each channel would be.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gapfit.torch.harmonics import Harmonics
from gapfit.torch.hermite import centred, weighted_powers
from gapfit.torch.pairs import Groups, Neighbours, chunk_memory, chunks, group, picked
from gapfit.torch.weighting import neighbour_weight

__all__ = ["Chunk", "Density", "Expansion"]


class Chunk(NamedTuple):
    """Neighbours of some atoms, padded to the same number, k, for all atoms.

    Attributes
    ----------
    pair : (n_pairs,) int64
        Numbers of the pairs.
    place : (n_pairs,) int64
        Their places among the padded ones.
    R : (3, n_atoms, k) float
        Vectors, Å.
    weight : (n_atoms, k) float
        Weight of the neighbour's species; 0 in padding.
    channel : (n_channels, 1, n_atoms · k) float
        Whether the neighbour is in a channel, 1 or 0.
    table : (n_atoms, k) int64
        Number of the table of the neighbour's species.
    """

    pair: Tensor
    place: Tensor
    R: Tensor
    weight: Tensor
    channel: Tensor
    table: Tensor


class Expansion(NamedTuple):
    """What the adjoint of a density needs.

    Attributes
    ----------
    u : (3, n_atoms, k) float
        Directions of the neighbours.
    r : (n_atoms, k) float
        Distances, Å.
    Y : (n_lm, n_atoms, k) float
        Spherical harmonics.
    F : list of (n_l, n_max, n_atoms · k) float
        Radial functions w f of a neighbour's own channel; with gradients (w f)', 1/Å, too.
    functions : list of (width, n_atoms, k) float
        Radial functions of all channels, by degree.
    """

    u: Tensor
    r: Tensor
    Y: Tensor
    F: list[Tensor]
    functions: list[Tensor]


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
        self.width = self.n_channels * self.n_max
        self.harmonics = Harmonics(self.n_l - 1)
        h = torch.full([1, n_knots - 1], spacing, dtype=table.dtype)
        rows = centred(table, h).reshape(n_tables * (n_knots - 1) * 6, -1)
        self.register_buffer("rows", rows)
        self.register_buffer("six", torch.arange(6))
        self.register_buffer("table_of", table_of)
        self.register_buffer("channel", channel)
        self.register_buffer("species_weight", species_weight)

    def grouped(
        self, near: Neighbours, cutoff: float
    ) -> tuple[Neighbours, Tensor, Groups]:
        """Return the pairs within a cutoff, their numbers, and how they are grouped."""
        inside = torch.nonzero(near.r < cutoff).flatten()
        near = Neighbours(
            picked(near.centre, inside),
            picked(near.neighbour, inside),
            picked(near.R, inside),
            picked(near.r, inside),
            near.species,
        )
        n_species = self.table_of.shape[0]
        one = torch.zeros_like(near.centre)
        return near, inside, group(near.centre, one, 1, near.species, n_species)

    def chunks(
        self,
        groups: Groups,
        species: int,
        n_numbers: int,
        n_bytes: int,
        n_species: int = 1,
    ) -> list[list[int]]:
        """Return chunks of the atoms of some species; see `chunks`.

        Parameters
        ----------
        groups : Groups
            Pairs of all atoms.
        species : int
            Number of the first species.
        n_numbers : int
            Numbers that each atom needs besides those of its density.
        n_bytes : int
            Memory of a chunk; 0: what suits the device.
        n_species : int
            How many species, one after the other.
        """
        begin, end = groups.ends[species], groups.ends[species + n_species]
        if begin == end:
            nothing: list[list[int]] = []
            return nothing
        memory = chunk_memory(n_bytes, groups.atoms.is_cpu)
        n_neighbours = int(groups.width[begin:end].max())
        each = self.n_l * (4 * self.n_max + self.width + self.n_l) + 40
        most = max(memory // (8 * (n_neighbours * each + n_numbers)), 16)
        return chunks(groups, begin, end, most)

    def chunk(self, near: Neighbours, groups: Groups, bounds: list[int]) -> Chunk:
        """Return the neighbours of a chunk of atoms; bounds as from `chunks`."""
        begin, end, from_pair, to_pair, k = bounds
        n = end - begin
        pair = groups.pair[from_pair:to_pair]
        place = (groups.row[from_pair:to_pair] - begin) * k
        place = place + groups.slot[from_pair:to_pair]
        neighbour = near.neighbour.index_select(0, pair)
        species = near.species.index_select(0, neighbour)
        # Padding has some harmless vector, and no weight.
        R = torch.ones([n * k, 3], dtype=near.R.dtype, device=near.R.device)
        R.index_copy_(0, place, near.R.index_select(0, pair))
        R = R.t().contiguous().view(3, n, k)
        weight = torch.zeros([n * k], dtype=R.dtype, device=R.device)
        weight[place] = self.species_weight[species]
        channel = torch.zeros(
            [self.n_channels, 1, n * k], dtype=R.dtype, device=R.device
        )
        channel.view(-1)[self.channel[species] * (n * k) + place] = 1.0
        table = torch.zeros([n * k], dtype=torch.int64, device=R.device)
        tables = self.table_of[species]
        for which, begin_r, number in self.further:
            beyond = (species == which) & (near.r[pair] >= begin_r)
            tables = torch.where(beyond, torch.full_like(tables, number), tables)
        table[place] = tables
        return Chunk(pair, place, R, weight.view(n, k), channel, table.view(n, k))

    def atom_of(self, chunk: Chunk) -> Tensor:
        """Return the number of the central atom in the chunk by pair, (n_pairs,)."""
        return torch.div(chunk.place, chunk.R.shape[2], rounding_mode="floor")

    def expand(self, chunk: Chunk, gradients: bool) -> tuple[list[Tensor], Expansion]:
        """Return the densities and what their adjoint needs.

        Densities are by degree (n_atoms, 2 l + 1, width); the width is that of all
        functions n of the first channel, then of the next.
        """
        r = torch.sqrt((chunk.R * chunk.R).sum(dim=0))
        u = chunk.R / r
        Y = self.harmonics(u)
        F = self._radial(chunk, r, gradients)
        functions: list[Tensor] = []
        c: list[Tensor] = []
        for degree in range(self.n_l):
            functions.append(self._in_channels(F[0][degree], chunk))
            radial = functions[degree].permute(1, 2, 0)
            c.append(torch.bmm(self._harmonics(Y, degree), radial))
        return c, Expansion(u, r, Y, F, functions)

    def adjoint(self, chunk: Chunk, e: Expansion, d: list[Tensor]) -> Tensor:
        """Return dE/dR of the pairs of a chunk, (n_pairs, 3), from dE/dc.

        The latter are by degree (n_atoms, 2 l + 1, width).

        Along u the slope is Σ_lm Y_lm (F'_l·d_lm). Across it, it is 1/r times the part of
        Σ_lm ∇Y_lm (F_l·d_lm) that is perpendicular to u.
        """
        along, g = torch.zeros_like(e.r), torch.empty_like(e.Y)
        for degree in range(self.n_l):
            slopes = self._in_channels(e.F[1][degree], chunk)
            own = torch.bmm(d[degree], slopes.transpose(0, 1))
            along += own.mul_(self._harmonics(e.Y, degree)).sum(dim=1)
            own = torch.bmm(d[degree], e.functions[degree].transpose(0, 1))
            norms = self._harmonics(self.harmonics.norms, degree)
            torch.mul(own, norms, out=self._harmonics(g, degree))
        across = self.harmonics.gradient(e.u[2], e.Y, g) / e.r
        along -= (across * e.u).sum(dim=0)
        slopes = across.addcmul_(e.u, along).flatten(1).t().contiguous()
        return slopes.index_select(0, chunk.place)

    def _harmonics(self, Y: Tensor, degree: int) -> Tensor:
        """Return those of one degree, (n_atoms, 2 l + 1, k)."""
        return Y[degree * degree : (degree + 1) * (degree + 1)].transpose(0, 1)

    def _in_channels(self, functions: Tensor, chunk: Chunk) -> Tensor:
        """Return functions of the own channels in all channels, (width, n_atoms, k)."""
        if self.n_channels > 1:
            functions = (functions * chunk.channel).flatten(0, 1)
        return functions.view(self.width, chunk.R.shape[1], -1)

    def _radial(self, chunk: Chunk, r: Tensor, gradients: bool) -> list[Tensor]:
        """Return the radial functions, and their slopes; see `Expansion`."""
        x = r * (1.0 / self.spacing)
        knot = x.long().clamp(max=self.n_knots - 2)
        w, slope = neighbour_weight(self.function, self.parameters, r)
        w, slope = (w * chunk.weight).view(-1), (slope * chunk.weight).view(-1)
        t = (x - knot).view(-1)
        weights = weighted_powers(t, w, slope, self.spacing, gradients)
        # The factors of the powers of a polynomial are consecutive rows.
        rows = (chunk.table * (self.n_knots - 1) + knot).view(-1, 1) * 6 + self.six
        parts: list[Tensor] = []
        for own in weights.unbind(0):
            functions = nn.functional.embedding_bag(
                rows, self.rows, mode="sum", per_sample_weights=own
            )
            # Products are faster with neighbours in the last dimension.
            parts.append(functions.t().contiguous())
        return [part.view(self.n_l, self.n_max, -1) for part in parts]
