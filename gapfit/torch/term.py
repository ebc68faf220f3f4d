"""What all terms of a potential have in common in torch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfit.torch.pairs import Neighbours

__all__ = ["Term"]


class Term(nn.Module):
    """A term of a potential; its `forward` gives energies and slopes.

    Attributes
    ----------
    chunk_bytes : int
        About how much memory atoms may take that are handled together; 0: what suits the
        device.
    kernels : ModuleList
        What gives covariances with its sparse points; empty without them.
    n_sparse : int
        Number of the points that `kernels` have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chunk_bytes, self.n_sparse = 0, 0
        self.kernels = nn.ModuleList()

    def with_kernels(self, kernels: Sequence[nn.Module]) -> None:
        """Add what gives covariances with the sparse points."""
        self.kernels = nn.ModuleList(kernels)
        self.n_sparse = sum(int(kernel.n_sparse) for kernel in kernels)

    def covariances(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances of local energies with the sparse points, and their priors.

        Parameters
        ----------
        near : Neighbours
            All pairs.

        Returns
        -------
        k_m : (n_atoms, n_sparse) float64
            Covariances, eV²; without `kernels` there are no columns.
        prior : (n_atoms,) float64
            Prior variances of local energies, eV²; 0 without `kernels`.
        """
        k_m, prior = self.no_covariances(near)
        for kernel in self.kernels:
            k_m, prior = kernel(near)
        return k_m, prior

    def no_covariances(self, near: Neighbours) -> tuple[Tensor, Tensor]:
        """Return covariances and priors that are zero; see `covariances`."""
        n_atoms, device = near.species.shape[0], near.R.device
        k_m = torch.zeros([n_atoms, self.n_sparse], dtype=torch.float64, device=device)
        return k_m, torch.zeros([n_atoms], dtype=torch.float64, device=device)
