"""Covariances with a three-body term; see triplet_rows.hpp of the core."""

import torch
from torch import Tensor

from gapfit.torch.cluster_priors import cluster_priors, gaussians
from gapfit.torch.precision import DoubleBuffers

__all__ = ["TripletKernel"]


class TripletKernel(DoubleBuffers):
    """Covariances of local energies with a three-body term.

    Parameters
    ----------
    points : list of (n_sparse, 3) float64
        Sparse points of each block.
    block : (n_species, n_species, n_species) int64
        Block of each triplet of species, centre first.
    delta : float
        Standard deviation of the kernel, eV.
    theta : list of float
        Its lengths: Å, Å², Å.
    """

    points: Tensor
    block: Tensor
    theta: Tensor
    ends: list[int]

    def __init__(
        self, points: list[Tensor], block: Tensor, delta: float, theta: list[float]
    ) -> None:
        super().__init__()
        self.variance = delta**2
        ends = [0]
        for own in points:
            ends.append(ends[-1] + len(own))
        self.ends, self.n_sparse = ends, ends[-1]
        # Of a triplet: its arguments, sorted ones, kernels, and these times the switches.
        self.n_numbers = 30 + 2 * max(len(own) for own in points)
        lengths = torch.tensor(theta, dtype=torch.float64)
        self.register_buffer("points", torch.cat(points) / lengths)
        self.register_buffer("block", block)
        self.register_buffer("theta", lengths)

    def add(
        self,
        q: Tensor,
        s: Tensor,
        centre: Tensor,
        block: Tensor,
        k_m: Tensor,
        prior: Tensor,
    ) -> None:
        """Add the part of some atoms; see `Term.covariances`.

        Parameters
        ----------
        q : (n, 3) float64
            Arguments of g of all their triplets.
        s : (n,) float64
            Products of the switches.
        centre, block : (n,) int64
            Central atoms and blocks.
        k_m : (n_atoms, n_sparse) float64
            Covariances, to add to, eV².
        prior : (n_atoms,) float64
            Prior variances, to add to, eV².
        """
        x, n_blocks = q / self.theta, len(self.ends) - 1
        own = cluster_priors(x, s, centre, block, n_blocks, prior.shape[0])
        prior += self.variance * own
        block, order = torch.sort(block)
        x, centre = x[order], centre[order]
        s = self.variance * s[order].unsqueeze(1)
        counts = torch.bincount(block, minlength=n_blocks)
        last: list[int] = torch.cumsum(counts, dim=0).tolist()
        begin = 0
        for n, end in enumerate(last):
            n_sparse = self.ends[n + 1] - self.ends[n]
            if end > begin and n_sparse > 0:
                k = gaussians(
                    x[begin:end], self.points[self.ends[n] : self.ends[n + 1]]
                )
                columns = k_m.narrow(1, self.ends[n], n_sparse)
                columns.index_add_(0, centre[begin:end], s[begin:end] * k)
            begin = end
