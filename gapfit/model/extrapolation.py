"""How far environments are from the training data, in terms of their uncertainty.

The grade of an atom is the standard deviation of its energy (DTC, see
`gapfit.gp.posterior`) over that of atoms of its species in the training data: their 99th
percentile (Eq. 15). The standard deviation alone has no scale: it depends on delta and the
sigmas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

__all__ = ["ALARM", "grades", "has_grades"]

#: Grade from which on an atom is outside the training data.
ALARM = 2.0


def has_grades(usual: Mapping[int, float], species: Iterable[int]) -> bool:
    """Return whether the scale of these atomic numbers is known; see `grades`."""
    return bool(usual) and usual.keys() >= set(species)


def grades(
    usual: Mapping[int, float], numbers: np.ndarray, energies_std: np.ndarray
) -> np.ndarray | None:
    """Return the grade of each atom, (n,) float64; None where a scale is missing.

    Parameters
    ----------
    usual : mapping of int to float
        By atomic number, `FitRecord.usual_deviations`, eV.
    numbers : (n,) int64
        Atomic numbers.
    energies_std : (n,) float64
        Standard deviations of the energies of the atoms, eV.
    """
    present, place = np.unique(numbers, return_inverse=True)
    if not has_grades(usual, present.tolist()):
        return None
    scale = np.array([usual[z] for z in present.tolist()])
    return np.asarray(energies_std / scale[place])
