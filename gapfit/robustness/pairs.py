"""Tests of two and three atoms alone, down to 0.5 Å."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from gapfit.robustness.specimen import Specimen
from gapfit.robustness.watch import FailureError, Watch

__all__ = ["dimers", "trimers"]

#: Shortest distance that is tried, Å, and step, Å.
_SHORTEST, _SPACING = 0.5, 0.04
# Energy of atoms at the shortest distance above that of isolated atoms, eV.
_WALL = 10.0
# Closer than in all data the repulsion may fall to this share of what it was; that of
# nuclei grows all the way.
_WEAKENED = 0.5
# Angles of trimers, degrees.
_ANGLES = (60.0, 90.0, 120.0, 180.0)
# The bond that stays while another atom approaches, over the shortest in the data.
_BOND = 1.1


def dimers(specimen: Specimen, watch: Watch) -> None:
    """Bring two atoms of all species together."""
    for a, b in combinations_with_replacement(specimen.model.species, 2):
        closest = specimen.bounds.closest[a, b]
        distances = np.arange(specimen.model.cutoff, _SHORTEST - 1e-9, -_SPACING)
        frames = [_structure([a, b], [[0, 0, 0], [r, 0, 0]]) for r in distances]
        _approach(specimen, watch, frames, distances, closest)


def trimers(specimen: Specimen, watch: Watch) -> None:
    """Bring three atoms of all species together, and one to a bond of two."""
    for numbers in _triplets(specimen.model.species):
        for angle in _ANGLES:
            _together(specimen, watch, numbers, angle)
            _joining(specimen, watch, numbers, angle)


def _together(
    specimen: Specimen, watch: Watch, numbers: list[int], angle: float
) -> None:
    """Shorten both bonds of a trimer in proportion."""
    first, second = (_closest(specimen, numbers[0], z) for z in numbers[1:])
    least = min(first, second)
    distances = np.arange(specimen.model.cutoff, _SHORTEST - 1e-9, -2 * _SPACING)
    frames = [
        _trimer(numbers, first / least * r, second / least * r, angle)
        for r in distances
    ]
    _approach(specimen, watch, frames, distances, least)


def _joining(
    specimen: Specimen, watch: Watch, numbers: list[int], angle: float
) -> None:
    """Bring an atom to a bond; only holes count, since other minima are real."""
    first = _BOND * _closest(specimen, numbers[0], numbers[1])
    distances = np.arange(specimen.model.cutoff, _SHORTEST - 1e-9, -2 * _SPACING)
    frames = [_trimer(numbers, first, r, angle) for r in distances]
    _energies(specimen, watch, frames, distances)


def _approach(
    specimen: Specimen, watch: Watch, frames: list[Any], distances: Any, closest: float
) -> None:
    """Fail at a hole, or if nothing keeps atoms apart that are closer than in the data."""
    energies = _energies(specimen, watch, frames, distances)
    least = specimen.settings.contact * closest
    if least < _SHORTEST:
        # Such distances are those of bonds, as for hydrogen.
        return
    formula = _name(frames[0])
    inside = distances < least
    forces = -np.diff(energies[inside]) / np.diff(distances[inside])
    weak = np.flatnonzero(forces < _WEAKENED * np.maximum.accumulate(forces))
    if len(weak):
        at = int(np.flatnonzero(inside)[weak[0] + 1])
        raise FailureError(
            f"{formula} at {distances[at]:.2f} Å: the repulsion is {forces[weak[0]]:.3g} "
            f"eV/Å, after {forces[: weak[0] + 1].max():.3g} further out: no wall keeps the "
            "atoms apart",
            frames[at],
        )
    if energies[-1] < _WALL:
        raise FailureError(
            f"{formula}: at {distances[-1]:.2f} Å the energy is only "
            f"{energies[-1]:.1f} eV above that of isolated atoms: no repulsive wall",
            frames[-1],
        )


def _energies(
    specimen: Specimen, watch: Watch, frames: list[Any], distances: Any
) -> np.ndarray:
    """Return energies relative to e0, eV; fail at the first hole."""
    model = specimen.model
    predicted = model.predict(frames, forces=False, stress=False)
    for atoms, prediction, r in zip(frames, predicted, distances, strict=True):
        watch.energy(atoms, prediction.energy, f"{_name(atoms)} at {r:.2f} Å")
    isolated = sum(model.e0[z] for z in frames[0].numbers.tolist())
    return np.array([prediction.energy for prediction in predicted]) - isolated


def _closest(specimen: Specimen, a: int, b: int) -> float:
    return specimen.bounds.closest[min(a, b), max(a, b)]


def _triplets(species: tuple[int, ...]) -> Iterator[list[int]]:
    """Yield a central atom and two others, of all species."""
    for centre in species:
        for pair in combinations_with_replacement(species, 2):
            yield [centre, *pair]


def _trimer(numbers: list[int], first: float, second: float, angle: float) -> Any:
    turned = np.deg2rad(angle)
    end = [second * np.cos(turned), second * np.sin(turned), 0]
    return _structure(numbers, [[0, 0, 0], [first, 0, 0], end])


def _structure(numbers: list[int], positions: Any) -> Any:
    from ase import Atoms

    return Atoms(numbers, positions=positions)


def _name(atoms: Any) -> str:
    """Return the atoms joined: ``"Ge-Te"``; of a trimer ``"Te-Ge-Te"``."""
    symbols = atoms.get_chemical_symbols()
    if len(symbols) == 3:
        symbols = [symbols[1], symbols[0], symbols[2]]
    return "-".join(symbols)
