"""Read structures, fit a potential, predict a new structure: gapfit in ten lines.

Usage: python 00_quickstart.py [TRAIN.extxyz]
The settings are rough, so that the fit takes seconds; see 01_fit.py for good ones.
"""

import sys
from pathlib import Path

from ase.build import bulk
from ase.io import read

import gapfit

SILICON = Path(__file__).parents[1] / "data" / "silicon" / "train.extxyz"


def main(train: str | Path = SILICON) -> None:
    frames = read(train, ":")
    terms = [
        {"type": "distance_2b", "r_cut": 5.0},
        {"type": "soap", "r_cut": 5.0, "n_sparse": 200},
    ]
    model = gapfit.fit(frames, {"terms": terms})
    model.save("quickstart.npz")
    crystal = bulk("Si", a=5.476)
    found = model.predict(crystal, std="energy")
    print(f"{found.energy:.3f} ± {found.energy_std:.3f} eV for two atoms of silicon")
    print(f"largest force component {abs(found.forces).max():.1e} eV/Å")


if __name__ == "__main__":
    main(*sys.argv[1:])
