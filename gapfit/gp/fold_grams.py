"""Normal equations kept apart by kind of observation, class and fold.

With whitened rows Φ_g = K_g U^-1 / sigma_g of each group g, the Gram matrices
G_g = Φ_g^T Φ_g, the vectors Φ_g^T y and |y|² hold all that a fit needs. K_mm is block
diagonal over terms, so the columns of a term scale with its delta, and a group with
1/sigma: changing any of them costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.observations import Group
from gapfit.gp.whitening import Whitening

__all__ = ["EnergyRows", "FoldGrams", "total"]


def total(grams: Sequence[NormalEquations]) -> NormalEquations:
    """Return the sum of some groups."""
    out = NormalEquations(len(grams[0].b))
    for gram in grams:
        out.merge(gram)
    return out


@dataclass(frozen=True, eq=False)
class EnergyRows:
    """Whitened rows of total energies: one a frame, so they are kept.

    Attributes
    ----------
    phi : (n, n_sparse) float64
        Rows over sigma.
    y : (n,) float64
        Targets over sigma.
    n_atoms : (n,) int64
        Atoms of each frame.
    """

    phi: np.ndarray
    y: np.ndarray
    n_atoms: np.ndarray


@dataclass(eq=False)
class FoldGrams:
    """All groups of a data set, in folds.

    Attributes
    ----------
    whitening : Whitening
        Cholesky factors U of K_mm.
    columns : list of slice
        Columns of each term.
    sigmas : dict of str to float
        Global sigma of each kind, eV per atom, eV/Å and eV per atom: residuals over
        their own sigmas times these are errors, those of frames that are to be fitted
        less closely counting less.
    grams : dict of (Group, fold) to NormalEquations
        What was accumulated.
    energies : dict of fold to list of EnergyRows
        Rows of energies that are judged when they are held out.
    """

    whitening: Whitening
    columns: list[slice]
    sigmas: dict[str, float]
    grams: dict[tuple[Group, int], NormalEquations] = field(default_factory=dict)
    energies: dict[int, list[EnergyRows]] = field(default_factory=dict)

    @property
    def groups(self) -> list[Group]:
        """Groups, in a fixed order."""
        return sorted({group for group, _ in self.grams})

    @property
    def folds(self) -> list[int]:
        """Folds, ascending."""
        return sorted({fold for _, fold in self.grams})

    def of_fold(self, fold: int) -> list[NormalEquations | None]:
        """Return the sums of one fold, None where a group has no rows in it."""
        return [self.grams.get((group, fold)) for group in self.groups]

    def totals(self) -> list[NormalEquations]:
        """Return the sums over all folds, by group."""
        return [
            total([gram for (own, _), gram in self.grams.items() if own == group])
            for group in self.groups
        ]

    def add(
        self,
        group: Group,
        fold: int,
        K: np.ndarray,
        y: np.ndarray,
        sigma: np.ndarray,
        judged: np.ndarray,
    ) -> None:
        """Add observations of one group.

        Parameters
        ----------
        group, fold : (str, str), int
            Where they belong.
        K : (n, n_sparse) float64
            Kernel rows.
        y, sigma : (n,) float64
            Targets and their standard deviations.
        judged : (n,) int64
            For energies: atoms of their frames, 0 for those whose errors do not count.
        """
        if not len(y):
            return
        phi = self.whitening.apply(K / sigma[:, None], overwrite=True)
        key = (group, fold)
        if key not in self.grams:
            self.grams[key] = NormalEquations(self.whitening.n_sparse)
        self.grams[key].add(phi, y / sigma, sigma)
        if group[0] == "energy" and judged.any():
            some = judged > 0
            kept = EnergyRows(phi[some], (y / sigma)[some], judged[some])
            self.energies.setdefault(fold, []).append(kept)
