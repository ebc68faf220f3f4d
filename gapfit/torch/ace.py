"""Cluster expansions: energies linear in products of density coefficients."""

import torch
from torch import Tensor

from gapfit.torch.density import Density
from gapfit.torch.pairs import Neighbours
from gapfit.torch.term import Term

__all__ = ["AceTerm"]


class AceTerm(Term):
    """A cluster expansion; see invariants.hpp and ace.hpp of the core.

    Parameters
    ----------
    density : Density
        Densities of the neighbours, without weighting.
    cutoff : float
        Range of the neighbours, Å.
    places : (n_coefficients, 3) int64
        Channel, lm and n of the density coefficients that are used.
    products : (n_products, 4) int64
        Products of them; -1 for no further factor.
    weights : (n_species, n_products) float64
        Factor of each product in the energy of each central species, eV.
    present : list of bool
        Which species have energies of this term.
    """

    offsets: Tensor
    products: Tensor
    weights: Tensor
    present: list[bool]

    def __init__(
        self,
        density: Density,
        cutoff: float,
        places: Tensor,
        products: Tensor,
        weights: Tensor,
        present: list[bool],
    ) -> None:
        super().__init__()
        self.density, self.cutoff, self.present = density, cutoff, present
        self.n_lm = density.n_l**2
        self.n_used = len(places)
        channel, lm, n = places.T
        offsets = lm * density.width + channel * density.n_max + n
        self.register_buffer("offsets", offsets)
        # A last coefficient, 1, stands for no further factor.
        last = torch.where(products < 0, self.n_used, products)
        self.register_buffer("products", last.T.contiguous())
        self.register_buffer("weights", weights)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        energies = torch.zeros(
            [near.species.shape[0]], dtype=near.R.dtype, device=near.R.device
        )
        slopes = torch.zeros_like(near.R) if gradients else near.R[:0]
        near, inside, groups = self.density.grouped(near, self.cutoff)
        n_numbers = 8 * self.products.shape[1]
        for s in range(self.weights.shape[0]):
            if self.present[s]:
                for bounds in self.density.chunks(
                    groups, s, n_numbers, self.chunk_bytes
                ):
                    chunk = self.density.chunk(near, groups, bounds)
                    c, expansion = self.density.expand(chunk, gradients)
                    local, d = self._invariants(c, self.weights[s], gradients)
                    energies[groups.atoms[bounds[0] : bounds[1]]] = local
                    if gradients:
                        own = self.density.adjoint(chunk, expansion, d)
                        slopes[inside[chunk.pair]] = own
        return energies, slopes

    def coefficients(self, c: list[Tensor]) -> Tensor:
        """Return those of densities that are used, and 1, (n, n_used + 1)."""
        flat = torch.cat(c, dim=1).flatten(1)
        one = torch.ones_like(flat[:, :1])
        return torch.cat([flat[:, self.offsets], one], dim=1)

    def _invariants(
        self, c: list[Tensor], weights: Tensor, gradients: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return energies (n,), and dE/dc by degree (n, 2 l + 1, width)."""
        A = self.coefficients(c)
        factors = [A[:, self.products[k]] for k in range(4)]
        left, right = factors[0] * factors[1], factors[2] * factors[3]
        energies = (left * right) @ weights
        if not gradients:
            return energies, c
        slope = torch.zeros_like(A)
        weighted = weights * right
        slope = slope.index_add(1, self.products[0], weighted * factors[1])
        slope = slope.index_add(1, self.products[1], weighted * factors[0])
        weighted = weights * left
        slope = slope.index_add(1, self.products[2], weighted * factors[3])
        slope = slope.index_add(1, self.products[3], weighted * factors[2])
        d = A.new_zeros([A.shape[0], self.n_lm * self.density.width])
        d[:, self.offsets] = slope[:, : self.n_used]
        d = d.view(-1, self.n_lm, self.density.width)
        sizes = [2 * degree + 1 for degree in range(self.density.n_l)]
        return energies, torch.split(d, sizes, dim=1)
