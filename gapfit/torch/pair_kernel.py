"""Covariances with a two-body term; see pair_kernel.hpp of the core."""

import torch
from torch import Tensor

from gapfit.torch.cluster_priors import cluster_priors
from gapfit.torch.pairs import Neighbours
from gapfit.torch.precision import DoubleBuffers
from gapfit.torch.switch import switch

__all__ = ["PairKernel"]


class PairKernel(DoubleBuffers):
    """Covariances of local energies with a two-body term.

    Parameters
    ----------
    points : (n_blocks, n_sparse) float64
        Distances of the sparse points of each pair of species, Å, padded with any.
    columns : (n_columns,) int64
        Places of those that are no padding.
    block : (n_species, n_species) int64
        Block of each pair of species.
    delta, theta : float
        Standard deviation of the kernel, eV, and its length, Å.
    cutoff, width : float
        Of the switch, Å.
    cosine : bool
        Whether it is a cosine.
    """

    points: Tensor
    columns: Tensor
    block: Tensor

    def __init__(
        self,
        points: Tensor,
        columns: Tensor,
        block: Tensor,
        delta: float,
        theta: float,
        cutoff: float,
        width: float,
        cosine: bool,
    ) -> None:
        super().__init__()
        self.theta, self.variance = theta, delta**2
        self.cutoff, self.width, self.cosine = cutoff, width, cosine
        self.n_sparse = len(columns)
        self.register_buffer("points", points / theta)
        self.register_buffer("columns", columns)
        self.register_buffer("block", block)

    def forward(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances and prior variances; see `Term.covariances`."""
        n_blocks, n_points = self.points.shape[0], self.points.shape[1]
        n_atoms = near.species.shape[0]
        inside = torch.nonzero(near.r < self.cutoff).flatten()
        centre = near.centre[inside]
        block = self.block[near.species[centre], near.species[near.neighbour[inside]]]
        x = near.r[inside].to(self.points.dtype) / self.theta
        s, _ = switch(x * self.theta, self.cutoff, self.width, self.cosine)
        rows = torch.zeros(
            [n_atoms * n_blocks, n_points], dtype=x.dtype, device=x.device
        )
        row = centre * n_blocks + block
        together = max((1 << 21) // max(n_points, 1), 1)
        for k in range(0, x.shape[0], together):
            part = slice(k, k + together)
            d = x[part].unsqueeze(1) - self.points[block[part]]
            rows.index_add_(
                0, row[part], s[part].unsqueeze(1) * torch.exp(-0.5 * d * d)
            )
        # An atom has half of the energy of a pair.
        k_m = rows.view(n_atoms, -1).index_select(1, self.columns)
        prior = cluster_priors(x.unsqueeze(1), s, centre, block, n_blocks, n_atoms)
        return 0.5 * self.variance * k_m, 0.25 * self.variance * prior
