"""Sums by quantity, class and fold.

With whitened rows Φ_g = K_g U^-1 / sigma_g of each group g, the Gram matrices
G_g = Φ_g^T Φ_g, the vectors Φ_g^T y and |y|² are all that a fit needs. K_mm is block
diagonal over terms, so the columns of a term scale with its delta, those of functions with
their prior (`gapfit.gp.columns`), and a group with 1/sigma: changing any of them costs no
pass over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gapfit.gp.columns import Columns
from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.observations import Group, RowBlock
from gapfit.gp.raised_jitter import RaisedJitter
from gapfit.gp.training_sums import TrainingSums

__all__ = ["EnergyRows", "FoldGrams", "total"]


def total(grams: Sequence[NormalEquations]) -> NormalEquations:
    """Return the sum over groups."""
    out = NormalEquations(len(grams[0].b))
    for gram in grams:
        out.merge(gram)
    return out


@dataclass(frozen=True, eq=False)
class EnergyRows:
    """Whitened rows of total energies: one per frame, so they are kept.

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


@dataclass(frozen=True, eq=False)
class FoldGrams:
    """Sums over a data set, by group and fold.

    Attributes
    ----------
    sums : TrainingSums
        Normal equations; the key of each is (group, fold).
    columns : Columns
        Columns of each term.
    sigmas : dict of str to float
        Global sigma of each kind, eV per atom, eV/Å and eV per atom. Errors are residuals
        over the sigma of their row, times these: frames that are to be fitted less
        closely count less.
    energies : dict of fold to list of EnergyRows
        Rows of the energies that are scored while their fold is held out.
    """

    sums: TrainingSums
    columns: Columns
    sigmas: dict[str, float]
    energies: dict[int, list[EnergyRows]] = field(default_factory=dict)

    @property
    def groups(self) -> list[Group]:
        """Groups, in a fixed order."""
        return sorted({group for group, _ in self.sums.groups})

    @property
    def folds(self) -> list[int]:
        """Folds, ascending."""
        return sorted({fold for _, fold in self.sums.groups})

    def of_fold(self, fold: int) -> list[NormalEquations | None]:
        """Return the sums of one fold, None where a group has no rows in it."""
        return [self.sums.groups.get((group, fold)) for group in self.groups]

    def totals(self) -> list[NormalEquations]:
        """Return the sums over all folds, by group."""
        return [
            total([part for key, part in self.sums.groups.items() if key[0] == group])
            for group in self.groups
        ]

    def rewhitened(self, raised: RaisedJitter) -> FoldGrams:
        """Return the same with a larger jitter; the sums are used up."""
        energies = {
            fold: [replace(rows, phi=raised.apply(rows.phi)) for rows in parts]
            for fold, parts in self.energies.items()
        }
        return replace(self, sums=self.sums.rewhitened(raised), energies=energies)

    def keep_energies(
        self, block: RowBlock, folds: np.ndarray, n_atoms: np.ndarray
    ) -> None:
        """Keep the rows of the energies that are scored while their fold is held out.

        Parameters
        ----------
        block : RowBlock
            Rows of a batch of frames.
        folds : (n_frames,) int64
            Their folds.
        n_atoms : (n_frames,) int64
            Their atoms; 0 for frames whose energy is not scored.
        """
        energies = np.flatnonzero(block.kind == 0)
        energies = energies[n_atoms[block.frame[energies]] > 0]
        for fold in np.unique(folds[block.frame[energies]]).tolist():
            rows = energies[folds[block.frame[energies]] == fold]
            sigma = block.sigma[rows]
            phi = self.sums.whitening.apply(block.K[rows] / sigma[:, None])
            kept = EnergyRows(phi, block.y[rows] / sigma, n_atoms[block.frame[rows]])
            self.energies.setdefault(fold, []).append(kept)
