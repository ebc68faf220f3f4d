"""Equations of state of the crystals in a data set, from DFT and from a potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.io import iread

import gapfit
from gapfit.properties import EquationOfState, birch_murnaghan


@dataclass(frozen=True)
class Comparison:
    """One crystal: the curve of the data, and that of the potential."""

    dft: EquationOfState
    gap: EquationOfState

    @property
    def lattice_error(self) -> float:
        """Relative error of the lattice constants (the shape of the cell is fixed)."""
        return (self.gap.volume / self.dft.volume) ** (1 / 3) - 1

    @property
    def bulk_modulus_error(self) -> float:
        """Relative error of the bulk modulus."""
        return self.gap.bulk_modulus / self.dft.bulk_modulus - 1


def volume_scan(folder: Path, phase: str) -> list[Atoms]:
    """Return the DFT frames of a crystal within about 15 % of its best volume.

    All of them, where those are too few for an equation of state.
    """
    frames = [
        atoms
        for name in ("train", "test")
        for atoms in iread(folder / f"{name}.extxyz")
        if f":{phase}-v" in atoms.info["frame_id"]
    ]
    lowest = min(frames, key=lambda a: a.get_potential_energy() / len(a))
    best = lowest.get_volume() / len(lowest)
    near = [a for a in frames if 0.85 < a.get_volume() / len(a) / best < 1.18]
    return near if len(near) >= 4 else frames


def curve(frames: Sequence[Atoms]) -> EquationOfState:
    """Return the equation of state per atom of frames that carry a calculator."""
    return birch_murnaghan(
        [a.get_volume() / len(a) for a in frames],
        [a.get_potential_energy() / len(a) for a in frames],
    )


def compare(
    model: gapfit.GAPModel, folder: Path, phases: Sequence[str]
) -> dict[str, Comparison]:
    """Print volumes and bulk moduli beside DFT; without a minimum there are none."""
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    print(f"\n{'phase':<10}{'V, Å³':>8}{'DFT':>8}{'B, GPa':>9}{'DFT':>8}   a error")
    found = {}
    for phase in phases:
        frames = volume_scan(folder, phase)
        dft = curve(frames)
        for atoms in frames:
            atoms.calc = calculator
        try:
            found[phase] = Comparison(dft, curve(frames))
        except gapfit.GapfitError as reason:
            print(f"{phase:<10} {reason}")
            continue
        gap, error = found[phase].gap, f"{found[phase].lattice_error:10.2%}"
        volumes = f"{phase:<10}{gap.volume:8.3f}{dft.volume:8.3f}"
        print(f"{volumes}{gap.bulk_modulus:9.1f}{dft.bulk_modulus:8.1f}{error}")
    return found
