"""POD, the proper orthogonal descriptors of LAMMPS, fitted by its command ``fitpod``.

Weights and the middle settings are those of the examples of POD's authors
(github.com/cesmix-mit/pod-examples).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ase import Atoms
from peers import _in_lammps
from peers._potential import Data, Labels, Potential, energy_and_forces

#: Radial and angular sizes of two- to seven-body functions, by settings.
SIZES = {
    "small": ((8, 0), (6, 3), (4, 2), (0, 0), (0, 0), (0, 0)),
    "example": ((10, 0), (8, 4), (6, 3), (4, 3), (3, 2), (2, 2)),
    "large": ((12, 0), (10, 6), (8, 4), (6, 3), (4, 3), (3, 2)),
}
_BODIES = ("two", "three", "four", "five", "six", "seven")
_DATA = """file_format extxyz
file_extension xyz
path_to_training_data_set "train"
fitting_weight_energy 100.0
fitting_weight_force 1.0
fitting_regularization_parameter 1e-12
error_analysis_for_training_data_set 0
basename_for_output_files fit
precision_for_pod_coefficients 12
"""


def parameters(data: Data, sizes: tuple[tuple[int, int], ...]) -> str:
    """Return the file of the settings."""
    several = len(data.species) > 1
    lines = [
        # As types in LAMMPS, heaviest first: the style takes type n for species n.
        f"species {' '.join(reversed(data.species))}",
        "pbc 1 1 1",
        f"rin {0.8 if several else 1.0}",
        "rcut 5.0",
        f"bessel_polynomial_degree {8 if several else 4}",
        f"inverse_polynomial_degree {12 if several else 8}",
        "onebody 1",
    ]
    for body, (radial, angular) in zip(_BODIES, sizes, strict=True):
        lines.append(f"{body}body_number_radial_basis_functions {radial}")
        if body != "two":
            lines.append(f"{body}body_angular_degree {angular}")
    return "\n".join(lines) + "\n"


class Pod(Potential):
    """A linear POD potential."""

    engine = "LAMMPS"

    def __init__(self, label: str, sizes: tuple[tuple[int, int], ...]) -> None:
        self.label, self.sizes = f"POD {label}", sizes

    def fit(self, data: Data, folder: Path) -> bool:
        (folder / "train").mkdir()
        write_extxyz(folder / "train" / "train.xyz", data.train)
        (folder / "param.pod").write_text(parameters(data, self.sizes))
        (folder / "data.pod").write_text(_DATA)
        _in_lammps.run(folder, "units metal\nfitpod param.pod data.pod\n")
        self.size = str(n_coefficients(folder / "fit_coefficients.pod"))
        self.style = _in_lammps.PairStyle(
            folder,
            "pair_style pod\npair_coeff * * param.pod fit_coefficients.pod {types}",
            species=data.species,
        )
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        return self.style.predict(frames)

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        return self.style.turn(atoms)


def n_coefficients(file: Path) -> int:
    """Return how many coefficients a file has, one a line."""
    return len(re.findall(r"^ *[-+.\deE]+ *$", file.read_text(), re.M))


def write_extxyz(path: Path, frames: list[Atoms]) -> None:
    """Write energies and forces in the columns that fitpod reads."""
    lines = []
    for atoms in frames:
        energy, forces = energy_and_forces(atoms)
        cell = " ".join(repr(x) for x in atoms.cell.array.ravel().tolist())
        lines += [
            str(len(atoms)),
            f'Lattice="{cell}" Properties=species:S:1:pos:R:3:forces:R:3 '
            f"energy={float(energy)!r}",
        ]
        lines += [
            f"{symbol} " + " ".join(repr(x) for x in (*r, *f))
            for symbol, r, f in zip(
                atoms.get_chemical_symbols(),
                atoms.positions.tolist(),
                forces.tolist(),
                strict=True,
            )
        ]
    path.write_text("\n".join(lines) + "\n")


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    return _in_lammps.missing()


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [Pod(label, sizes) for label, sizes in SIZES.items()]
