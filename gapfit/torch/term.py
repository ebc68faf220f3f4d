"""What all terms of a potential have in common in torch."""

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
    """

    def __init__(self) -> None:
        super().__init__()
        self.chunk_bytes = 0

    def variances(self, near: Neighbours, other: Tensor, prior: Tensor) -> Tensor:
        """Return the variances of local energies of all terms, (n_atoms,), eV².

        Only one SOAP term does; the others return what they are given.

        Parameters
        ----------
        near : Neighbours
            All pairs.
        other : (n_atoms, n_columns) float64
            Covariances of local energies with the sparse points of other terms, eV².
        prior : (n_atoms,) float64
            Prior variances of the other terms, eV².
        """
        return prior

    def sampled(self, near: Neighbours, n_samples: int) -> Tensor:
        """Return by how much energies differ in samples of the posterior.

        The term that gives variances does; the others return zeros.

        Parameters
        ----------
        near : Neighbours
            All pairs.
        n_samples : int
            Number of samples.

        Returns
        -------
        (n_atoms, n_samples) float64
            eV.
        """
        shape = [near.species.shape[0], n_samples]
        return torch.zeros(shape, dtype=torch.float64, device=near.R.device)
