"""Kernel rows of a two-body term; see `gapfit.descriptors.distance_2b`."""

import torch
from torch import Tensor

from gapfit.torch.pairs import Neighbours
from gapfit.torch.row_table import RowTable, components, strains
from gapfit.torch.switch import switch

__all__ = ["PairRows"]


class PairRows:
    """Makes the kernel rows of a two-body term.

    Parameters
    ----------
    points : list of (n_sparse,) float64
        Distances of the sparse points of each block, Å.
    block : (n_species, n_species) int64
        Block of each pair of species.
    delta, theta : float
        Standard deviation of the kernel, eV, and its length, Å.
    cutoff, width : float
        Of the switch, Å.
    cosine : bool
        Whether it is a cosine.
    chunk_bytes : int
        About how much memory pairs may take that are handled together.
    """

    def __init__(
        self,
        points: list[Tensor],
        block: Tensor,
        delta: float,
        theta: float,
        cutoff: float,
        width: float,
        cosine: bool,
        chunk_bytes: int,
    ) -> None:
        self.points, self.block = points, block
        self.variance, self.theta = delta**2, theta
        self.cutoff, self.width, self.cosine = cutoff, width, cosine
        self.chunk_bytes = chunk_bytes

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows; see `TermRows`."""
        species = near.species
        block = self.block[species[near.centre], species[near.neighbour]]
        inside = near.r < self.cutoff
        begin = 0
        for n, points in enumerate(self.points):
            n_sparse = points.shape[0]
            columns = rows.columns(begin, begin + n_sparse)
            begin += n_sparse
            if n_sparse:
                members = torch.nonzero(inside & (block == n)).flatten()
                most = max(self.chunk_bytes // (8 * 12 * n_sparse), 1)
                for part in members.split(most):
                    self._add(near, part, points, frame, columns)

    def _add(
        self,
        near: Neighbours,
        members: Tensor,
        points: Tensor,
        frame: Tensor,
        rows: RowTable,
    ) -> None:
        """Add the rows of some pairs of one block."""
        r, R, centre = near.r[members], near.R[members], near.centre[members]
        d = (r.unsqueeze(1) - points) / self.theta
        k = self.variance * torch.exp(-0.5 * d * d)
        s, change = switch(r, self.cutoff, self.width, self.cosine)
        s, change = s.unsqueeze(1), change.unsqueeze(1)
        rows.energies.index_add_(0, frame[centre], s * k, alpha=0.5)
        if not rows.gradients:
            return
        slope = change * k - (s / self.theta) * d * k
        u = R / r.unsqueeze(1)
        # Each pair is listed twice, once for each atom: here the force on the centre.
        forces = u.unsqueeze(2) * slope.unsqueeze(1)
        rows.forces.index_add_(0, components(centre, 3), forces.flatten(0, 1))
        virials = strains(R, u).unsqueeze(2) * slope.unsqueeze(1)
        target = components(frame[centre], 6)
        rows.virials.index_add_(0, target, virials.flatten(0, 1), alpha=0.5)
