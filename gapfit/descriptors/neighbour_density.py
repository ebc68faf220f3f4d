"""Densities that a neighbour adds to an atom, by distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gapfit.descriptors.blocks import pair_key
from gapfit.descriptors.pair_table import PairTable, tabulate
from gapfit.descriptors.switch import Switch

__all__ = ["NeighbourDensity"]


@dataclass(frozen=True)
class NeighbourDensity:
    """φ(r), the density of one neighbour: zero from r_cut on, of no unit.

    Attributes
    ----------
    r_cut : float
        Cutoff, Å.
    power : int
        φ = (1 - r/r_cut)^power; 0 for a switch.
    switch : Switch
        φ, where there is no power.
    """

    r_cut: float
    power: int
    switch: Switch

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Return φ, φ' and φ'' (1, 1/Å, 1/Å²), (n,) Å -> (3, n)."""
        if not self.power:
            return self.switch(r)
        n, left = self.power, np.maximum(1 - r / self.r_cut, 0.0)
        return np.stack(
            [
                left**n,
                -n / self.r_cut * left ** (n - 1),
                n * (n - 1) / self.r_cut**2 * left ** (n - 2),
            ]
        )

    def table(self) -> PairTable:
        """Return φ as a table, with the only species 1."""

        def values(r: np.ndarray) -> np.ndarray:
            return np.eye(3, 1) * np.ones(len(r)) if cosine else self(r)

        cosine = not self.power and self.switch.form == "cosine"
        width = self.r_cut if self.power else self.switch.width
        return tabulate(
            (1,), {pair_key(1, 1): values}, self.r_cut, width, cosine=cosine
        )
