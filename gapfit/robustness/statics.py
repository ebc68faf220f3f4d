"""Tests without dynamics: volumes, defects and random structures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gapfit.robustness.cells import scaled
from gapfit.robustness.relaxation import relax
from gapfit.robustness.specimen import Specimen
from gapfit.robustness.watch import FailureError, Watch

__all__ = ["contacts", "defects", "volume"]

# Volumes over that of the crystal, at the end of compression and expansion.
_VOLUMES, _POINTS = (0.5, 2.0), 30
# Fall of the energy while the crystal is compressed, eV/atom.
_DIP = 0.2
# Random structures: number, atoms, volumes, nearest distances over those of the data.
_RANDOM, _FEWEST, _DENSITIES, _NEAR = 8, 12, (0.8, 1.6), 0.8
# Places that are tried for each atom.
_TRIALS = 100
# A defect may set so much energy free, eV; with several species, whose order on the
# lattice is seldom the best one, also this much per atom, eV.
_GAIN, _REORDERED = 1.0, 0.1
# Displacements that let a crystal leave a saddle point, Å.
_RATTLE = 0.03


class _Defect(NamedTuple):
    """One atom of species z (atomic number) removed from a crystal, or added."""

    z: int
    removed: bool

    @property
    def name(self) -> str:
        from ase.data import chemical_symbols

        word = "removed" if self.removed else "added"
        return f"one {chemical_symbols[self.z]} atom {word}"

    def of(self, crystal: Any, place: np.ndarray) -> Any:
        """Return the crystal with it; an added atom is at a place, Å."""
        atoms = crystal.copy()
        if self.removed:
            del atoms[int(np.flatnonzero(crystal.numbers == self.z)[0])]
        else:
            atoms.append(_atom(self.z, place))
        return atoms


def volume(specimen: Specimen, watch: Watch) -> None:
    """Compress the crystal to half of its volume and expand it to twice."""
    for end in _VOLUMES:
        factors = np.linspace(1.0, end, _POINTS)
        cells = [scaled(specimen.crystal, factor) for factor in factors]
        predicted = specimen.model.predict(cells, forces=False, stress=False)
        highest = -np.inf
        for cell, prediction, factor in zip(cells, predicted, factors, strict=True):
            when = f"at {factor:.2f} of the volume"
            energy = prediction.energy / len(cell)
            watch.energy(cell, prediction.energy, when)
            highest = max(highest, energy)
            if end < 1 and energy < highest - _DIP:
                raise FailureError(
                    f"{when}: compression lowers the energy by "
                    f"{highest - energy:.2f} eV/atom",
                    cell,
                )


def defects(specimen: Specimen, watch: Watch) -> None:
    """Remove and add single atoms of each species, and relax.

    The whole crystal is relaxed first, so that only the defect sets energy free. Defects
    that leave an ionic crystal charged are skipped.
    """
    origin, species = np.zeros(3), sorted(set(specimen.crystal.numbers.tolist()))
    possible = [_Defect(z, removed) for z in species for removed in (True, False)]
    tried = [
        defect
        for defect in possible
        if watch.has_energy(defect.of(specimen.supercell, origin), defect.name)
    ]
    if not tried:
        return
    whole, random = specimen.supercell.copy(), specimen.random
    whole.positions += _RATTLE * random.normal(size=(len(whole), 3))
    relax(specimen, whole, watch, "crystal")
    energy = whole.get_potential_energy()
    for defect in tried:
        place = origin if defect.removed else _emptiest(whole, random)
        _relaxed_defect(specimen, defect, defect.of(whole, place), watch, energy)


def contacts(specimen: Specimen, watch: Watch) -> None:
    """Relax random structures, whose atoms are as close as atoms may come."""
    random = specimen.random
    for factor in np.linspace(*_DENSITIES, _RANDOM):
        atoms = _random_structure(specimen, float(factor), random)
        name = f"random structure at {factor:.2f} of the volume"
        relax(specimen, atoms, watch, name)


def _relaxed_defect(
    specimen: Specimen, defect: _Defect, atoms: Any, watch: Watch, whole: float
) -> None:
    """Relax a defect; it must not set much energy free against the whole crystal, eV.

    The atom comes from a crystal in which each species is bound equally.
    """
    relax(specimen, atoms, watch, defect.name)
    isolated = sum(specimen.model.e0[y] for y in specimen.crystal.numbers.tolist())
    bond = isolated / len(specimen.crystal) - specimen.energy
    share = specimen.model.e0[defect.z] - bond
    exchanged = share if defect.removed else -share
    formation = atoms.get_potential_energy() - whole + exchanged
    several = len(set(specimen.crystal.numbers.tolist())) > 1
    allowed = _GAIN + (_REORDERED * len(atoms) if several else 0.0)
    if formation < -allowed:
        raise FailureError(f"{defect.name}: sets {-formation:.2f} eV free", atoms)


def _emptiest(atoms: Any, random: np.random.Generator) -> np.ndarray:
    """Return the most distant from all atoms of some random points."""
    best, farthest = np.zeros(3), -1.0
    for _ in range(200):
        point = random.random(3) @ atoms.cell[:]
        trial = atoms.copy()
        trial.append(_atom(int(atoms.numbers[0]), point))
        distances = trial.get_distances(-1, range(len(atoms)), mic=True)
        if distances.min() > farthest:
            best, farthest = point, float(distances.min())
    return best


def _random_structure(
    specimen: Specimen, factor: float, random: np.random.Generator
) -> Any:
    """Return a random structure of the crystal's composition, in a cube.

    Atoms are placed one by one; a cube that does not hold them grows.
    """
    from ase import Atoms

    crystal = specimen.crystal
    numbers = np.tile(crystal.numbers, max(-(-_FEWEST // len(crystal)), 1))
    volume = factor * crystal.get_volume() / len(crystal) * len(numbers)
    side = volume ** (1 / 3)
    while (positions := _packed(specimen, numbers, side, random)) is None:
        side *= 1.03
    return Atoms(numbers, positions=positions, cell=[side] * 3, pbc=True)


def _packed(
    specimen: Specimen, numbers: np.ndarray, side: float, random: np.random.Generator
) -> np.ndarray | None:
    """Return random positions in a cube, Å, that are not too close; None if it is full."""
    closest = specimen.bounds.closest
    positions = np.empty((0, 3))
    for z in numbers.tolist():
        before = numbers[: len(positions)].tolist()
        least = _NEAR * np.array([closest[min(z, y), max(z, y)] for y in before])
        if _NEAR * closest[z, z] > side:
            return None
        for _ in range(_TRIALS):
            point = side * random.random(3)
            apart = positions - point
            apart -= side * np.round(apart / side)
            if (np.linalg.norm(apart, axis=1) >= least).all():
                positions = np.vstack([positions, point])
                break
        else:
            return None
    return positions


def _atom(z: int, position: np.ndarray) -> Any:
    from ase import Atom

    return Atom(z, position)
