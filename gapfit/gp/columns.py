"""Columns of whitened rows by term, and how their prior falls with a degree.

The features of a linear kernel are independent. Where they are functions f with the prior
variances w_f ∝ degree_f^-2p, another power p scales their columns: no pass over the data is
needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Columns", "FallingPrior"]


@dataclass(frozen=True, eq=False)
class FallingPrior:
    """Columns whose prior standard deviations fall as a power of a degree.

    The sum of their variances does not depend on the power, so that delta keeps its
    meaning.

    Attributes
    ----------
    term : int
        Number of the term that they belong to.
    columns : slice
        The columns.
    degrees : (n,) float64
        Degree of each; infinite where there is no prior, and the column is zero.
    power : float
        The present power.
    """

    term: int
    columns: slice
    degrees: np.ndarray
    power: float

    def factors(self, change: float) -> np.ndarray:
        """Return the factor of each column, (n,), where `change` is added to the power."""
        shares, present = self._shares(change), self._shares(0.0)
        out = np.ones_like(shares)
        np.divide(shares, present, out=out, where=present > 0)
        return np.asarray(np.sqrt(out))

    def slopes(self, change: float) -> np.ndarray:
        """Return the derivatives of the logarithms of the factors by the power, (n,)."""
        logarithms = self._logarithms
        return float(self._shares(change) @ logarithms) - logarithms

    def _shares(self, change: float) -> np.ndarray:
        """Return the part of each column in the prior variance, (n,)."""
        weights = np.exp(-2 * (self.power + change) * self._logarithms)
        weights[~np.isfinite(self.degrees)] = 0.0
        return np.asarray(weights / weights.sum())

    @property
    def _logarithms(self) -> np.ndarray:
        """Logarithms of the degrees over the least, powers of which cancel, (n,)."""
        usable = np.isfinite(self.degrees)
        degrees = np.where(usable, self.degrees, 1.0)
        least = degrees[usable].min(initial=np.inf)
        return np.where(usable, np.log(degrees / least), 0.0)


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of all terms.

    Attributes
    ----------
    terms : sequence of slice
        Columns of each term.
    falling : sequence of FallingPrior
        Those whose prior falls with a degree.
    """

    terms: Sequence[slice]
    falling: Sequence[FallingPrior] = field(default=())

    def delta_scale(self, delta: np.ndarray) -> np.ndarray:
        """Return the factor of each column, (n_sparse,), from those of deltas by term."""
        out: np.ndarray = np.repeat(delta, [p.stop - p.start for p in self.terms])
        return out

    def power_scale(self, powers: Mapping[int, float]) -> np.ndarray:
        """Return the factor of each column, (n_sparse,), from changes of powers by term."""
        out = np.ones(self.terms[-1].stop)
        for part in self.falling:
            out[part.columns] = part.factors(powers.get(part.term, 0.0))
        return out
