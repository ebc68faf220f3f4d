"""Derivatives of the functions of a cluster expansion with density coefficients.

See invariants.hpp of the core. The functions are sums of products of up to four
coefficients; so are their derivatives, with many products in common, which are multiplied
once.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gapfit.torch.ace import AceTerm

__all__ = ["JacobianPart", "jacobian", "jacobian_parts"]


class JacobianPart(NamedTuple):
    """Derivatives of the functions of one order with the coefficients of one channel.

    Attributes
    ----------
    order, begin, end : int
        Number of factors of the functions, and their range.
    coefficients : (n_coefficients,) int64
        Their numbers.
    products : (n_factors, n_products) int64
        Coefficients that are multiplied; the last stands for 1.
    product, function : (n_summands,) int64
        Product and function of each summand, by coefficient, then function.
    factors : (n_summands,) float64
        What the products are multiplied with.
    places : (n_derivatives,) int64
        Derivatives that are not zero, among (n_coefficients, end - begin).
    offsets : (n_derivatives,) int64
        First summand of each.
    """

    order: int
    begin: int
    end: int
    coefficients: Tensor
    products: Tensor
    product: Tensor
    function: Tensor
    factors: Tensor
    places: Tensor
    offsets: Tensor

    @property
    def n_functions(self) -> int:
        """Number of functions."""
        return self.end - self.begin


class _Summands(NamedTuple):
    """Summands of derivatives.

    Attributes
    ----------
    coefficient, function : (n,) int64
        What the derivative is with, and of.
    others : (n, 3) int64
        The other factors of the product, ascending.
    factor : (n,) float64
        What it is multiplied with.
    """

    coefficient: Tensor
    function: Tensor
    others: Tensor
    factor: Tensor

    def where(self, chosen: Tensor) -> "_Summands":
        """Return some of them."""
        return _Summands(*(part[chosen] for part in self))


def jacobian(part: JacobianPart, A: Tensor, weights: Tensor) -> Tensor:
    """Return derivatives of weighted functions of some atoms.

    Parameters
    ----------
    part : JacobianPart
        Functions and coefficients.
    A : (n_used + 1, n_atoms) float64
        All coefficients; the last is 1.
    weights : (n_all_functions,) float64
        Weights of all functions.

    Returns
    -------
    (n_atoms, n_coefficients, n_functions) float64
    """
    products = A[part.products[0]]
    for numbers in part.products[1:]:
        products.mul_(A[numbers])
    derivatives = nn.functional.embedding_bag(
        part.product,
        products,
        part.offsets,
        mode="sum",
        per_sample_weights=part.factors * weights[part.function],
    )
    shape = [A.shape[1], len(part.coefficients), part.n_functions]
    J = torch.zeros(shape, dtype=A.dtype, device=A.device)
    J.flatten(1).index_copy_(1, part.places, derivatives.t())
    return J


def jacobian_parts(
    term: AceTerm, summands: Tensor, factors: Tensor
) -> list[list[JacobianPart]]:
    """Return all derivatives, by channel.

    Parameters
    ----------
    term : AceTerm
        Coefficients and products of them.
    summands : (n_summands, 2) int64
        Number of a function and of a product in it.
    factors : (n_summands,) float64
        Its factor.
    """
    density = term.density
    every = _summands(term.products.t().cpu(), term.n_used, summands, factors)
    order = 1 + (every.others < term.n_used).sum(dim=1)
    channel = (term.offsets.cpu() % density.width // density.n_max)[every.coefficient]
    parts: list[list[JacobianPart]] = [[] for _ in range(density.n_channels)]
    for n_factors in order.unique().tolist():
        functions = every.function[order == n_factors]
        begin, end = int(functions.min()), int(functions.max()) + 1
        for number, of_channel in enumerate(parts):
            own = every.where((order == n_factors) & (channel == number))
            if len(own.factor) > 0:
                part = _part(own, n_factors, begin, end, term.offsets.device)
                of_channel.append(part)
    return parts


def _summands(
    products: Tensor, none: int, summands: Tensor, factors: Tensor
) -> _Summands:
    """Return the products of functions, each once for each factor that it loses."""
    function, number = summands.t()
    products = products[number]
    n_factors = products.shape[1]
    coefficient = products.t().flatten()
    others = torch.cat(
        [products[:, torch.arange(n_factors) != k] for k in range(n_factors)]
    )
    others = others.sort(dim=1).values
    every = _Summands(
        coefficient, function.repeat(n_factors), others, factors.repeat(n_factors)
    )
    return every.where(coefficient < none)


def _part(
    own: _Summands, order: int, begin: int, end: int, device: torch.device
) -> JacobianPart:
    """Return the derivatives of functions of one order, from their summands."""
    coefficients, row = torch.unique(own.coefficient, return_inverse=True)
    others = own.others[:, : max(order - 1, 1)]
    products, product = torch.unique(others, dim=0, return_inverse=True)
    n_functions = end - begin
    cell, by_cell = torch.sort(row * n_functions + own.function - begin, stable=True)
    places, counts = torch.unique_consecutive(cell, return_counts=True)
    tensors = (
        coefficients,
        products.t().contiguous(),
        product[by_cell],
        own.function[by_cell],
        own.factor[by_cell],
        places,
        torch.cumsum(counts, dim=0) - counts,
    )
    return JacobianPart(order, begin, end, *(tensor.to(device) for tensor in tensors))
