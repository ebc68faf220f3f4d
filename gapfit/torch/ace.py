"""Cluster expansions: energies linear in products of density coefficients."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfit.torch.density import Density
from gapfit.torch.pairs import Neighbours
from gapfit.torch.precision import DoubleBuffers
from gapfit.torch.term import Term

__all__ = ["AceKernel", "AceTerm"]


class AceKernel(DoubleBuffers):
    """Covariances with the functions of one central species.

    Parameters
    ----------
    function, product : (n_summands,) int64
        Number of a function, ascending, and of a product in it.
    factors : (n_summands,) float64
        Its factor.
    scales : (n_functions,) float64
        Factor u of each function.
    delta : float
        Standard deviation of the kernel, eV.
    there : bool
        Whether the species has the functions as sparse points.
    """

    product: Tensor
    first: Tensor
    factors: Tensor
    scales: Tensor

    def __init__(
        self,
        function: Tensor,
        product: Tensor,
        factors: Tensor,
        scales: Tensor,
        delta: float,
        there: bool,
    ) -> None:
        super().__init__()
        self.variance = delta**2
        self.n_sparse = len(scales) if there else 0
        self.register_buffer("product", product)
        self.register_buffer(
            "first", torch.searchsorted(function, torch.arange(len(scales)))
        )
        self.register_buffer("factors", factors)
        self.register_buffer("scales", scales.unsqueeze(1))

    def forward(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Return covariances (n, n_sparse) and prior variances (n,), eV².

        Parameters
        ----------
        products : (n, n_products) float
            Products of density coefficients.
        """
        # A sum over rows is a bag of them.
        B = nn.functional.embedding_bag(
            self.product,
            products.to(self.factors.dtype).t().contiguous(),
            self.first,
            mode="sum",
            per_sample_weights=self.factors,
        )
        B = B * self.scales
        prior = self.variance * (B * B).sum(dim=0)
        return self.variance * B[: self.n_sparse].t(), prior


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
        self.n_functions = 0
        channel, lm, n = places.T
        offsets = lm * density.width + channel * density.n_max + n
        self.register_buffer("offsets", offsets)
        # A last coefficient, 1, stands for no further factor.
        last = torch.where(products < 0, self.n_used, products)
        self.register_buffer("products", last.T.contiguous())
        self.register_buffer("weights", weights)

    def with_kernels(self, kernels: Sequence[nn.Module]) -> None:
        """Add the `AceKernel` of each central species."""
        for kernel in kernels:
            assert isinstance(kernel, AceKernel)
            self.n_functions = kernel.scales.shape[0]
        super().with_kernels(kernels)

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

    def covariances(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances with the functions, and priors; see `Term`."""
        k_m, prior = self.no_covariances(near)
        near, _, groups = self.density.grouped(near, self.cutoff)
        n_numbers = 8 * self.products.shape[1] + 3 * self.n_functions
        first = 0
        for s, kernel in enumerate(self.kernels):
            columns = k_m.narrow(1, first, kernel.n_sparse)
            first += kernel.n_sparse
            for bounds in self.density.chunks(groups, s, n_numbers, self.chunk_bytes):
                chunk = self.density.chunk(near, groups, bounds)
                c = self.density.expand(chunk, False)[0]
                factors = self._factors(self.coefficients(c))
                left, right = factors[0] * factors[1], factors[2] * factors[3]
                k, own = kernel(left * right)
                atoms = groups.atoms[bounds[0] : bounds[1]]
                columns.index_copy_(0, atoms, k)
                prior[atoms] = own
        return k_m, prior

    def coefficients(self, c: list[Tensor]) -> Tensor:
        """Return the density coefficients that are used and 1, (n, n_used + 1)."""
        flat = torch.cat(c, dim=1).flatten(1)
        return torch.cat([flat[:, self.offsets], torch.ones_like(flat[:, :1])], dim=1)

    def _factors(self, A: Tensor) -> list[Tensor]:
        """Return the four factors of each product, (n, n_products)."""
        return [A[:, self.products[k]] for k in range(4)]

    def _invariants(
        self, c: list[Tensor], weights: Tensor, gradients: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return energies (n,), and dE/dc by degree (n, 2 l + 1, width)."""
        A = self.coefficients(c)
        factors = self._factors(A)
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
