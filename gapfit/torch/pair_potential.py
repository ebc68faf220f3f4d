"""Tabulated pair potentials; see pair_potential.hpp of the core."""

import torch
from torch import Tensor

from gapfit.torch.hermite import HermiteTable
from gapfit.torch.pairs import Neighbours, picked
from gapfit.torch.term import Term

__all__ = ["PairTerm"]


class PairTerm(Term):
    """Pair potentials φ(r), half of each for either atom; see `PairTable`.

    Parameters
    ----------
    values : (n_potentials, n_knots, 3) float64
        φ, φ' and φ'' at the knots.
    start, spacing : float
        First knot and distance of equidistant knots, Å.
    knots : (n_potentials, n_knots) float64
        Other knots, Å; empty if they are equidistant.
    potential : (n_species, n_species) int64
        Potential of each pair of species, -1 for none.
    cosine : float
        Width of the cosine that ends with the last knot, Å; 0 without one.
    """

    potential: Tensor

    def __init__(
        self,
        values: Tensor,
        start: float,
        spacing: float,
        knots: Tensor,
        potential: Tensor,
        cosine: float,
    ) -> None:
        super().__init__()
        self.table = HermiteTable(values, start, spacing, knots, cosine)
        self.register_buffer("potential", potential)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        species, n_species = near.species, self.potential.shape[0]
        place = species.index_select(0, near.centre) * n_species
        place = place + species.index_select(0, near.neighbour)
        potential = self.potential.view(-1).index_select(0, place)
        inside, phi, slope = self.table(potential, near.r)
        energies = torch.zeros(
            [near.species.shape[0]], dtype=near.R.dtype, device=near.R.device
        )
        energies = energies.index_add(0, picked(near.centre, inside), 0.5 * phi)
        if not gradients:
            return energies, near.R[:0]
        own = (0.5 * slope / picked(near.r, inside)).unsqueeze(1)
        own = own * picked(near.R, inside)
        return energies, torch.zeros_like(near.R).index_copy(0, inside, own)
