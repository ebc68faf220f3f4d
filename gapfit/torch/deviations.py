"""Standard deviations of the energies of atoms; see `gapfit.model.local_variance`."""

import torch
from torch import Tensor

from gapfit.torch.kernel import power
from gapfit.torch.pairs import Neighbours, chunks, group
from gapfit.torch.precision import DoubleBuffers
from gapfit.torch.switch import switch

__all__ = ["PairCovariances", "VarianceForm"]


class VarianceForm(DoubleBuffers):
    """From covariances k of one central species to variances, prior - |W^T k|².

    Parameters
    ----------
    points : (n_sparse, width) float64
        Sparse points of the SOAP term.
    projection : (n_features, width) float64 or None
        Directions U: dot products are those of U^T q.
    W : (size, size) float64
        1/eV; see `VarianceForm` of `gapfit.descriptors.soap_engine`.
    columns : (n,) int64
        Columns of covariances with other terms that k begins and ends with.
    before : int
        How many of them it begins with.
    delta, zeta : float
        Of the kernel: standard deviation, eV, and power.
    samples : (n_sparse, n_samples) float64
        Differences of sampled coefficients from those of the fit, 1/eV.
    """

    samples: Tensor
    points: Tensor
    projection: Tensor
    W: Tensor
    columns: Tensor

    def __init__(
        self,
        points: Tensor,
        projection: Tensor | None,
        W: Tensor,
        columns: Tensor,
        before: int,
        delta: float,
        zeta: float,
        samples: Tensor,
    ) -> None:
        super().__init__()
        self.before, self.variance, self.zeta = before, delta**2, zeta
        self.projected = projection is not None
        self.n_numbers = 3 * len(W) + points.shape[1]
        self.register_buffer("points", points)
        self.register_buffer(
            "projection", torch.zeros(0, 0) if projection is None else projection
        )
        self.register_buffer("W", W)
        self.register_buffer("columns", columns)
        self.register_buffer("samples", samples)

    def reorder(self, order: Tensor) -> None:
        """Take features in another order: as ``q[:, order]``."""
        if self.projected:
            self.projection = self.projection[order].contiguous()
        else:
            self.points = self.points[:, order].contiguous()

    def forward(self, q: Tensor, other: Tensor) -> Tensor:
        """Return variances of environments less the priors of other terms, (n,), eV².

        Parameters
        ----------
        q : (n, n_features) float
            Environments.
        other : (n, n_columns) float64
            Covariances with the sparse points of other terms, eV².
        """
        own = self.covariances(q)
        other = other.index_select(1, self.columns)
        k = torch.cat([other[:, : self.before], own, other[:, self.before :]], dim=1)
        explained = (k @ self.W).square_().sum(dim=1)
        # An empty environment has no energy of this term.
        there = (q != 0.0).any(dim=1)
        return self.variance * there.to(k.dtype) - explained

    def covariances(self, q: Tensor) -> Tensor:
        """Return covariances with the sparse points of the term, (n, n_sparse), eV²."""
        q = q.to(self.points.dtype)
        x = q @ self.projection if self.projected else q
        return power(x @ self.points.t(), self.zeta).mul_(self.variance)


class PairCovariances(DoubleBuffers):
    """Covariances of local energies with a two-body term; see pair_kernel.hpp of the core.

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
    samples : (n_columns, n_samples) float64
        Differences of sampled coefficients from those of the fit, 1/eV.
    """

    samples: Tensor
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
        samples: Tensor,
    ) -> None:
        super().__init__()
        self.theta, self.variance = theta, delta**2
        self.cutoff, self.width, self.cosine = cutoff, width, cosine
        self.register_buffer("points", points / theta)
        self.register_buffer("columns", columns)
        self.register_buffer("block", block)
        self.register_buffer("samples", samples)

    def forward(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances (n_atoms, n_columns) and prior variances (n_atoms,), eV²."""
        k_m, row, x, s = self._covariances(near)
        return k_m, self._priors(row, x, s, near.species.shape[0])

    def sampled(self, near: Neighbours) -> Tensor:
        """Return by how much energies differ in samples, (n_atoms, n_samples), eV."""
        return self._covariances(near)[0] @ self.samples

    def _covariances(self, near: Neighbours) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return covariances, and of each pair its row, distance over theta and switch.

        Rows are by atom, then by block.
        """
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
        for k in range(0, x.shape[0], 1 << 18):
            part = slice(k, k + (1 << 18))
            d = x[part].unsqueeze(1) - self.points[block[part]]
            rows.index_add_(
                0, row[part], s[part].unsqueeze(1) * torch.exp(-0.5 * d * d)
            )
        k_m = rows.view(n_atoms, -1).index_select(1, self.columns)
        return 0.5 * self.variance * k_m, row, x, s

    def _priors(self, row: Tensor, x: Tensor, s: Tensor, n_atoms: int) -> Tensor:
        """Return ¼ Σ_jk s_j s_k k(r_j, r_k) over pairs of pairs of the same species."""
        priors = torch.zeros([n_atoms], dtype=x.dtype, device=x.device)
        if x.shape[0] == 0:
            return priors
        n_blocks = self.points.shape[0]
        one_species = torch.zeros([n_atoms], dtype=torch.int64, device=x.device)
        centre = torch.div(row, n_blocks, rounding_mode="floor")
        groups = group(centre, row - centre * n_blocks, n_blocks, one_species, 1)
        widest = int(groups.width[-1])
        most = max((1 << 22) // (n_blocks * widest * widest), 1)
        for bounds in chunks(groups, 0, n_atoms, most):
            n_rows, width = (bounds[1] - bounds[0]) * n_blocks, bounds[4]
            chosen = groups.pair[bounds[2] : bounds[3]]
            place = groups.row[bounds[2] : bounds[3]] - bounds[0] * n_blocks
            place = place * width + groups.slot[bounds[2] : bounds[3]]
            at = torch.zeros([n_rows * width], dtype=x.dtype, device=x.device)
            weight = torch.zeros_like(at)
            at[place], weight[place] = x[chosen], s[chosen]
            at, weight = at.view(n_rows, width), weight.view(n_rows, width)
            d = at.unsqueeze(2) - at.unsqueeze(1)
            sums = torch.bmm(torch.exp(-0.5 * d * d), weight.unsqueeze(2)).squeeze(2)
            own = (weight * sums).sum(dim=1).view(-1, n_blocks).sum(dim=1)
            priors[groups.atoms[bounds[0] : bounds[1]]] = 0.25 * self.variance * own
        return priors
