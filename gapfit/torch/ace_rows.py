"""Kernel rows of a cluster expansion; see ace_rows.hpp of the core.

With J = dB/dA, the row of a moved atom is w_f J·dA/dR. A displacement of a neighbour
changes the density of its channel alone, and functions of one order need only some
coefficients: J is formed by channel and order, and multiplied with the derivatives of all
neighbours of an atom at once. Functions are homogeneous, so that J·A is the order times B.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.torch.ace import AceTerm
from gapfit.torch.ace_jacobian import JacobianPart, jacobian, jacobian_parts
from gapfit.torch.density import Chunk, Expansion
from gapfit.torch.density_gradients import DensityGradients, moved_atoms
from gapfit.torch.pairs import Groups, Neighbours
from gapfit.torch.row_table import RowTable, components

__all__ = ["AceRows"]


class _Derivatives(NamedTuple):
    """Derivatives of the densities of one channel, of a chunk of n atoms.

    Attributes
    ----------
    moved : (n, 3 width, n_lm · n_max) float64
        With the positions of neighbours, padded with zeros to the same number for all.
    target : (n · width,) int64
        Their numbers; that of the centre in padding.
    dense : (n, 9, n_lm · n_max) float64
        With all displacements together, and for the virial.
    """

    moved: Tensor
    target: Tensor
    dense: Tensor


class AceRows:
    """Makes the kernel rows of a cluster expansion.

    Parameters
    ----------
    term : AceTerm
        With the central species that have functions; its weights do not matter.
    summands : (n_summands, 2) int64
        Number of a function and of a product in it.
    factors : (n_summands,) float64
        Its factor.
    weights : (n_species, n_functions) float64
        delta² u_f, eV².
    """

    def __init__(
        self, term: AceTerm, summands: Tensor, factors: Tensor, weights: Tensor
    ) -> None:
        self.term, self.weights = term, weights
        self.gradients = DensityGradients(term.density)
        self.parts = jacobian_parts(term, summands, factors)
        n_max, width = term.density.n_max, term.density.width
        lm = torch.div(term.offsets, width, rounding_mode="floor")
        # Of the coefficients, among all of their channel.
        self.places = lm * n_max + term.offsets % n_max

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows; see `TermRows`."""
        density, n_functions = self.term.density, self.weights.shape[1]
        near, inside, groups = density.grouped(near, self.term.cutoff)
        if inside.shape[0] == 0:
            return
        n_numbers = self._numbers(rows.gradients, int(groups.width.max()))
        begin = 0
        for species, present in enumerate(self.term.present):
            if present:
                columns = rows.columns(begin, begin + n_functions)
                begin += n_functions
                for bounds in density.chunks(
                    groups, species, n_numbers, self.term.chunk_bytes
                ):
                    self._add_chunk(near, groups, bounds, species, frame, columns)

    def _numbers(self, gradients: bool, width: int) -> int:
        """Return about how many numbers an atom takes besides those of its density.

        `width` is the largest number of neighbours.
        """
        density, most = self.term.density, 0
        for part in (part for parts in self.parts for part in parts):
            n, n_functions = part.coefficients.shape[0], part.n_functions
            own = 2 * part.products.shape[1] + part.places.shape[0]
            own += (n + 1) * n_functions
            if gradients:
                own += (3 * width + 9) * (n + n_functions)
            most = max(most, own)
        if not gradients:
            return most
        values = density.n_l**2 * density.n_max
        strains = density.n_max * (2 * density.n_l + 24)
        return most + (6 * width + 18) * values + width * strains

    def _add_chunk(
        self,
        near: Neighbours,
        groups: Groups,
        bounds: list[int],
        species: int,
        frame: Tensor,
        rows: RowTable,
    ) -> None:
        """Add the rows of a chunk of atoms of one species."""
        density = self.term.density
        atoms = groups.atoms[bounds[0] : bounds[1]]
        chunk = density.chunk(near, groups, bounds)
        c, expansion = density.expand(chunk, rows.gradients)
        A = self.term.coefficients(c).t().contiguous()
        channels = density.channel[near.species[near.neighbour[chunk.pair]]]
        for channel, parts in enumerate(self.parts):
            there = torch.nonzero(channels == channel).flatten()
            # Without neighbours all coefficients of a channel are zero.
            if there.shape[0] == 0 or not parts:
                continue
            if rows.gradients:
                changes = self._derivatives(
                    expansion, chunk, near, there, channel, atoms
                )
            for part in parts:
                columns = rows.columns(part.begin, part.end)
                J = jacobian(part, A, self.weights[species])
                own = A[part.coefficients].t().unsqueeze(1)
                k = torch.bmm(own, J).squeeze(1).div_(part.order)
                columns.energies.index_add_(0, frame[atoms], k)
                if rows.gradients:
                    self._add_gradients(part, J, changes, atoms, frame, columns)

    def _derivatives(
        self,
        e: Expansion,
        chunk: Chunk,
        near: Neighbours,
        there: Tensor,
        channel: int,
        atoms: Tensor,
    ) -> _Derivatives:
        """Return the derivatives of a channel, whose pairs are `there` in the chunk."""
        n, device = len(atoms), atoms.device
        environment = self.term.density.atom_of(chunk)[there]
        neighbour = near.neighbour[chunk.pair[there]]
        moved = moved_atoms(environment, neighbour, near.species.shape[0])
        counts = torch.bincount(moved.environment, minlength=n)
        width = int(counts.max())
        begins = torch.arange(n, device=device) * width
        # From the place among all to that in rows of the same width.
        shift = begins - (torch.cumsum(counts, dim=0) - counts)
        place = torch.arange(len(moved.atom), device=device) + shift[moved.environment]
        target = atoms.repeat_interleave(width)
        target[place] = moved.atom
        dc = self.gradients.of_pairs(e, chunk.place[there]).flatten(2)
        D = torch.zeros([n * width, *dc.shape[1:]], dtype=dc.dtype, device=device)
        D.index_add_(0, place[moved.place], dc)
        strains = self.gradients.of_strains(e, chunk, channel)
        dense = torch.cat([own.transpose(1, 2) for own in strains], dim=2)
        return _Derivatives(D.view(n, 3 * width, -1), target, dense.flatten(2))

    def _add_gradients(
        self,
        part: JacobianPart,
        J: Tensor,
        changes: _Derivatives,
        atoms: Tensor,
        frame: Tensor,
        rows: RowTable,
    ) -> None:
        """Add the rows of forces and virials of a chunk."""
        places = self.places[part.coefficients]
        slopes = torch.bmm(changes.moved[:, :, places], J).flatten(0, 1)
        target = components(changes.target, 3)
        rows.forces.index_add_(0, target, slopes, alpha=-1.0)
        slopes = torch.bmm(changes.dense[:, :, places], J)
        rows.forces.index_add_(0, components(atoms, 3), slopes[:, :3].flatten(0, 1))
        target = components(frame[atoms], 6)
        rows.virials.index_add_(0, target, slopes[:, 3:].flatten(0, 1))
