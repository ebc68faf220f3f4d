"""Three-body terms; see triplets.hpp and spline.hpp of the core."""

import torch
from torch import Tensor, nn

from gapfit.torch.pairs import Groups, Neighbours, chunk_memory, chunks, group, picked
from gapfit.torch.switch import switch
from gapfit.torch.term import Term

__all__ = ["TripletSums", "TripletTable", "TripletTerm"]

_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
# Polynomials of the six quintic B-splines that overlap an interval, times 120, by power.
_SPLINES = (
    (1, 26, 66, 26, 1, 0),
    (-5, -50, 0, 50, 5, 0),
    (10, 20, -60, 20, 10, 0),
    (-10, 20, 0, -20, 10, 0),
    (5, -20, 30, -20, 5, 0),
    (-1, 5, -10, 10, -5, 1),
)


class TripletTable(nn.Module):
    """Functions of q = (r_ij + r_ik, (r_ij - r_ik)², r_jk) as tensor products of splines.

    Parameters
    ----------
    table : (n_potentials, n0, n1, n2) float64
        Spline coefficients, eV; the last `spare` numbers of each row are not used.
    start, spacing : list of float
        First knot and distance of the knots: Å, Å², Å.
    spare : int
        Numbers at the end of each row.
    """

    table: Tensor
    powers: Tensor
    start: list[float]
    spacing: list[float]
    steps: list[int]
    strides: list[int]

    def __init__(
        self, table: Tensor, start: list[float], spacing: list[float], spare: int
    ) -> None:
        super().__init__()
        n0, n1, n2 = table.shape[1:]
        self.start, self.spacing = start, spacing
        self.steps = [n0 - 6, n1 - 6, n2 - spare - 6]
        self.strides = [n1 * n2, n2, 1]
        self.size = n0 * n1 * n2
        self.n_numbers = 700
        self.register_buffer("table", table.flatten())
        self.register_buffer("powers", torch.tensor(_SPLINES, dtype=table.dtype) / 120)

    def forward(self, sides: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), eV, and slopes along the sides (n, 3), eV/Å, of triplets.

        Parameters
        ----------
        sides : (n, 3) float
            r_ij, r_ik and r_jk, Å.
        potential : (n,) int64
            Number of the function.
        """
        difference = sides[:, 0] - sides[:, 1]
        q = [sides[:, 0] + sides[:, 1], difference * difference, sides[:, 2]]
        place = potential * self.size
        weights: list[Tensor] = []
        for k in range(3):
            x = (q[k] - self.start[k]) / self.spacing[k]
            knot = x.long().clamp(min=0, max=self.steps[k])
            place = place + knot * self.strides[k]
            weights.append(self._weights(x - knot, self.spacing[k]))
        six = torch.arange(6, device=place.device)
        offset = (six * self.strides[0]).view(6, 1, 1) + (six * self.strides[1]).view(
            1, 6, 1
        )
        offset = offset + six.view(1, 1, 6)
        c = self.table[place.view(-1, 1, 1, 1) + offset]
        # Sums over the last direction, then the second, then the first: values and slopes.
        c = torch.bmm(c.view(-1, 36, 6), weights[2]).view(-1, 6, 6, 2)
        c = torch.bmm(weights[1].transpose(1, 2), c.transpose(1, 2).reshape(-1, 6, 12))
        c = torch.bmm(
            weights[0].transpose(1, 2),
            c.view(-1, 2, 6, 2).transpose(1, 2).reshape(-1, 6, 4),
        )
        value = c[:, 0, 0]
        odd = 2.0 * difference * c[:, 0, 2]
        even = c[:, 1, 0]
        return value, torch.stack([even + odd, even - odd, c[:, 0, 1]], dim=1)

    def _weights(self, t: Tensor, spacing: float) -> Tensor:
        """Return the six splines and their slopes, (n, 6, 2)."""
        one, zero = torch.ones_like(t), torch.zeros_like(t)
        powers, slopes = [one], [zero]
        for k in range(1, 6):
            slopes.append(float(k) * powers[k - 1])
            powers.append(powers[k - 1] * t)
        value = torch.stack(powers, dim=1) @ self.powers
        slope = torch.stack(slopes, dim=1) @ self.powers
        return torch.stack([value, slope / spacing], dim=2)


class TripletSums(nn.Module):
    """Sums of kernels over sparse points; see `ProductKernel`.

    Parameters
    ----------
    points : (n_potentials, n_sparse, 3) float64
        Sparse points of each function, padded with any.
    coefficients : (n_potentials, n_sparse) float64
        Coefficients, 1/eV; 0 in padding.
    delta : float
        Standard deviation of the kernel, eV.
    theta : list of float
        Lengths of the kernel.
    permuted : bool
        Whether the kernel is that of `PermutedKernel`, of the sides.
    polynomial : bool
        Whether the kernel is a piecewise polynomial.
    """

    points: Tensor
    coefficients: Tensor
    inverse_theta: Tensor
    permutations: Tensor

    def __init__(
        self,
        points: Tensor,
        coefficients: Tensor,
        delta: float,
        theta: list[float],
        permuted: bool,
        polynomial: bool,
    ) -> None:
        super().__init__()
        self.permuted, self.polynomial = permuted, polynomial
        inverse = 1.0 / torch.tensor(theta, dtype=points.dtype)
        self.register_buffer("inverse_theta", inverse)
        self.register_buffer("permutations", torch.tensor(_PERMUTATIONS))
        coefficients = delta**2 * coefficients
        if permuted:
            norm, _ = self._norm(points.reshape(-1, 3))
            coefficients = coefficients / norm.view(coefficients.shape).sqrt()
        self.register_buffer("points", points * inverse)
        self.register_buffer("coefficients", coefficients)
        self.n_numbers = 30 * points.shape[1]

    def forward(self, sides: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and slopes along the sides; see `TripletTable`."""
        if not self.permuted:
            difference = sides[:, 0] - sides[:, 1]
            total = sides[:, 0] + sides[:, 1]
            q = torch.stack([total, difference * difference, sides[:, 2]], dim=1)
            value, g = self._sum(q, potential)
            odd = 2.0 * difference * g[:, 1]
            along = torch.stack([g[:, 0] + odd, g[:, 0] - odd, g[:, 2]], dim=1)
            return value, along
        value, slope = torch.zeros_like(sides[:, 0]), torch.zeros_like(sides)
        for k in range(6):
            to = self.permutations[k]
            own, g = self._sum(sides[:, to], potential)
            value = value + own
            slope = slope.index_add(1, to, g)
        norm, change = self._norm(sides)
        h = torch.rsqrt(norm)
        slope = slope - (0.5 * value / norm).unsqueeze(1) * change
        return h * value, h.unsqueeze(1) * slope

    def _sum(self, q: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        d = (q * self.inverse_theta).unsqueeze(1) - self.points[potential]
        e, pull = self._kernel((d * d).sum(dim=2))
        c = self.coefficients[potential]
        slope = -((c * pull).unsqueeze(2) * d).sum(dim=1) * self.inverse_theta
        return (c * e).sum(dim=1), slope

    def _kernel(self, square: Tensor) -> tuple[Tensor, Tensor]:
        """Return e(u) and -e'(u) / u from u²."""
        if not self.polynomial:
            e = torch.exp(-0.5 * square)
            return e, e
        u = torch.sqrt(square)
        left = (1.0 - u).clamp(min=0.0)
        return left**4 * (4.0 * u + 1.0), 20.0 * left**3

    def _norm(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return Σ_P e(P x, x) and its slopes."""
        value, slope = torch.zeros_like(x[:, 0]), torch.zeros_like(x)
        for k in range(6):
            to = self.permutations[k]
            d = (x[:, to] - x) * self.inverse_theta
            own, change = self._kernel((d * d).sum(dim=1))
            pull = change.unsqueeze(1) * d * self.inverse_theta
            value = value + own
            slope = slope.index_add(1, to, -pull) + pull
        return value, slope


class TripletTerm(Term):
    """Energies of triplets of a central atom and two of its neighbours.

    Parameters
    ----------
    potentials : TripletTable or TripletSums
        The functions g.
    block : (n_species, n_species, n_species) int64
        Function of each triplet of species, centre first; -1 for none.
    cutoff, width : float
        Cutoff, and width of the switch, Å.
    cosine : bool
        Whether the switch is a cosine.
    """

    block: Tensor

    def __init__(
        self,
        potentials: nn.Module,
        block: Tensor,
        cutoff: float,
        width: float,
        cosine: bool,
    ) -> None:
        super().__init__()
        self.potentials = potentials
        self.cutoff, self.width, self.cosine = cutoff, width, cosine
        self.n_numbers: int = potentials.n_numbers
        self.register_buffer("block", block)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        n_atoms = near.species.shape[0]
        energies = torch.zeros([n_atoms], dtype=near.R.dtype, device=near.R.device)
        slopes = torch.zeros_like(near.R) if gradients else near.R[:0]
        inside, groups = self.grouped(near)
        if n_atoms == 0 or inside.shape[0] == 0:
            return energies, slopes
        most = self.at_once(groups.width, self.n_numbers)
        for bounds in chunks(groups, 0, n_atoms, most):
            a, b, which = self.triplets(near, inside, groups, bounds, self.block)
            value, along_a, along_b = self._energies(near, a, b, which)
            energies = energies.index_add(0, near.centre[a], value)
            if gradients:
                slopes = slopes.index_add(0, a, along_a).index_add(0, b, along_b)
        return energies, slopes

    def covariances(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances with the sparse points, and priors; see `Term`."""
        n_atoms = near.species.shape[0]
        k_m, prior = self.no_covariances(near)
        inside, groups = self.grouped(near)
        if n_atoms == 0 or inside.shape[0] == 0:
            return k_m, prior
        for kernel in self.kernels:
            most = self.at_once(groups.width, kernel.n_numbers)
            for bounds in chunks(groups, 0, n_atoms, most):
                a, b, which = self.triplets(near, inside, groups, bounds, kernel.block)
                if which.shape[0] > 0:
                    q, s = self._arguments(near, a, b)
                    kernel.add(q, s, near.centre[a], which, k_m, prior)
        return k_m, prior

    def grouped(self, near: Neighbours) -> tuple[Tensor, Groups]:
        """Return the numbers of the pairs within the cutoff, and these by central atom."""
        inside = torch.nonzero(near.r < self.cutoff).flatten()
        centre = picked(near.centre, inside)
        # One species for all: triplets of many species are computed together.
        one_species = torch.zeros_like(near.species)
        return inside, group(centre, torch.zeros_like(centre), 1, one_species, 1)

    def at_once(self, width: Tensor, n_numbers: int) -> int:
        """Return how many atoms with these numbers of pairs are handled together.

        `n_numbers` is about how many numbers each triplet takes.
        """
        n_bytes = chunk_memory(self.chunk_bytes, width.is_cpu)
        widest = int(width.max())
        triplets = max(widest * (widest - 1) // 2, 1)
        return max(n_bytes // (8 * triplets * n_numbers), 1)

    def triplets(
        self,
        near: Neighbours,
        inside: Tensor,
        groups: Groups,
        bounds: list[int],
        block: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return both pairs of each triplet of a chunk of atoms, and its block.

        Parameters
        ----------
        near : Neighbours
            All pairs.
        inside : (n_inside,) int64
            Numbers of those within the cutoff.
        groups : Groups
            These by central atom.
        bounds : list of int
            The chunk, as from `chunks`.
        block : (n_species, n_species, n_species) int64
            Block of each triplet of species, centre first; -1 for none.
        """
        pair = inside[groups.pair[bounds[2] : bounds[3]]]
        place = groups.row[bounds[2] : bounds[3]] - bounds[0]
        place = place * bounds[4] + groups.slot[bounds[2] : bounds[3]]
        pairs = torch.full(
            [(bounds[1] - bounds[0]) * bounds[4]], -1, device=pair.device
        )
        pairs[place] = pair
        pairs = pairs.view(-1, bounds[4])
        sides = torch.triu_indices(
            pairs.shape[1], pairs.shape[1], 1, device=pairs.device
        )
        a, b = pairs[:, sides[0]].flatten(), pairs[:, sides[1]].flatten()
        there = torch.nonzero((a >= 0) & (b >= 0)).flatten()
        a, b = a[there], b[there]
        species = near.species
        which = block[
            species[near.centre[a]],
            species[near.neighbour[a]],
            species[near.neighbour[b]],
        ]
        some = torch.nonzero(which >= 0).flatten()
        return a[some], b[some], which[some]

    def _arguments(
        self, near: Neighbours, a: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return q of triplets, (n, 3), and products of switches, (n,), float64."""
        ra, rb = near.r[a].double(), near.r[b].double()
        across = near.R[b].double() - near.R[a].double()
        opposite = torch.linalg.vector_norm(across, dim=1)
        q = torch.stack([ra + rb, (ra - rb) * (ra - rb), opposite], dim=1)
        sa, _ = switch(ra, self.cutoff, self.width, self.cosine)
        sb, _ = switch(rb, self.cutoff, self.width, self.cosine)
        return q, sa * sb

    def _energies(
        self, near: Neighbours, a: Tensor, b: Tensor, which: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return energies of triplets (n,), and gradients with both vectors (n, 3)."""
        Ra, Rb, ra, rb = near.R[a], near.R[b], near.r[a], near.r[b]
        across = Rb - Ra
        opposite = torch.linalg.vector_norm(across, dim=1)
        g, slope = self.potentials(torch.stack([ra, rb, opposite], dim=1), which)
        sa, change_a = switch(ra, self.cutoff, self.width, self.cosine)
        sb, change_b = switch(rb, self.cutoff, self.width, self.cosine)
        s = sa * sb
        # Two atoms in one place have no direction.
        away = across / torch.where(opposite > 0.0, opposite, 1.0).unsqueeze(1)
        away = (s * slope[:, 2]).unsqueeze(1) * away
        along_a = (change_a * sb * g + s * slope[:, 0]) / ra
        along_b = (sa * change_b * g + s * slope[:, 1]) / rb
        return (
            s * g,
            along_a.unsqueeze(1) * Ra - away,
            along_b.unsqueeze(1) * Rb + away,
        )
