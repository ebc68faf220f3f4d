"""Several species: Ge2Sb2Te5 with a pair potential per pair and SOAP per species.

Usage: python 08_multi_component.py [--model MODEL.npz] [--data FOLDER]
Prints the number of sparse points of each pair and species, the errors of forces by
element on the test set, and energies of formation from the elements beside DFT: what a
potential of several species must get right across compositions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

import gapfit

HERE = Path(__file__).parent
COMPOUNDS = {"Ge2Sb2Te5": "hex", "GeTe": "gete"}
Energy = Callable[[Atoms], float]


def print_force_errors(model: gapfit.GAPModel, test: Sequence[Atoms]) -> None:
    """Print the RMSE of force components by element."""
    symbols = np.concatenate([atoms.get_chemical_symbols() for atoms in test])
    predicted = np.concatenate([result.forces for result in model.predict(test)])
    errors = predicted - np.concatenate([atoms.get_forces() for atoms in test])
    for symbol in np.unique(symbols):
        rmse = np.sqrt(np.mean(errors[symbols == symbol] ** 2))
        print(f"forces on {symbol}: RMSE {rmse:.2f} eV/Å")


def lowest(
    frames: Sequence[Atoms], crystal: str, energy: Energy
) -> tuple[Atoms, float]:
    """Return the structure of a volume scan with the lowest energy, eV/atom."""
    scan = [a for a in frames if f"_eos:{crystal}-v" in a.info["frame_id"]]
    energies = [energy(atoms) / len(atoms) for atoms in scan]
    return scan[int(np.argmin(energies))], min(energies)


def formation(frames: Sequence[Atoms], crystal: str, energy: Energy) -> float:
    """Return the energy of formation from the elements, eV/atom."""
    atoms, compound = lowest(frames, crystal, energy)
    elements = [lowest(frames, symbol.lower(), energy)[1] for symbol in atoms.symbols]
    return compound - float(np.mean(elements))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=HERE / "ge2sb2te5" / "fit.toml")
    parser.add_argument("--data", type=Path, default=HERE.parent / "data" / "ge2sb2te5")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
    for term in model.terms:
        counts = {term.descriptor.label(b): len(p) for b, p in term.sparse.items()}
        print(f"{term.config.type}: {counts}")
    test = read(given.data / "test.extxyz", ":")
    print_force_errors(model, test)
    frames = read(given.data / "train.extxyz", ":") + test
    for name, crystal in COMPOUNDS.items():
        gap = formation(frames, crystal, lambda atoms: model.predict(atoms).energy)
        dft = formation(frames, crystal, lambda atoms: atoms.get_potential_energy())
        print(f"{name} from its elements: {gap:.3f} eV/atom (DFT: {dft:.3f})")


if __name__ == "__main__":
    main()
