"""What is known of energies of atoms, from covariances with the sparse points of all terms.

See `gapfit.model.local_variance`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfit.torch.pairs import chunk_memory
from gapfit.torch.precision import DoubleBuffers

__all__ = ["ExplainedVariance", "SpeciesFactor", "Uncertainty"]


class SpeciesFactor(DoubleBuffers):
    """From covariances k of one central species to |W^T k|².

    Parameters
    ----------
    columns : (size,) int64
        Sparse points that k is taken with, among those of all terms.
    W : (size, size) float64
        1/eV; see `gapfit.model.local_variance.explaining_factor`.
    """

    columns: Tensor
    W: Tensor

    def __init__(self, columns: Tensor, W: Tensor) -> None:
        super().__init__()
        self.register_buffer("columns", columns)
        self.register_buffer("W", W)

    def forward(self, k_m: Tensor) -> Tensor:
        """Return the explained variances of local energies, (n,), eV²."""
        k = k_m.index_select(1, self.columns)
        return (k @ self.W).square_().sum(dim=1)


class ExplainedVariance(nn.Module):
    """The part of prior variances that data or sparse points explain.

    Parameters
    ----------
    factors : sequence of SpeciesFactor
        By species; without any, `there` is False.
    """

    def __init__(self, factors: Sequence[SpeciesFactor]) -> None:
        super().__init__()
        self.factors = nn.ModuleList(factors)
        self.there = len(factors) > 0

    def forward(self, k_m: Tensor, species: Tensor) -> Tensor:
        """Return the explained variances of atoms, (n_atoms,), eV².

        Parameters
        ----------
        k_m : (n_atoms, n_sparse) float64
            Covariances of local energies with all sparse points, eV².
        species : (n_atoms,) int64
            Species of the atoms.
        """
        out = torch.zeros([k_m.shape[0]], dtype=k_m.dtype, device=k_m.device)
        for s, factor in enumerate(self.factors):
            rows = torch.nonzero(species == s).flatten()
            if rows.shape[0] > 0:
                out[rows] = factor(k_m.index_select(0, rows))
        return out


class Uncertainty(DoubleBuffers):
    """Standard deviations, novelty and samples of the energies of atoms.

    Parameters
    ----------
    by_data : ExplainedVariance
        What the data explain, for standard deviations.
    by_points : ExplainedVariance
        What the sparse points explain, for the novelty.
    usual : (n_species,) float64
        Scale of extrapolation grades, eV, NaN where there is none; empty without grades.
    samples : (n_sparse, n_samples) float64
        Differences of sampled coefficients from those of the fit, 1/eV.
    n_sparse : int
        Number of sparse points of all terms.
    chunk_bytes : int
        About how much memory atoms may take that are handled together; 0: what suits the
        device.

    Attributes
    ----------
    n_samples : int
        Number of samples of the posterior.
    """

    usual: Tensor
    samples: Tensor

    def __init__(
        self,
        by_data: ExplainedVariance,
        by_points: ExplainedVariance,
        usual: Tensor,
        samples: Tensor,
        n_sparse: int,
        chunk_bytes: int,
    ) -> None:
        super().__init__()
        self.by_data, self.by_points = by_data, by_points
        self.n_sparse, self.chunk_bytes = n_sparse, chunk_bytes
        self.has_grades, self.n_samples = len(usual) > 0, samples.shape[1]
        self.register_buffer("usual", usual)
        self.register_buffer("samples", samples)

    def require(self, std: bool, novelty: bool) -> None:
        """Raise a ValueError if what is asked for is not there."""
        if std and not self.by_data.there:
            raise ValueError("this potential was made without standard deviations")
        if novelty and not self.by_points.there:
            raise ValueError("this potential was made without the novelty")

    def require_samples(self) -> None:
        """Raise a ValueError if there are no samples."""
        if self.n_samples == 0:
            raise ValueError("this potential was made without samples")

    def at_once(self, on_cpu: bool) -> int:
        """Return how many atoms are handled together."""
        n_bytes = chunk_memory(self.chunk_bytes, on_cpu)
        # Covariances by term, of all terms, of one species, and their product.
        return max(n_bytes // (8 * (5 * self.n_sparse + 100)), 16)

    def forward(
        self, k_m: Tensor, prior: Tensor, species: Tensor, std: bool, novelty: bool
    ) -> dict[str, Tensor]:
        """Return standard deviations, grades and novelty; see `Potential.uncertainties`.

        Parameters
        ----------
        k_m : (n_atoms, n_sparse) float64
            Covariances of local energies with all sparse points, eV².
        prior : (n_atoms,) float64
            Prior variances of local energies, eV².
        species : (n_atoms,) int64
            Species of the atoms.
        std, novelty : bool
            What is asked for.
        """
        out: dict[str, Tensor] = {}
        if std:
            variances = (prior - self.by_data(k_m, species)).clamp_(min=0.0)
            out["energies_std"] = variances.sqrt()
            if self.has_grades:
                out["extrapolation"] = out["energies_std"] / self.usual[species]
        if novelty:
            unexplained = (prior - self.by_points(k_m, species)).clamp_(min=0.0)
            share = unexplained / torch.where(prior > 0.0, prior, 1.0)
            out["novelty"] = share.clamp_(max=1.0).sqrt()
        return out
