"""Tabulated pair potentials; see pair_potential.hpp of the core."""

import torch
from torch import Tensor

from gapfit.torch.hermite import hermite_slopes, hermite_weights, scaled
from gapfit.torch.pairs import Neighbours
from gapfit.torch.switch import switch
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

    rows: Tensor
    knots: Tensor
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
        self.start, self.spacing, self.cosine = start, spacing, cosine
        self.n_intervals = values.shape[1] - 1
        self.even = knots.shape[0] == 0
        self.end = start + spacing * self.n_intervals
        if self.even:
            values = scaled(values, spacing)
        else:
            self.end = float(knots[0, -1])
        rows = torch.cat([values[:, :-1], values[:, 1:]], dim=2)
        self.register_buffer("rows", rows.view(-1, 6))
        self.register_buffer("knots", knots)
        self.register_buffer("potential", potential)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        own, other = near.species[near.centre], near.species[near.neighbour]
        potential = self.potential[own, other]
        inside = torch.nonzero((near.r < self.end) & (potential >= 0)).flatten()
        r, potential = near.r[inside], potential[inside]
        phi, slope = self._evaluate(r, potential)
        if self.cosine > 0.0:
            s, change = switch(r, self.end, self.cosine, True)
            slope = change * phi + s * slope
            phi = s * phi
        energies = torch.zeros(
            [near.species.shape[0]], dtype=near.R.dtype, device=near.R.device
        )
        energies = energies.index_add(0, near.centre[inside], 0.5 * phi)
        if not gradients:
            return energies, near.R[:0]
        slopes = torch.zeros_like(near.R)
        slopes[inside] = (0.5 * slope / r).unsqueeze(1) * near.R[inside]
        return energies, slopes

    def _evaluate(self, r: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Return φ and φ' without the cosine."""
        if self.even:
            x = (r - self.start) / self.spacing
            knot = x.clamp(min=0.0, max=float(self.n_intervals - 1)).long()
            rows = self.rows[potential * self.n_intervals + knot]
            phi = (hermite_weights(x - knot) * rows).sum(dim=1)
            return phi, (hermite_slopes(x - knot, self.spacing) * rows).sum(dim=1)
        knots = self.knots[potential]
        knot = torch.searchsorted(knots, r.unsqueeze(1), right=True).squeeze(1) - 1
        knot = knot.clamp(min=0, max=self.n_intervals - 1)
        begin = knots.gather(1, knot.unsqueeze(1))
        h = knots.gather(1, knot.unsqueeze(1) + 1) - begin
        t = ((r.unsqueeze(1) - begin) / h).squeeze(1)
        rows = self.rows[potential * self.n_intervals + knot]
        scale = torch.cat([torch.ones_like(h), h, h * h], dim=1).repeat(1, 2)
        rows = rows * scale
        phi = (hermite_weights(t) * rows).sum(dim=1)
        return phi, (hermite_slopes(t, 1.0) * rows).sum(dim=1) / h.squeeze(1)
