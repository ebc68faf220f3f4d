"""Kernel rows of a SOAP term; see rows.hpp of the core.

With T = p̂·p̂_s and D = dp/dR, a row is k'(T)/|p| (D·p̂_s - (D·p̂) T). D is formed for the
pairs of a chunk of atoms, without autograd, and multiplied with all sparse points at once.
A displacement of a neighbour changes the density of its channel alone, so only features
of that channel take part. With the density c and its change dc, those are
dp_ab = Σ_m (dc_a c_b + c_a dc_b): values V_nb = Σ_m dc_n c_b, each feature a sum of two.
Functions that channels are mixed into change with them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.torch.density import Chunk, Expansion
from gapfit.torch.density_gradients import DensityGradients, moved_atoms
from gapfit.torch.kernel import KernelSum, power
from gapfit.torch.pairs import Neighbours
from gapfit.torch.row_table import RowTable, components
from gapfit.torch.soap import SoapTerm

__all__ = ["SoapRows"]


class _Change(NamedTuple):
    """Features that change with one channel, and the two values V that each is a sum of.

    Attributes
    ----------
    active : (n_active,) int64
        Numbers of the features.
    first, second : (n_active,) int64
        Places in V: (n_l, n_max, width), then (n_l, n_mixed, width), then a zero.
    """

    active: Tensor
    first: Tensor
    second: Tensor


class _Kernels(NamedTuple):
    """Environments of a chunk, and their kernels with the sparse points.

    Attributes
    ----------
    q : (n, n_features) float64
        Unit power spectra times the scale of the features.
    slope : (n, n_sparse) float64
        k'(T)/|p|, eV².
    along : (n, n_sparse) float64
        k'(T) T/|p|, eV².
    """

    q: Tensor
    slope: Tensor
    along: Tensor


class SoapRows:
    """Makes the kernel rows of a SOAP term.

    Parameters
    ----------
    term : SoapTerm
        With the sparse points of each central species; coefficients do not matter.
    variance, zeta : float
        Of the kernel: delta², eV², and power.
    """

    def __init__(self, term: SoapTerm, variance: float, zeta: float) -> None:
        self.term, self.variance, self.zeta = term, variance, zeta
        self.sums: list[KernelSum] = list(term.sums)
        density = term.density
        self.gradients = DensityGradients(density)
        n_functions = density.n_max + term.n_mixed
        self.n_values = density.n_l * n_functions * term.width
        self.changes = [_change(term, channel) for channel in range(density.n_channels)]
        self.factors = [_factors(own, term.scale) for own in self.sums]

    def add(self, near: Neighbours, frame: Tensor, rows: RowTable) -> None:
        """Add rows; see `TermRows`."""
        density = self.term.density
        near, inside, groups = density.grouped(near, self.term.cutoff)
        # Of the atom with most: few may have so many, but they are in one chunk.
        n_pairs = int(groups.width.max()) if inside.shape[0] else 0
        begin = 0
        for species, points in enumerate(self.sums):
            n_sparse = points.points.shape[0]
            columns = rows.columns(begin, begin + n_sparse)
            begin += n_sparse
            if not points.empty:
                n_numbers = self._numbers(rows.gradients, n_pairs, n_sparse)
                for bounds in density.chunks(
                    groups, species, n_numbers, self.term.chunk_bytes
                ):
                    atoms = groups.atoms[bounds[0] : bounds[1]]
                    chunk = density.chunk(near, groups, bounds)
                    self._add_chunk(chunk, species, near, atoms, frame, columns)

    def _numbers(self, gradients: bool, n_pairs: int, n_sparse: int) -> int:
        """Return about how many numbers an atom takes besides those of its density."""
        n_features = self.term.scale.shape[0]
        if not gradients:
            return 2 * n_features + 4 * n_sparse
        density = self.term.density
        n_moved = density.n_max + self.term.n_mixed
        values = density.n_l * n_moved * self.term.width
        return 3 * (n_pairs + 3) * (2 * values + 3 * n_features + 2 * n_sparse)

    def _add_chunk(
        self,
        chunk: Chunk,
        species: int,
        near: Neighbours,
        atoms: Tensor,
        frame: Tensor,
        rows: RowTable,
    ) -> None:
        """Add the rows of a chunk of atoms of one species."""
        points = self.sums[species]
        c, expansion = self.term.density.expand(chunk, rows.gradients)
        x = self.term.with_centre(c, near.species[atoms])
        q, norm = self.term.unit_spectra(x)
        T = (q @ points.projection if points.projected else q) @ points.points.T
        lower = power(T, self.zeta - 1.0).mul_(self.variance)
        k = T.mul_(lower)
        rows.energies.index_add_(0, frame[atoms], k)
        if not rows.gradients:
            return
        factor = self.zeta / norm
        kernels = _Kernels(q * self.term.scale, lower.mul_(factor), k.mul_(factor))
        n_features = self.term.scale.shape[0]
        dense = torch.zeros([len(atoms), 9, n_features], dtype=q.dtype, device=q.device)
        atom = self.term.density.atom_of(chunk)
        neighbour = near.neighbour[chunk.pair]
        channels = self.term.density.channel[near.species[neighbour]]
        for channel, change in enumerate(self.changes):
            there = torch.nonzero(channels == channel).flatten()
            if there.shape[0] > 0:
                V = self._of_pairs(expansion, x, chunk.place[there])
                self._mix(V, channel)
                moved = moved_atoms(atom[there], neighbour[there], frame.shape[0])
                D, each = moved.sums(_features(V, change)), moved.environment
                slopes = self._product(D, change.active, each, species, kernels)
                target = components(moved.atom, 3)
                rows.forces.index_add_(0, target, slopes, alpha=-1.0)
                V = self._of_strains(expansion, chunk, x, channel)
                self._mix(V, channel)
                changed = _features(V, change)
                active = change.active.expand(changed.shape)
                dense.scatter_add_(2, active, changed)
        every = torch.arange(len(atoms), device=atoms.device)
        slopes = self._product(dense, None, every, species, kernels)
        slopes = slopes.view(len(atoms), 9, -1)
        rows.forces.index_add_(0, components(atoms, 3), slopes[:, :3].flatten(0, 1))
        target = components(frame[atoms], 6)
        rows.virials.index_add_(0, target, slopes[:, 3:].flatten(0, 1))

    def _of_pairs(self, e: Expansion, x: list[Tensor], place: Tensor) -> Tensor:
        """Return V of the displacements of some neighbours of a channel.

        Parameters
        ----------
        e : Expansion
            Of the chunk.
        x : list of (n, 2 l + 1, width) float64
            Densities by degree.
        place : (n_pairs,) int64
            Places of the neighbours among those of all atoms.

        Returns
        -------
        (n_pairs, 3, n_values + 1) float64
            Along x, y and z, 1/Å; those of mixed functions are not there yet, and the
            last is zero.
        """
        density, width = self.term.density, self.term.width
        n, n_pairs = density.n_max, place.shape[0]
        u = e.u.flatten(1)[:, place].t().unsqueeze(2)
        inverse = 1.0 / e.r.flatten()[place].unsqueeze(1)
        size = n * width
        V = torch.empty([n_pairs, 3, self.n_values + 1], dtype=u.dtype, device=u.device)
        V[:, :, -1] = 0.0
        F = [part.index_select(2, place) for part in e.F]
        for degree in range(density.n_l):
            across = F[0][degree].t() * inverse
            along = F[1][degree].t() - degree * across
            W = self._with_harmonics(e.Y, degree, x[degree], place)
            out = V[:, :, degree * size : (degree + 1) * size]
            out = out.view(n_pairs, 3, n, width)
            torch.mul(
                (u * along.unsqueeze(1)).unsqueeze(3), W.view(-1, 1, 1, width), out=out
            )
            if degree:
                lowered = self._lowered(x[degree], degree)
                W = self._with_harmonics(e.Y, degree - 1, lowered, place)
                out.addcmul_(across.view(-1, 1, n, 1), W.view(-1, 3, 1, width))
        return V

    def _with_harmonics(
        self, Y: Tensor, degree: int, x: Tensor, place: Tensor
    ) -> Tensor:
        """Return Σ_m Y_m x_m of some neighbours, (n_pairs, columns of x)."""
        own = Y[degree**2 : (degree + 1) ** 2].permute(1, 2, 0)
        return torch.bmm(own, x).flatten(0, 1).index_select(0, place)

    def _mix(self, V: Tensor, channel: int) -> None:
        """Add the values of the functions that a channel is mixed into."""
        density, n_mixed = self.term.density, self.term.n_mixed
        n = density.n_max
        if not n_mixed:
            return
        size = density.n_l * n * self.term.width
        values = V[:, :, :size].unflatten(2, (density.n_l, n, self.term.width))
        mixing = self.term.mixing[:, channel * n : (channel + 1) * n]
        mixed = torch.einsum("qn,pxlnw->pxlqw", mixing, values)
        V[:, :, size:-1] = mixed.flatten(2)

    def _lowered(self, x: Tensor, degree: int) -> Tensor:
        """Return Σ_m G_kam x_m, (n, 2 l - 1, 3 width), for the gradients of harmonics."""
        G = self.gradients.matrix(degree)
        low, size = G.shape[0], G.shape[2]
        G = G.view(1, 3 * low, size).expand(x.shape[0], -1, -1)
        return torch.bmm(G, x).view(x.shape[0], low, -1)

    def _of_strains(
        self, e: Expansion, chunk: Chunk, x: list[Tensor], channel: int
    ) -> Tensor:
        """Return V summed over the neighbours of a channel.

        Returns
        -------
        (n_atoms, 9, n_values + 1) float64
            Of all displacements along x, y, z, and of -R_a times those along b for the
            components ab of the virial; the last is zero.
        """
        n, width = self.term.density.n_max, self.term.width
        size, n_atoms = n * width, chunk.R.shape[1]
        shape = [n_atoms, 9, self.n_values + 1]
        V = torch.empty(shape, dtype=e.r.dtype, device=e.r.device)
        V[:, :, -1] = 0.0
        for degree, dc in enumerate(self.gradients.of_strains(e, chunk, channel)):
            left = dc.permute(0, 2, 3, 1).reshape(n_atoms, 9 * n, -1)
            V[:, :, degree * size : (degree + 1) * size] = torch.bmm(
                left, x[degree]
            ).view(n_atoms, 9, size)
        return V

    def _product(
        self,
        D: Tensor,
        active: Tensor | None,
        atom: Tensor,
        species: int,
        kernels: _Kernels,
    ) -> Tensor:
        """Return rows of derivatives.

        Parameters
        ----------
        D : (n, n_rows, n_active) float64
            Derivatives of the power spectra of some environments; changed.
        active : (n_active,) int64 or None
            Their features; None for all.
        atom : (n,) int64
            Number of the environment in the chunk.
        species : int
            Its species.
        kernels : _Kernels
            Of the chunk.

        Returns
        -------
        (n · n_rows, n_sparse) float64
        """
        factor, *others = self.factors[species]
        n_features = factor.shape[0]
        if active is not None and len(active) == n_features:
            active = None
        q = kernels.q.index_select(0, atom)
        if active is not None:
            factor, q = factor[active], q.gather(1, active.expand(len(q), -1))
        q = q.unsqueeze(2)
        parallel = torch.bmm(D, q)
        if active is None:
            # Of all features, the part along q is taken off before the product.
            unit = q.transpose(1, 2) / self.term.scale**2
            D = torch.baddbmm(D, parallel, unit, alpha=-1.0)
        out = D.flatten(0, 1) @ factor
        for other in others:
            out = out @ other
        out = out.view(D.shape[0], D.shape[1], -1)
        out.mul_(kernels.slope[atom].unsqueeze(1))
        if active is not None:
            out.addcmul_(parallel, kernels.along[atom].unsqueeze(1), value=-1.0)
        return out.flatten(0, 1)


def _factors(points: KernelSum, scale: Tensor) -> list[Tensor]:
    """Return what derivatives D are multiplied with, one after the other.

    D has no scale: that of the features is part of the first factor.
    """
    if not points.projected:
        return [scale[:, None] * points.points.T]
    n_features, width = points.projection.shape
    n_sparse = points.points.shape[0]
    scaled = scale[:, None] * points.projection
    # One product, where that is fewer operations.
    if n_features * n_sparse < width * (n_features + n_sparse):
        return [scaled @ points.points.T]
    return [scaled, points.points.T]


def _change(term: SoapTerm, channel: int) -> _Change:
    """Return the features that change with a channel."""
    density, width = term.density, term.width
    n = density.n_max
    ends = torch.tensor([0, *term.ends])
    counts = ends[1:] - ends[:-1]
    places = term.features.cpu()
    degree = torch.repeat_interleave(torch.arange(density.n_l), counts)
    row, column = places // width, places % width
    first_mixed = density.n_channels * n
    behind = density.n_l * (n + term.n_mixed) * width
    mixing = term.mixing.cpu()[:, channel * n : (channel + 1) * n]
    mixed = torch.cat([(mixing != 0.0).any(dim=1), torch.zeros(1, dtype=torch.bool)])

    def moved(axis: Tensor) -> Tensor:
        further = (axis - first_mixed).clamp(min=-1)
        return (axis // n == channel) & (further < 0) | mixed[further]

    def value(axis: Tensor, other: Tensor) -> Tensor:
        direct = (degree * n + axis % n) * width + other
        place = degree * term.n_mixed + axis - first_mixed
        place = (density.n_l * n + place) * width + other
        place = torch.where(axis < first_mixed, direct, place)
        return torch.where(moved(axis), place, behind)

    active = torch.nonzero(moved(row) | moved(column)).flatten()
    first, second = value(row, column)[active], value(column, row)[active]
    device = term.features.device
    return _Change(active.to(device), first.to(device), second.to(device))


def _features(V: Tensor, change: _Change) -> Tensor:
    """Return the derivatives of the features that change."""
    shape = [V.shape[0], V.shape[1], -1]
    first, second = change.first.expand(shape), change.second.expand(shape)
    return V.gather(2, first).add_(V.gather(2, second))
