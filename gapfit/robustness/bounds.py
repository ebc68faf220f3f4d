"""Bounds of a stress test from the data: distances, energies, temperature, crystals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.neighbours import pair_list
from gapfit.data.pair_data import PairTally
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted
from gapfit.robustness.cells import atoms_of, grown, has_gap

__all__ = ["Bounds", "find_bounds", "find_crystal"]

# Melting temperature over cohesive energy: within 30 % for metals, silicon and salts.
_MELTING = 0.03
# Cohesive energies beyond this are none: the energies count from another origin, eV.
_MOST_COHESION = 15.0
# Lindemann: squared amplitude at melting over that of the nearest distance, and limits, K.
_LINDEMANN, _LIMITS = 0.002, (400.0, 4000.0)
# Displacement for force constants, Å, and atoms that are displaced.
_DISPLACEMENT, _DISPLACED = 0.03, 4
# Atoms may come as close as this share of the sum of covalent radii, whatever the data.
_COVALENT = 0.9


@dataclass(frozen=True, eq=False)
class Bounds:
    """What the data say about energies, distances and temperatures.

    Attributes
    ----------
    closest : dict of (int, int) to float
        Shortest distance by pair of species (atomic numbers, ascending), Å; 0.9 times
        the sum of covalent radii where the data have no pair as close.
    lowest : float
        Lowest energy of the structures relative to e0, eV/atom.
    melting : float
        Estimate of the melting temperature, K.
    estimate : str
        Where the estimate comes from.
    """

    closest: dict[tuple[int, int], float]
    lowest: float
    melting: float
    estimate: str

    def plain(self) -> dict[str, Any]:
        """Return plain data, with symbols for pairs."""
        from ase.data import chemical_symbols

        return {
            "closest": {
                f"{chemical_symbols[a]}-{chemical_symbols[b]}": round(distance, 3)
                for (a, b), distance in self.closest.items()
            },
            "lowest": self.lowest,
            "melting": round(self.melting),
            "melting_from": self.estimate,
        }


def find_bounds(model: GAPModel, frames: Sequence[Frame], crystal: Frame) -> Bounds:
    """Return the bounds that structures and the record of a model give.

    Parameters
    ----------
    model : GAPModel
        The potential.
    frames : sequence of Frame
        Structures, with labels or not; energies that are missing are predicted.
    crystal : Frame
        The one among them whose melting is estimated.
    """
    lowest = min(_binding(model, frame) for frame in frames)
    closest = _closest(model, frames)
    melting, estimate = _melting(model, crystal)
    return Bounds(closest, lowest, melting, estimate)


def find_crystal(model: GAPModel, frames: Sequence[Frame]) -> Frame:
    """Return the crystal of the data: with most species, and then lowest in energy.

    Without isolated atoms, of the most frequent composition.

    Raises
    ------
    GapfitError
        No structure is periodic in three directions.
    """
    crystals = [frame for frame in frames if frame.pbc.all() and frame.has_volume]
    crystals = [frame for frame in crystals if not has_gap(frame)]
    if not crystals:
        raise GapfitError(
            f"none of {len(frames)} structures is a crystal, periodic in three directions "
            "and without vacuum; name a file with one"
        )
    most = max(len(set(frame.numbers.tolist())) for frame in crystals)
    full = [frame for frame in crystals if len(set(frame.numbers.tolist())) == most]
    if model.record.without_atom:
        # Energies of other compositions do not compare.
        counts = Counter(map(_composition, full))
        common = max(counts, key=lambda composition: counts[composition])
        full = [frame for frame in full if _composition(frame) == common]
    return min(full, key=lambda frame: _binding(model, frame))


def _composition(frame: Frame) -> tuple[int, ...]:
    return tuple(sorted(frame.numbers.tolist()))


def _binding(model: GAPModel, frame: Frame) -> float:
    """Return the energy relative to e0, eV/atom, of the label or else of the model."""
    energy = frame.energy
    if energy is None:
        energy = model.predict(frame, forces=False, stress=False).energy
    isolated = sum(model.e0[z] for z in frame.numbers.tolist())
    return float(energy - isolated) / frame.n_atoms


def _closest(model: GAPModel, frames: Iterable[Frame]) -> dict[tuple[int, int], float]:
    from ase.data import covalent_radii

    tally = PairTally(model.species, model.cutoff)
    for frame in frames:
        tally.add(frame)
    closest = {}
    for pair in tally.pairs:
        a, b = pair.species
        recorded = model.record.pair(a, b)
        shortest = [pair.closest, recorded.closest if recorded else None]
        bond = _COVALENT * float(covalent_radii[a] + covalent_radii[b])
        closest[a, b] = min([bond, *(d for d in shortest if d is not None)])
    return closest


def _melting(model: GAPModel, crystal: Frame) -> tuple[float, str]:
    """Return an estimate of the melting temperature, K, and where it comes from.

    It is a share of the cohesive energy; where isolated atoms are not known, Lindemann's
    rule with the stiffness of the potential itself.
    """
    from ase.units import kB

    cohesion = -_binding(model, crystal)
    isolated = energies_were_fitted(model) and not model.record.without_atom
    if isolated and 0 < cohesion < _MOST_COHESION:
        return _MELTING * cohesion / kB, f"cohesive energy, {cohesion:.2f} eV/atom"
    stiffness = _stiffness(model, crystal)
    pairs = pair_list(crystal, model.cutoff)
    nearest = float(np.linalg.norm(pairs.R, axis=1).min(initial=model.cutoff))
    melting = _LINDEMANN * stiffness * nearest**2 / kB
    text = f"stiffness of the crystal (Lindemann), {stiffness:.1f} eV/Å²"
    return float(np.clip(melting, *_LIMITS)), text


def _stiffness(model: GAPModel, crystal: Frame) -> float:
    """Return the mean force constant of single atoms in the crystal, eV/Å²."""
    atoms = grown(atoms_of(crystal), 24)
    chosen = range(0, len(atoms), -(-len(atoms) // _DISPLACED))
    slopes = []
    for atom in chosen:
        for axis in range(3):
            ends = []
            for step in (-_DISPLACEMENT, _DISPLACEMENT):
                moved = atoms.copy()
                moved.positions[atom, axis] += step
                forces = model.predict(moved, stress=False).forces
                ends.append(0.0 if forces is None else forces[atom, axis])
            slopes.append((ends[0] - ends[1]) / (2 * _DISPLACEMENT))
    return float(np.mean(slopes))
