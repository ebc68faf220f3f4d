"""Kernels of environments, k = delta² (q·q_s)^zeta, and energies that are sums of them."""

import torch
from torch import Tensor

from gapfit.torch.precision import DoubleBuffers

__all__ = ["KernelSum", "PointKernel", "power"]


def power(base: Tensor, exponent: float) -> Tensor:
    """Return base^exponent; whole exponents by products, others clip the base at 0."""
    whole = int(exponent)
    if float(whole) != exponent:
        return base.clamp(min=0.0).pow(exponent)
    if whole < 2:
        return torch.ones_like(base) if whole == 0 else base.clone()
    result = base * base
    for _ in range(whole - 2):
        result.mul_(base)
    return result


class KernelSum(DoubleBuffers):
    """Sum over the sparse points of one central species; see kernel.hpp of the core.

    Parameters
    ----------
    points : (n_sparse, width) float64
        Sparse points, or the matrix A of ε = q^T A q when `quadratic`.
    coefficients : (n_sparse,) float64
        Coefficients times delta², eV.
    projection : (n_features, width) float64 or None
        Directions U: dot products are those of U^T q.
    zeta : float
        Power of the dot products.
    quadratic : bool
        Whether the sum is replaced by the quadratic form.
    """

    points: Tensor
    coefficients: Tensor
    projection: Tensor

    def __init__(
        self,
        points: Tensor,
        coefficients: Tensor,
        projection: Tensor | None,
        zeta: float,
        quadratic: bool,
    ) -> None:
        super().__init__()
        self.zeta, self.quadratic = float(zeta), quadratic
        # By Euler's theorem q · dε/dq is this times ε.
        self.degree = 2.0 if quadratic else self.zeta
        self.projected = projection is not None
        self.empty = not quadratic and len(points) == 0
        self.n_numbers = points.shape[0] * 3 + points.shape[1] * 2
        self.register_buffer("points", points)
        self.register_buffer("coefficients", coefficients)
        self.register_buffer(
            "projection", torch.zeros(0, 0) if projection is None else projection
        )

    def reorder(self, order: Tensor) -> None:
        """Take features in another order: as ``q[:, order]``."""
        if self.projected:
            self.projection = self.projection[order].contiguous()
            return
        self.points = self.points[:, order].contiguous()
        if self.quadratic:
            self.points = self.points[order].contiguous()

    def forward(self, q: Tensor, gradients: bool) -> tuple[Tensor, Tensor]:
        """Return energies and their slopes.

        Parameters
        ----------
        q : (n, n_features) float
            Environments.
        gradients : bool
            Whether to compute the slopes.

        Returns
        -------
        energies : (n,) float64
            eV.
        slopes : (n, n_features) float
            dε/dq, eV, in the precision of `q`; empty without `gradients`.
        """
        energies, slopes = self._sum(q.to(self.points.dtype), gradients)
        return energies, slopes.to(q.dtype)

    def _sum(self, q: Tensor, gradients: bool) -> tuple[Tensor, Tensor]:
        x = q @ self.projection if self.projected else q
        if self.quadratic:
            g = x @ self.points
            energies = (x * g).sum(dim=1)
            g = 2.0 * g
        else:
            T = x @ self.points.t()
            # In place: new memory costs a page fault for every few numbers.
            slope = power(T, self.zeta - 1.0).mul_(self.coefficients)
            energies = T.mul_(slope).sum(dim=1)
            g = slope.mul_(self.zeta) @ self.points if gradients else slope[:0]
        if not gradients:
            return energies, q[:0]
        return energies, g @ self.projection.t() if self.projected else g


class PointKernel(DoubleBuffers):
    """Kernels with the sparse points of one central species.

    Parameters
    ----------
    points : (n_sparse, width) float64
        Sparse points; none if the term does not include the species.
    projection : (n_features, width) float64 or None
        Directions U: dot products are those of U^T q.
    delta, zeta : float
        Standard deviation of the kernel, eV, and power; delta is 0 if the term does not
        include the species.
    """

    points: Tensor
    projection: Tensor

    def __init__(
        self, points: Tensor, projection: Tensor | None, delta: float, zeta: float
    ) -> None:
        super().__init__()
        self.variance, self.zeta = delta**2, zeta
        self.projected = projection is not None
        self.n_sparse = points.shape[0]
        self.n_numbers = 2 * points.shape[0] + points.shape[1]
        self.register_buffer("points", points)
        self.register_buffer(
            "projection", torch.zeros(0, 0) if projection is None else projection
        )

    def reorder(self, order: Tensor) -> None:
        """Take features in another order: as ``q[:, order]``."""
        if self.projected:
            self.projection = self.projection[order].contiguous()
        else:
            self.points = self.points[:, order].contiguous()

    def forward(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return kernels (n, n_sparse) and prior variances (n,), eV².

        Parameters
        ----------
        q : (n, n_features) float
            Unit power spectra; an empty environment is zero, and has no energy.
        """
        q = q.to(self.points.dtype)
        x = q @ self.projection if self.projected else q
        k = power(x @ self.points.t(), self.zeta).mul_(self.variance)
        return k, self.variance * (q != 0.0).any(dim=1).to(k.dtype)
