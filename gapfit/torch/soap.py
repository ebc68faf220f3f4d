"""SOAP terms: power spectra of densities, and their kernels with the sparse points."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfit.torch.density import Density
from gapfit.torch.kernel import KernelSum, PointKernel
from gapfit.torch.pairs import Groups, Neighbours
from gapfit.torch.term import Term

__all__ = ["SoapTerm"]


class SoapTerm(Term):
    """A SOAP term; see predict.hpp of the core.

    Parameters
    ----------
    density : Density
        Densities of the neighbours.
    sums : list of KernelSum
        Sums over sparse points by central species.
    cutoff : float
        Range of the neighbours, Å.
    central : (n_species, n_channels, n_max) float64
        Contributions of central atoms to the densities with l = 0.
    mixing : (n_mixed · n_max, n_channels · n_max) float64
        How functions of the channels are combined in further ones.
    labels : (n_features, 5) int64
        Channels a, b, degree l and n, n' of each feature; see `FeatureList.labels`.
    scale : (n_features,) float64
        Factor of each feature.
    """

    central: Tensor
    mixing: Tensor
    scale: Tensor
    adjoint_scale: Tensor
    features: Tensor
    sources: Tensor
    ends: list[int]
    runs: list[tuple[int, int]]

    def __init__(
        self,
        density: Density,
        sums: list[KernelSum],
        cutoff: float,
        central: Tensor,
        mixing: Tensor,
        labels: Tensor,
        scale: Tensor,
    ) -> None:
        super().__init__()
        self.density, self.cutoff = density, cutoff
        self.n_mixed = mixing.shape[0]
        self.width = density.n_max * density.n_channels + self.n_mixed
        places = _places(labels, density.n_max, self.width)
        # Here features are sorted by degree: those of each come from one product.
        places, order = torch.sort(places)
        for kernel_sum in sums:
            kernel_sum.reorder(order)
        self.order = order
        self.sums = nn.ModuleList(sums)
        self.runs = _runs([not kernel_sum.empty for kernel_sum in sums])
        self.n_kernel = max(kernel_sum.n_numbers for kernel_sum in sums)
        square = self.width**2
        starts = torch.arange(1, density.n_l + 1) * square
        self.ends = torch.searchsorted(places, starts).tolist()
        diagonal = places % square // self.width == places % self.width
        self.register_buffer("central", central)
        self.register_buffer("mixing", mixing)
        self.register_buffer("scale", scale[order])
        self.register_buffer("adjoint_scale", scale[order] * (1.0 + diagonal.double()))
        self.register_buffer("features", places % square)
        self.register_buffer("sources", _sources(places, density.n_l, self.width))

    def with_kernels(self, kernels: Sequence[nn.Module]) -> None:
        """Add the `PointKernel` of each central species."""
        for kernel in kernels:
            assert isinstance(kernel, PointKernel)
            kernel.reorder(self.order)
        super().with_kernels(kernels)

    def forward(self, near: Neighbours, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (n_atoms,), eV, and dE_i/dR of pairs (n_pairs, 3)."""
        energies = torch.zeros(
            [near.species.shape[0]], dtype=torch.float64, device=near.R.device
        )
        slopes = torch.zeros_like(near.R) if gradients else near.R[:0]
        near, inside, groups = self.density.grouped(near, self.cutoff)
        # Chunks of several species: few operations for structures that are small.
        for first, n_species in self.runs:
            for bounds in self._chunks(groups, first, self.n_kernel, n_species):
                atoms = groups.atoms[bounds[0] : bounds[1]]
                chunk = self.density.chunk(near, groups, bounds)
                c, expansion = self.density.expand(chunk, gradients)
                x = self.with_centre(c, near.species[atoms])
                q, norm = self.unit_spectra(x)
                local, g = self._sums(q, groups.ends, bounds, gradients)
                energies[atoms] = local
                if gradients:
                    own = self.density.adjoint(chunk, expansion, self._adjoint(x, g))
                    own = own / norm.index_select(0, self.density.atom_of(chunk))
                    slopes.index_copy_(0, inside.index_select(0, chunk.pair), own)
        return energies, slopes

    def _sums(
        self, q: Tensor, ends: list[int], bounds: list[int], gradients: bool
    ) -> tuple[Tensor, Tensor]:
        """Return energies of a chunk and their slopes across q, without those along it.

        The slopes are (n, n_features + 1); the last is 0, for products of densities that
        are no features.

        Parameters
        ----------
        q : (n, n_features) float
            Unit power spectra.
        ends : list of int
            Where the atoms of each species begin, as `Groups` has it.
        bounds : list of int
            Where the chunk begins and ends.
        gradients : bool
            Whether to compute the slopes.
        """
        energies = torch.empty([q.shape[0]], dtype=torch.float64, device=q.device)
        slopes = q[:0]
        if gradients:
            shape = [q.shape[0], q.shape[1] + 1]
            slopes = torch.empty(shape, dtype=q.dtype, device=q.device)
            slopes[:, -1] = 0.0
        for s, kernel_sum in enumerate(self.sums):
            begin, end = max(ends[s], bounds[0]), min(ends[s + 1], bounds[1])
            if begin < end:
                some = slice(begin - bounds[0], end - bounds[0])
                own, g = kernel_sum(q[some], gradients)
                energies[some] = own
                if gradients:
                    # q · g; see `KernelSum`.
                    along = (-kernel_sum.degree * own).to(g.dtype).unsqueeze(1)
                    torch.addcmul(g, q[some], along, out=slopes[some, :-1])
        return energies, slopes

    def covariances(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances with the sparse points, and priors; see `Term`."""
        k_m, prior = self.no_covariances(near)
        near, _, groups = self.density.grouped(near, self.cutoff)
        first = 0
        for s, kernel in enumerate(self.kernels):
            columns = k_m.narrow(1, first, kernel.n_sparse)
            first += kernel.n_sparse
            for bounds in self._chunks(groups, s, kernel.n_numbers):
                k, own = kernel(self._environments(near, groups, bounds))
                atoms = groups.atoms[bounds[0] : bounds[1]]
                columns.index_copy_(0, atoms, k)
                prior[atoms] = own
        return k_m, prior

    def _environments(
        self, near: Neighbours, groups: Groups, bounds: list[int]
    ) -> Tensor:
        """Return the unit power spectra of a chunk of atoms, (n, n_features)."""
        chunk = self.density.chunk(near, groups, bounds)
        c = self.density.expand(chunk, False)[0]
        species = near.species[groups.atoms[bounds[0] : bounds[1]]]
        return self.unit_spectra(self.with_centre(c, species))[0]

    def _chunks(
        self, groups: Groups, species: int, n_kernel: int, n_species: int = 1
    ) -> list[list[int]]:
        """Return chunks of the atoms of some species; see `Density.chunks`."""
        n_numbers = 2 * self.density.n_l * self.width * self.width
        n_numbers += 4 * self.features.shape[0]
        return self.density.chunks(
            groups, species, n_numbers + n_kernel, self.chunk_bytes, n_species
        )

    def with_centre(self, c: list[Tensor], species: Tensor) -> list[Tensor]:
        """Return densities with central atoms of some species.

        By degree, (n, 2 l + 1, width); `species` is (n,) int64.
        """
        c[0] += self.central.flatten(1)[species].unsqueeze(1)
        if not self.n_mixed:
            return c
        mixing = self.mixing.t()
        return [torch.cat([x, x @ mixing], dim=2) for x in c]

    def unit_spectra(self, x: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return unit power spectra (n, n_features), and norms (n, 1)."""
        p = self._power_spectra(x)
        norm = torch.linalg.vector_norm(p, dim=1, keepdim=True)
        # An empty environment stays zero.
        norm = torch.where(norm == 0.0, 1.0, norm)
        return p.div_(norm), norm

    def _power_spectra(self, x: list[Tensor]) -> Tensor:
        shape = [x[0].shape[0], self.scale.shape[0]]
        p = torch.empty(shape, dtype=x[0].dtype, device=x[0].device)
        begin = 0
        for degree, own in enumerate(x):
            end = self.ends[degree]
            # One row makes products too small for matrices.
            turned = own.transpose(1, 2)
            products = turned * own if degree == 0 else torch.bmm(turned, own)
            places = self.features[begin:end].expand(shape[0], -1)
            products = products.flatten(1).gather(1, places)
            torch.mul(products, self.scale[begin:end], out=p[:, begin:end])
            begin = end
        return p

    def _adjoint(self, x: list[Tensor], g: Tensor) -> list[Tensor]:
        """Return dE/dc by degree (n, 2 l + 1, width of the density) from dE/dp.

        The latter are (n, n_features + 1), the last 0; they are overwritten.
        """
        n = g.shape[0]
        g[:, :-1].mul_(self.adjoint_scale)
        out: list[Tensor] = []
        first = self.density.width
        for degree, own in enumerate(x):
            D = g.gather(1, self.sources[degree].expand(n, -1))
            d = torch.bmm(own, D.view(n, self.width, self.width))
            if self.n_mixed:
                d = d[:, :, :first] + d[:, :, first:] @ self.mixing
            out.append(d)
        return out


def _runs(present: list[bool]) -> list[tuple[int, int]]:
    """Return where those that are present begin, and how many follow each other."""
    runs: list[tuple[int, int]] = []
    for n, there in enumerate(present):
        if there and n and present[n - 1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif there:
            runs.append((n, 1))
    return runs


def _places(labels: Tensor, n_max: int, width: int) -> Tensor:
    """Return the place of each feature among all products (n_l, width, width)."""
    a, b, degree, n, k = labels.unbind(dim=1)
    return (degree * width + a * n_max + n) * width + b * n_max + k


def _sources(places: Tensor, n_l: int, width: int) -> Tensor:
    """Return by degree the feature of each product or of its transpose, (n_l, width²).

    Products that are no features have the number behind the last.
    """
    sources = torch.full([n_l * width * width], len(places))
    sources[places] = torch.arange(len(places))
    square = sources.view(n_l, width, width)
    return torch.minimum(square, square.transpose(1, 2)).flatten(1).contiguous()
