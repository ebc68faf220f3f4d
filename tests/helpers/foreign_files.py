"""A Morse crystal in the formats of other programs, by the rules of their manuals.

Labels go in as ASE has them (eV, Å, tension positive) and come out in units and signs of
each program. Numbers have as many digits as floats, but where a program prints fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator

#: CODATA 2018, as CP2K, DeePMD-kit and others have it.
BOHR, HARTREE = 0.529177210903, 27.211386245988
GPA = 160.21766208
SPECIES = ("Au", "Cu")
_STARS, _EQUALS, _DASHES = "*" * 50, "=" * 50, "-" * 50


def crystal(scale: float = 0.95, seed: int = 0) -> Atoms:
    """Return a skewed, rattled cell of two species with the labels of a Morse potential."""
    atoms = bulk("Cu", a=3.6 * scale).repeat(2)
    atoms.numbers[[1, 4, 6]] = 79
    strain = np.array([[0.0, 0.02, -0.01], [0.0, 0.01, 0.03], [0.0, 0.0, -0.02]])
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.05, seed=seed)
    potential = MorsePotential(epsilon=0.35, r0=2.75, rho0=4.0, rcut1=4.0, rcut2=5.0)
    labels = {
        "energy": potential.get_potential_energy(atoms),
        "forces": potential.get_forces(atoms),
        "stress": potential.get_stress(atoms),
    }
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def crystals() -> list[Atoms]:
    """Return two crystals under pressure."""
    return [crystal(0.95, 0), crystal(0.97, 0)]


def _row(values: Sequence[float], digits: int = 16) -> str:
    return "  ".join(f"{value: .{digits}e}" for value in values)


def _rows(values: np.ndarray) -> list[str]:
    return [_row(value) for value in values]


def sorted_by_species(atoms: Atoms) -> Atoms:
    """Return the crystal in the order of VASP: one species after the other."""
    order = np.argsort(-atoms.numbers, kind="stable")
    copy = atoms[order]
    results = atoms.calc.results
    copy.calc = SinglePointCalculator(
        copy, **{**results, "forces": results["forces"][order]}
    )
    return copy


def ml_ab(frames: Sequence[Atoms]) -> str:
    """Return an ML_AB file; kbar, positive under compression."""
    lines = [" 1.0 Version", _STARS]
    head = {
        "The number of configurations": f"{len(frames):10}",
        "The maximum number of atom type": "       2",
        "The atom types in the data file": "     Au Cu",
        "The maximum number of atoms per system": f"{max(map(len, frames)):10}",
        "The maximum number of atoms per atom type": "         5",
        "Reference atomic energy (eV)": "  -0.1  -0.2",
        "Atomic mass": "  196.97  63.55",
        "The numbers of basis sets per atom type": "     1     1",
        "Basis set for Au": "          1      1",
        "Basis set for Cu": "          1      4",
    }
    for title, value in head.items():
        lines += [f"     {title}", _DASHES, value, _STARS]
    for number, atoms in enumerate(map(sorted_by_species, frames), 1):
        counts = [(s, atoms.get_chemical_symbols().count(s)) for s in SPECIES]
        xx, yy, zz, yz, xz, xy = -atoms.get_stress() * GPA * 10
        sections = {
            "System name": ["     gold and copper"],
            "The number of atom types": ["       2"],
            "The number of atoms": [f"{len(atoms):10}"],
            "Atom types and atom numbers": [f"     {s}  {n:6}" for s, n in counts],
            "CTIFOR": ["   2.0000000000000000E-003"],
            "Primitive lattice vectors (ang.)": _rows(atoms.cell[:]),
            "Atomic positions (ang.)": _rows(atoms.positions),
            "Total energy (eV)": [_row([atoms.get_potential_energy()])],
            "Forces (eV ang.^-1)": _rows(atoms.get_forces()),
        }
        lines += [f"     Configuration num. {number:6}", _EQUALS]
        for title, rows in sections.items():
            rule = _STARS if title == "The number of atoms" else _EQUALS
            lines += [f"     {title}", _DASHES, *rows, rule]
        lines += ["     Stress (kbar)", _DASHES, "     XX YY ZZ", _DASHES]
        lines += [_row([xx, yy, zz]), _DASHES, "     XY YZ ZX", _DASHES]
        lines += [_row([xy, yz, xz]), _STARS]
    return "\n".join(lines) + "\n"


def mlip_cfg(frames: Sequence[Atoms]) -> str:
    """Return a .cfg file of MLIP; PlusStress is minus stress times volume."""
    lines = []
    for atoms in frames:
        lines += ["BEGIN_CFG", " Size", f"    {len(atoms)}", " Supercell"]
        lines += [f"    {row}" for row in _rows(atoms.cell[:])]
        lines += [
            " AtomData:  id type       cartes_x      cartes_y      cartes_z  fx fy fz"
        ]
        for n, force in enumerate(atoms.get_forces()):
            kind = SPECIES.index(atoms[n].symbol)
            lines += [f"  {n + 1:10} {kind:4} {_row(atoms.positions[n])} {_row(force)}"]
        lines += [" Energy", _row([atoms.get_potential_energy()])]
        lines += [" PlusStress:  xx yy zz yz xz xy"]
        lines += [_row(-atoms.get_stress() * atoms.get_volume())]
        lines += [" Feature   EFS_by\tVASP", "END_CFG", ""]
    return "\n".join(lines)


def input_data(
    frames: Sequence[Atoms], length: float = BOHR, energy: float = HARTREE
) -> str:
    """Return an input.data file of n2p2 in units of these many Å and eV."""
    lines = []
    for atoms in frames:
        lines += ["begin", "comment a crystal"]
        lines += [f"lattice {row}" for row in _rows(atoms.cell[:] / length)]
        lines += [
            f"atom {_row(atom.position / length)} {atom.symbol} 0.0 0.0 "
            f"{_row(force * length / energy)}"
            for atom, force in zip(atoms, atoms.get_forces(), strict=True)
        ]
        lines += [f"energy {_row([atoms.get_potential_energy() / energy])}"]
        lines += ["charge 0.0", "end"]
    return "\n".join(lines) + "\n"


def lower(atoms: Atoms) -> Atoms:
    """Return the crystal turned as LAMMPS has it: a along x, b in the xy plane."""
    cell, turn = atoms.cell.standard_form()
    forces = atoms.get_forces() @ turn.T
    copy = Atoms(atoms.numbers, atoms.positions @ turn.T, cell=cell, pbc=True)
    copy.calc = SinglePointCalculator(copy, forces=forces)
    return copy


def dump(frames: Sequence[Atoms], columns: str = "id type x y z fx fy fz") -> str:
    """Return a dump of LAMMPS of crystals in its orientation, atoms in reversed order."""
    origin = np.array([0.5, -1.0, 2.0])
    lines = []
    for step, atoms in enumerate(frames):
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = atoms.cell[:]
        x, y = (0, xy, xz, xy + xz), (0, yz)
        bounds = [
            (origin[0] + min(x), origin[0] + lx + max(x), xy),
            (origin[1] + min(y), origin[1] + ly + max(y), xz),
            (origin[2], origin[2] + lz, yz),
        ]
        lines += ["ITEM: TIMESTEP", f"{100 * step}", "ITEM: NUMBER OF ATOMS"]
        lines += [f"{len(atoms)}", "ITEM: BOX BOUNDS xy xz yz pp pp pp"]
        lines += [_row(bound) for bound in bounds]
        lines += [f"ITEM: ATOMS {columns}"]
        scaled = atoms.get_scaled_positions(wrap=False)
        for n in reversed(range(len(atoms))):
            values = {"id": f"{n + 1}", "element": atoms[n].symbol}
            values["type"] = f"{SPECIES.index(atoms[n].symbol) + 1}"
            position, force = atoms.positions[n] + origin, atoms.get_forces()[n]
            for axis, name in enumerate("xyz"):
                values[name] = values[f"{name}u"] = f"{position[axis]:.16e}"
                values[f"{name}s"] = f"{scaled[n, axis]:.16e}"
                values[f"f{name}"] = f"{force[axis]:.16e}"
            values["c_pe"] = "-3.5"
            lines.append(" ".join(values[name] for name in columns.split()))
    return "\n".join(lines) + "\n"


def deepmd(folder: Path, frames: Sequence[Atoms], type_map: bool = True) -> Path:
    """Write a folder of DeePMD-kit; the virial is minus stress times volume."""
    (folder / "set.000").mkdir(parents=True)
    types = [SPECIES.index(symbol) for symbol in frames[0].get_chemical_symbols()]
    (folder / "type.raw").write_text("\n".join(map(str, types)) + "\n")
    if type_map:
        (folder / "type_map.raw").write_text("\n".join(SPECIES) + "\n")
    virials = [-a.get_stress(voigt=False) * a.get_volume() for a in frames]
    arrays = {
        "box": [a.cell[:] for a in frames],
        "coord": [a.positions for a in frames],
        "energy": [[a.get_potential_energy()] for a in frames],
        "force": [a.get_forces() for a in frames],
        "virial": virials,
    }
    for name, values in arrays.items():
        rows = np.array(values).reshape(len(frames), -1)
        np.save(folder / "set.000" / f"{name}.npy", rows)
    return folder
