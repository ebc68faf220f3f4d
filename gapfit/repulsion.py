"""Screened nuclear repulsion as a baseline: subtracted before the fit, added afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from gapfit.assembly import batches, pairs_of
from gapfit.config import BaselineConfig
from gapfit.frame import Frame
from gapfit.pair_table import PairTable, species_pairs, switch, tabulate

__all__ = ["pair_baseline", "without_baseline", "zbl"]

#: e² / (4 π ε0), eV Å.
_COULOMB = 14.399645478
#: 0.8854 times the Bohr radius, Å.
_LENGTH = 0.8854 * 0.529177210903
_WEIGHTS = np.array([0.18175, 0.50986, 0.28022, 0.02817])
_DECAYS = np.array([3.19980, 0.94229, 0.40290, 0.20162])
_BATCH_ATOMS = 2048


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
        eV, eV/Å and eV/Å².
    """
    decays = _DECAYS * (z1**0.23 + z2**0.23) / _LENGTH
    parts = _WEIGHTS * np.exp(-r[:, None] * decays)
    s0, s1, s2 = (parts.sum(1), -parts @ decays, parts @ decays**2)
    charge = _COULOMB * z1 * z2
    return charge * np.stack(
        [s0 / r, s1 / r - s0 / r**2, s2 / r - 2 * s1 / r**2 + 2 * s0 / r**3]
    )


def pair_baseline(config: BaselineConfig, species: tuple[int, ...]) -> PairTable | None:
    """Return the baseline of all pairs of species as a table; None without one."""
    if config.repulsion == "none":
        return None
    potentials = {
        key: partial(_switched, *divmod(key, 1000), config.r_cut, config.width)
        for key in species_pairs(species)
    }
    return tabulate(species, potentials, config.r_cut, config.width)


def _switched(
    z1: int, z2: int, r_cut: float, width: float, r: np.ndarray
) -> np.ndarray:
    v, v1, v2 = zbl(r, z1, z2)
    s, s1, s2 = switch(r, r_cut, width)
    return np.stack([s * v, s1 * v + s * v1, s2 * v + 2 * s1 * v1 + s * v2])


def without_baseline(frames: Sequence[Frame], table: PairTable | None) -> list[Frame]:
    """Return the frames with the baseline taken off energies, forces and virials."""
    if table is None:
        return list(frames)
    out: list[Frame] = []
    for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
        pairs = pairs_of(frames[part], table.cutoff)
        found = table.evaluate(pairs, gradients=True)
        first = 0
        for frame, virial in zip(frames[part], found.virials, strict=True):
            own = slice(first, first + frame.n_atoms)
            first = own.stop
            out.append(
                replace(
                    frame,
                    energy=None
                    if frame.energy is None
                    else frame.energy - float(found.energies[own].sum()),
                    forces=None
                    if frame.forces is None
                    else frame.forces - found.forces[own],
                    virial=None if frame.virial is None else frame.virial - virial,
                )
            )
    return out
