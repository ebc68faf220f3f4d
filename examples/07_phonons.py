"""Phonons of silicon, with error bars from potentials drawn from the posterior.

Needs phonopy (pip install ".[phonons]"). Prints whether the crystal is stable, and the
frequencies at Γ, X and L beside neutron scattering, with what the data of the fit leave
open; draws bands and density of states to phonons.png.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from common import options, potential, run
from matplotlib.figure import Figure

import gapfit
from gapfit.properties import Phonons, phonons, relaxed

#: Highest branch, THz: Dolling, Inelastic Scattering of Neutrons in Solids and Liquids
#: II, 37 (1963); Nilsson & Nelin, Phys. Rev. B 6, 3777 (1972).
MEASURED = {"G": 15.5, "X": 13.9, "L": 14.7}


def highest(found: Phonons) -> np.ndarray:
    """Return the highest frequency at Γ, X and L, THz."""
    place = {name: x for x, label in found.labels for name in label.split("|")}
    nearest = [np.abs(found.distances - place[name]).argmin() for name in MEASURED]
    return found.bands[nearest].max(axis=1)


def draw(found: Phonons) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    bands, density = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    bands.plot(found.distances, found.bands, "k", lw=0.8)
    bands.set_xticks(*zip(*found.labels, strict=True))
    bands.set_ylabel("frequency, THz")
    density.plot(found.density, found.frequencies, "k", lw=0.8)
    density.set_xlabel("states per THz")
    figure.savefig("phonons.png", dpi=150)


def main(arguments: Sequence[str] = ()) -> tuple[Phonons, np.ndarray]:
    """Return the phonons, and the standard deviations of the frequencies, THz."""
    parser = options(__doc__)
    parser.add_argument("--samples", type=int, default=10, help="of the posterior")
    given = parser.parse_args(arguments)
    model = potential(given.model)

    def of(one: gapfit.GAPModel, start: Atoms) -> tuple[Phonons, Atoms]:
        calculator = gapfit.GAPCalculator(one, uncertainty=False)
        crystal = relaxed(start, calculator, cell="free")
        return phonons(crystal, calculator), crystal

    found, crystal = of(model, bulk("Si", a=5.43))
    drawn = [highest(of(one, crystal)[0]) for one in model.sample(given.samples)]
    std = np.std(drawn, axis=0, ddof=1)
    draw(found)
    print(f"stable: {found.is_stable} (lowest frequency {found.lowest:.3f} THz)")
    print("highest branch, THz: GAP          measured")
    for name, value, own in zip(MEASURED, highest(found), std, strict=True):
        print(f"{name:>19}{value:7.2f} ± {own:.2f}{MEASURED[name]:9.1f}")
    print("Wrote phonons.png")
    return found, std


if __name__ == "__main__":
    run(main)
