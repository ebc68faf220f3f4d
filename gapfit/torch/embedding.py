"""Energies of atoms by the density of their neighbours; see embedding.hpp of the core."""

import torch
from torch import Tensor, nn

from gapfit.torch.hermite import HermiteTable
from gapfit.torch.pairs import Neighbours, picked
from gapfit.torch.precision import DoubleBuffers
from gapfit.torch.term import Term

__all__ = ["EmbeddingKernel", "EmbeddingTerm", "NeighbourDensity"]


class NeighbourDensity(nn.Module):
    """ρ_i = Σ_j w φ(r_ij).

    Parameters
    ----------
    table : HermiteTable
        φ, its only function.
    weights : (n_species, n_species) float64
        w by species of the centre, then of the neighbour.
    """

    weights: Tensor

    def __init__(self, table: HermiteTable, weights: Tensor) -> None:
        super().__init__()
        self.table = table
        self.register_buffer("weights", weights)

    def forward(self, near: Neighbours) -> tuple[Tensor, Tensor, Tensor]:
        """Return densities.

        Returns
        -------
        inside : (n_inside,) int64
            Numbers of the pairs within reach.
        density : (n_atoms,) float
            ρ.
        slope : (n_inside,) float
            w φ' of the pairs, 1/Å.
        """
        inside, phi, slope = self.table(torch.zeros_like(near.centre), near.r)
        centre, species = picked(near.centre, inside), near.species
        w = self.weights[species[centre], species[picked(near.neighbour, inside)]]
        zero = torch.zeros([species.shape[0]], dtype=near.R.dtype, device=near.R.device)
        return inside, zero.index_add(0, centre, w * phi), w * slope


class EmbeddingTerm(Term):
    """E = Σ_i F(ρ_i); see `gapfit.descriptors.eam_density`.

    Parameters
    ----------
    density : NeighbourDensity
        ρ.
    energy : HermiteTable
        F of each curve, eV.
    curve : (n_species,) int64
        Curve of each central species, -1 for none.
    """

    curve: Tensor

    def __init__(
        self, density: NeighbourDensity, energy: HermiteTable, curve: Tensor
    ) -> None:
        super().__init__()
        self.density, self.energy = density, energy
        self.register_buffer("curve", curve)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        inside, density, change = self.density(near)
        energies, slope = torch.zeros_like(density), torch.zeros_like(density)
        some, value, own_slope = self.energy(self.curve[near.species], density)
        energies[some], slope[some] = value, own_slope
        if not gradients:
            return energies, near.R[:0]
        slopes = torch.zeros_like(near.R)
        along = slope[picked(near.centre, inside)] * change / picked(near.r, inside)
        slopes[inside] = along.unsqueeze(1) * picked(near.R, inside)
        return energies, slopes


class EmbeddingKernel(DoubleBuffers):
    """Covariances of local energies with the sparse points of an `EmbeddingTerm`.

    Parameters
    ----------
    density : NeighbourDensity
        ρ.
    points : (n_sparse,) float64
        Densities of the sparse points of all species.
    block : (n_sparse,) int64
        Their species.
    delta, theta : float
        Standard deviation of the kernel, eV, and its length.
    """

    points: Tensor
    block: Tensor

    def __init__(
        self,
        density: NeighbourDensity,
        points: Tensor,
        block: Tensor,
        delta: float,
        theta: float,
    ) -> None:
        super().__init__()
        self.density = density
        self.variance, self.theta, self.n_sparse = delta**2, theta, len(points)
        self.register_buffer("points", points)
        self.register_buffer("block", block)

    def forward(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances and prior variances; see `Term.covariances`."""
        _, density, _ = self.density(near)
        d = (density.to(self.points.dtype).unsqueeze(1) - self.points) / self.theta
        k = self.variance * torch.exp(-0.5 * d * d)
        k = torch.where(near.species.unsqueeze(1) == self.block, k, 0.0)
        return k, torch.full_like(k[:, 0], self.variance)
