"""Screened repulsion of the nuclei, a part of the baseline."""

from __future__ import annotations

from functools import partial

import numpy as np

from gapfit.baseline.ewald import COULOMB
from gapfit.config.sections import BaselineConfig
from gapfit.descriptors.blocks import species_of_pair, species_pairs
from gapfit.descriptors.pair_table import PairTable, tabulate
from gapfit.descriptors.switch import Switch

__all__ = ["pair_baseline", "zbl"]

#: 0.8854 times the Bohr radius, Å.
_LENGTH = 0.8854 * 0.529177210903
_WEIGHTS = np.array([0.18175, 0.50986, 0.28022, 0.02817])
_DECAYS = np.array([3.19980, 0.94229, 0.40290, 0.20162])


def zbl(r: np.ndarray, z1: int, z2: int) -> np.ndarray:
    """Return the universal repulsion of two nuclei and its first two derivatives.

    φ = e²/(4πε0) Z1 Z2 / r Σ_k w_k exp(-d_k r/a), a = 0.8854 a0 / (Z1^0.23 + Z2^0.23)
    (Ziegler, Biersack & Littmark, The Stopping and Range of Ions in Solids, 1985).

    Parameters
    ----------
    r : (n,) float64
        Distances, Å.
    z1, z2 : int
        Atomic numbers.

    Returns
    -------
    (3, n) float64
        φ, φ' and φ'' in eV, eV/Å and eV/Å².
    """
    decays = _DECAYS * (z1**0.23 + z2**0.23) / _LENGTH
    parts = _WEIGHTS * np.exp(-r[:, None] * decays)
    s0, s1, s2 = (parts.sum(1), -parts @ decays, parts @ decays**2)
    charge = COULOMB * z1 * z2
    return charge * np.stack(
        [s0 / r, s1 / r - s0 / r**2, s2 / r - 2 * s1 / r**2 + 2 * s0 / r**3]
    )


def pair_baseline(config: BaselineConfig, species: tuple[int, ...]) -> PairTable | None:
    """Return the repulsion of all pairs of species as a table; None without one."""
    if config.repulsion == "none":
        return None
    potentials = {
        key: partial(_switched_zbl, *species_of_pair(key), config.r_cut, config.width)
        for key in species_pairs(species)
    }
    return tabulate(species, potentials, config.r_cut, config.width)


def _switched_zbl(
    z1: int, z2: int, r_cut: float, width: float, r: np.ndarray
) -> np.ndarray:
    return Switch(r_cut, width).times(zbl(r, z1, z2), r)
