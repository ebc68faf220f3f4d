"""Compare a potential with DFT: errors, error bars and equations of state.

Usage: python 02_evaluate.py [--model MODEL.npz] [--data FOLDER] [--test FILE]
FOLDER holds train.extxyz and test.extxyz as data/silicon does: the volume scan of a
crystal has frame_id = "system:config_type:crystal-v<volume factor>".
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.io import iread

import gapfit
from gapfit.evaluation import format_table
from gapfit.properties import EquationOfState, birch_murnaghan

HERE = Path(__file__).parent
SCAN = re.compile(r".*:(?:phase_\w+|\w+_eos):(\S+)-v[\d.]+")


def volume_scans(folder: Path) -> dict[str, list[Atoms]]:
    """Return the frames of each crystal within about 15 % of its best volume."""
    scans = defaultdict(list)
    for part in ("train", "test"):
        for atoms in iread(folder / f"{part}.extxyz"):
            if match := SCAN.fullmatch(atoms.info["frame_id"]):
                scans[match[1]].append(atoms)
    for crystal, frames in scans.items():
        lowest = min(frames, key=lambda a: a.get_potential_energy() / len(a))
        best = lowest.get_volume() / len(lowest)
        near = [a for a in frames if 0.85 < a.get_volume() / len(a) / best < 1.18]
        scans[crystal] = near if len(near) >= 4 else frames
    return {name: frames for name, frames in scans.items() if len(frames) >= 4}


def curve(frames: Sequence[Atoms]) -> EquationOfState:
    """Return the equation of state per atom of frames with a calculator."""
    volumes = [atoms.get_volume() / len(atoms) for atoms in frames]
    energies = [atoms.get_potential_energy() / len(atoms) for atoms in frames]
    return birch_murnaghan(volumes, energies)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="default: silicon is fitted first")
    parser.add_argument("--config", type=Path, default=HERE / "silicon" / "fit.toml")
    parser.add_argument("--data", type=Path, default=HERE.parent / "data" / "silicon")
    parser.add_argument("--test", nargs="+", help="default: test.extxyz of the folder")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
    metrics = gapfit.evaluate(model, given.test or given.data / "test.extxyz")
    print(format_table(metrics, "test"))

    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    print("\ncrystal       V, Å³     DFT  B, GPa     DFT   error of a  of E, meV/atom")
    for crystal, frames in volume_scans(given.data).items():
        try:
            dft = curve(frames)
            for atoms in frames:
                atoms.calc = calculator
            gap = curve(frames)
        except gapfit.GapfitError as reason:
            print(f"{crystal:<10} {reason}")
            continue
        numbers = f"{gap.volume:8.3f}{dft.volume:8.3f}"
        numbers += f"{gap.bulk_modulus:8.1f}{dft.bulk_modulus:8.1f}"
        numbers += f"{(gap.volume / dft.volume) ** (1 / 3) - 1:13.2%}"
        print(f"{crystal:<11}{numbers}{1e3 * (gap.energy - dft.energy):15.1f}")


if __name__ == "__main__":
    main()
