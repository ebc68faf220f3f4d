"""Phonons of silicon with error bars from the posterior, beside experiment.

Usage: python 07_phonons.py [--model MODEL.npz] [--samples N]
Needs phonopy (pip install phonopy). Prints whether the crystal is stable, and the highest
frequencies at Γ, X and L; draws bands and density of states to phonons.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from matplotlib.figure import Figure

import gapfit
from gapfit.properties import Phonons, phonons, relaxed

SILICON = Path(__file__).parent / "silicon" / "fit.toml"
#: Highest branch, THz: Dolling, Inelastic Scattering of Neutrons in Solids and Liquids
#: II, 37 (1963); Nilsson & Nelin, Phys. Rev. B 6, 3777 (1972).
MEASURED = {"G": 15.5, "X": 13.9, "L": 14.7}


def of_crystal(model: gapfit.GAPModel, start: Atoms) -> tuple[Phonons, Atoms]:
    """Return the phonons of the relaxed crystal, and the crystal."""
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    crystal = relaxed(start, calculator, cell="free")
    return phonons(crystal, calculator), crystal


def highest(bands: Phonons) -> np.ndarray:
    """Return the highest frequency at Γ, X and L, THz."""
    place = {name: x for x, label in bands.labels for name in label.split("|")}
    nearest = [np.abs(bands.distances - place[name]).argmin() for name in MEASURED]
    return bands.bands[nearest].max(axis=1)


def draw(found: Phonons) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    bands, density = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    bands.plot(found.distances, found.bands, "k", lw=0.8)
    bands.set_xticks(*zip(*found.labels, strict=True))
    bands.set_ylabel("frequency, THz")
    density.plot(found.density, found.frequencies, "k", lw=0.8)
    density.set_xlabel("states per THz")
    figure.savefig("phonons.png", dpi=150)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=SILICON)
    parser.add_argument("--samples", type=int, default=10, help="of the posterior")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
    found, crystal = of_crystal(model, bulk("Si", a=5.43))
    samples = model.sample(given.samples)
    drawn = [highest(of_crystal(sample, crystal)[0]) for sample in samples]
    stds = np.std(drawn, axis=0, ddof=1)
    draw(found)
    print(f"stable: {found.is_stable} (lowest frequency {found.lowest:.3f} THz)")
    print("at Γ, THz:", *(f"{x:.2f}" for x in found.gamma))
    print("highest branch, THz: GAP          measured")
    for name, value, std in zip(MEASURED, highest(found), stds, strict=True):
        print(f"{name:>19}{value:7.2f} ± {std:.2f}{MEASURED[name]:9.1f}")
    print("Wrote phonons.png")


if __name__ == "__main__":
    main()
