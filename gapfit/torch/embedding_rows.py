"""Kernel rows of a density term; see `gapfit.descriptors.eam_density`."""

import torch
from torch import Tensor

from gapfit.torch.embedding import NeighbourDensity
from gapfit.torch.pairs import Neighbours
from gapfit.torch.row_table import RowTable, components, strains

__all__ = ["EmbeddingRows"]


class EmbeddingRows:
    """Makes the kernel rows of a density term.

    Parameters
    ----------
    density : NeighbourDensity
        ρ.
    points : list of (n_sparse,) float64
        Densities of the sparse points of each central species.
    delta, theta : float
        Standard deviation of the kernel, eV, and its length.
    chunk_bytes : int
        About how much memory pairs may take that are handled together.
    """

    def __init__(
        self,
        density: NeighbourDensity,
        points: list[Tensor],
        delta: float,
        theta: float,
        chunk_bytes: int,
    ) -> None:
        self.density, self.points = density, points
        self.variance, self.theta = delta**2, theta
        self.chunk_bytes = chunk_bytes

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows; see `TermRows`."""
        inside, density, change = self.density(near)
        begin = 0
        for species, points in enumerate(self.points):
            columns = rows.columns(begin, begin + points.shape[0])
            begin += points.shape[0]
            atoms = torch.nonzero(near.species == species).flatten()
            d = (density[atoms].unsqueeze(1) - points) / self.theta
            k = self.variance * torch.exp(-0.5 * d * d)
            columns.energies.index_add_(0, frame[atoms], k)
            if rows.gradients and points.shape[0]:
                place = torch.zeros_like(near.species)
                place[atoms] = torch.arange(len(atoms), device=atoms.device)
                slope = d.mul_(k).div_(-self.theta)
                some = torch.nonzero(near.species[near.centre[inside]] == species)
                some = some.flatten()
                most = max(self.chunk_bytes // (8 * 24 * points.shape[0]), 1)
                for part in some.split(most):
                    pair = inside[part]
                    slopes = slope[place[near.centre[pair]]]
                    _add(near, pair, change[part], slopes, frame, columns)


def _add(
    near: Neighbours,
    pair: Tensor,
    change: Tensor,
    slopes: Tensor,
    frame: Tensor,
    rows: RowTable,
) -> None:
    """Add the rows of forces and virials of some pairs.

    Parameters
    ----------
    near : Neighbours
        All pairs.
    pair : (n,) int64
        Numbers of these.
    change : (n,) float64
        Derivative of the density of the centre with the distance, 1/Å.
    slopes : (n, n_sparse) float64
        Derivatives of the kernel with this density, eV².
    frame : (n_atoms,) int64
        Frame of each atom.
    rows : RowTable
        Rows of the sparse points of the species of the centres, to add to.
    """
    R, centre = near.R[pair], near.centre[pair]
    g = (change / near.r[pair]).unsqueeze(1) * R
    forces = (g.unsqueeze(2) * slopes.unsqueeze(1)).flatten(0, 1)
    rows.forces.index_add_(0, components(centre, 3), forces)
    rows.forces.index_add_(0, components(near.neighbour[pair], 3), forces, alpha=-1.0)
    virials = strains(R, g).unsqueeze(2) * slopes.unsqueeze(1)
    rows.virials.index_add_(0, components(frame[centre], 6), virials.flatten(0, 1))
