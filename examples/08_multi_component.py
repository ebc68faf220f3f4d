"""Several species: Ge2Sb2Te5, a pair potential for each pair and SOAP around each species.

Prints how many sparse points each pair and species has, the errors of forces by element on
structures that the fit has not seen, and energies of formation from the elements beside
DFT: what a potential of several species must get right across compositions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import iread
from common import HERE, options, potential, run

import gapfit

DATA = HERE.parent / "data" / "ge2sb2te5"
COMPOUNDS = {"Ge2Sb2Te5": "hex", "GeTe": "gete"}


def frames(part: str) -> list[Atoms]:
    return list(iread(DATA / f"{part}.extxyz"))


def force_errors(model: gapfit.GAPModel, test: Sequence[Atoms]) -> dict[str, float]:
    """Return the RMSE of force components by element, eV/Å."""
    numbers = np.concatenate([atoms.numbers for atoms in test])
    found = np.concatenate([own.forces for own in model.predict(test)])
    error = found - np.concatenate([atoms.get_forces() for atoms in test])
    return {
        chemical_symbols[z]: float(np.sqrt(np.mean(error[numbers == z] ** 2)))
        for z in model.species
    }


def lowest(phase: str, energy_of) -> tuple[Atoms, float]:
    """Return the structure of a crystal's scan with the lowest energy, eV/atom."""
    scan = [
        atoms
        for part in ("train", "test")
        for atoms in frames(part)
        if f"_eos:{phase}-v" in atoms.info["frame_id"]
    ]
    energies = [energy_of(atoms) / len(atoms) for atoms in scan]
    return scan[int(np.argmin(energies))], min(energies)


def formation(phase: str, energy_of) -> float:
    """Return the energy of formation from the elements, eV/atom."""
    atoms, energy = lowest(phase, energy_of)
    symbols = atoms.get_chemical_symbols()
    parts = [lowest(symbol.lower(), energy_of)[1] for symbol in symbols]
    return energy - float(np.mean(parts))


def main(arguments: Sequence[str] = ()) -> tuple[dict, dict]:
    """Return errors of forces by element, and energies of formation (GAP, DFT)."""
    model = potential(options(__doc__).parse_args(arguments).model, "ge2sb2te5")
    for term in model.terms:
        counts = {term.descriptor.label(b): len(p) for b, p in term.sparse.items()}
        print(f"{term.config.type}: {counts}")
    errors = force_errors(model, frames("test"))
    for symbol, error in errors.items():
        print(f"forces on {symbol}: RMSE {error:.2f} eV/Å")
    formed = {}
    for name, phase in COMPOUNDS.items():
        gap = formation(phase, lambda atoms: model.predict(atoms).energy)
        dft = formation(phase, lambda atoms: atoms.get_potential_energy())
        formed[name] = gap, dft
        print(f"{name} from its elements: {gap:.3f} eV/atom (DFT: {dft:.3f})")
    return errors, formed


if __name__ == "__main__":
    run(main)
