"""Energies across a data set: outliers, and energies per atom."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.places import count_frames, list_places

__all__ = ["EnergyTally"]

#: Energies this far from the median of their composition are suspicious, eV/atom.
OUTLYING_ENERGY = 10.0
#: Relative scatter above which energies, near zero, do not show how they depend on size.
MAX_SCATTER = 0.15
#: Fewest energies that show how they depend on size.
MIN_FRAMES_FOR_TREND = 5


class EnergyTally:
    """Energies, sizes and compositions of the frames that have an energy."""

    def __init__(self) -> None:
        self.energies, self.sizes, self.numbers = array("d"), array("q"), array("q")
        self.compositions: dict[tuple[Any, ...], array[int]] = {}
        self._latest: tuple[bytes, tuple[Any, ...]] = (b"", ())

    def add(self, number: int, frame: Frame) -> None:
        """Add the next frame."""
        if frame.energy is None:
            return
        # Consecutive frames often have the same atoms.
        numbers = frame.numbers.tobytes()
        if numbers != self._latest[0]:
            self._latest = numbers, _composition(frame)
        group = self.compositions.setdefault(self._latest[1], array("q"))
        group.append(len(self.numbers))
        self.energies.append(frame.energy)
        self.sizes.append(frame.n_atoms)
        self.numbers.append(number)

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        """Return warnings; `frames` are all that were added."""
        energies, sizes = np.array(self.energies), np.array(self.sizes)
        return [
            *self._outlying(frames, energies / sizes),
            *_energies_per_atom(energies, sizes, self._shares()),
        ]

    def _shares(self) -> np.ndarray:
        """Return the share of each species in each frame, (n_frames, n_species)."""
        species = sorted({z for kind in self.compositions for z in _halves(kind)[0]})
        shares = np.zeros((len(self.energies), len(species)))
        for composition, group in self.compositions.items():
            present, fractions = _halves(composition)
            columns = np.searchsorted(species, present)
            shares[np.ix_(np.array(group), columns)] = fractions
        return shares

    def _outlying(self, frames: Sequence[Frame], per_atom: np.ndarray) -> list[str]:
        """Warn about energies per atom far from others of the same composition."""
        numbers = np.array(self.numbers)
        warnings = []
        for group in self.compositions.values():
            energies = per_atom[group]
            median = float(np.median(energies))
            deviation = np.abs(energies - median)
            spread = 1.4826 * float(np.median(deviation))
            far = np.flatnonzero(deviation > max(OUTLYING_ENERGY, 20 * spread))
            if len(far):
                worst = energies[far[np.argmax(deviation[far])]]
                ratio = f"ratio {worst / median:.4g}; " if median else ""
                where = list_places(frames, numbers[group][far].tolist())
                warnings.append(
                    f"{count_frames(far)} with energies far from others of the same "
                    f"composition: {worst:.4g} eV/atom where the median of {len(group)} "
                    f"is {median:.4g} ({ratio}a Hartree is 27.21 eV, 1 eV is 96.49 "
                    f"kJ/mol): {where}; look for mixed units, atoms too close, or "
                    "another zero of energy"
                )
        return warnings


def _composition(frame: Frame) -> tuple[Any, ...]:
    """Return the species of a frame and the share of each."""
    species, counts = np.unique(frame.numbers, return_counts=True)
    fractions = np.round(counts / frame.n_atoms, 6)
    return (*species.tolist(), *fractions.tolist())


def _halves(composition: tuple[Any, ...]) -> tuple[Sequence[int], Sequence[float]]:
    """Return the species of a composition and the share of each."""
    middle = len(composition) // 2
    return composition[:middle], composition[middle:]


def _energies_per_atom(
    energies: np.ndarray, sizes: np.ndarray, shares: np.ndarray
) -> list[str]:
    """Warn when energies do not grow with the number of atoms.

    Relative to their median, energies per atom scatter less than total energies; read the
    wrong way, they scatter as the sizes do.

    Parameters
    ----------
    energies : (n_frames,) float64
        Labels, eV.
    sizes : (n_frames,) int64
        Numbers of atoms.
    shares : (n_frames, n_species) float64
        Share of each species; energies are compared with a linear fit to them.
    """
    if len(energies) < MIN_FRAMES_FOR_TREND or len(np.unique(sizes)) == 1:
        return []
    as_given, as_total = _scatter(energies, shares), _scatter(energies / sizes, shares)
    if as_given >= as_total / 2:
        # Where most frames have one size: one value for each size and composition.
        kinds, kind = np.unique(
            np.column_stack([sizes, shares]), axis=0, return_inverse=True
        )
        kind = kind.ravel()
        typical = np.array([np.median(energies[kind == k]) for k in range(len(kinds))])
        as_given = _scatter(typical, kinds[:, 1:])
        as_total = _scatter(typical / kinds[:, 0], kinds[:, 1:])
    if as_given >= as_total / 2 or as_given > MAX_SCATTER:
        return []
    return [
        "energies do not grow with the number of atoms: they scatter by "
        f"{100 * as_given:.2g} % in {len(energies)} frames of {sizes.min()} to "
        f"{sizes.max()} atoms, and by {100 * as_total:.2g} % divided by these numbers; "
        "they look like energies per atom, where the total energy of each frame is expected"
    ]


def _scatter(values: np.ndarray, shares: np.ndarray) -> float:
    """Return the median deviation from a linear fit, relative to the median size."""
    fitted = shares @ np.linalg.lstsq(shares, values, rcond=None)[0]
    size = float(np.median(np.abs(values)))
    return float(np.median(np.abs(values - fitted))) / size if size else np.inf
