"""A Morse crystal in the formats of CP2K, old and new; compression is positive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from helpers.foreign_files import BOHR, GPA, HARTREE, SPECIES


def output(atoms: Atoms, version: int = 2025, periodicity: str = "XYZ") -> str:
    """Return the output of one calculation, in the layout of version 7, 2023 or 2025."""
    new = version == 2025
    digits = 6 if new else 3
    lines = [
        " DBCSR| CPU Multiplication driver                                          XSMM",
        "  **** **** ******  **  PROGRAM STARTED AT               2025-03-01 10:00:00.000",
        " CP2K| version string:                                          CP2K version 2025",
        " GLOBAL| Run type                                                   ENERGY_FORCE",
        f" POISSON| Periodicity{periodicity:>57}",
    ]
    for letter, vector in zip("abc", atoms.cell[:], strict=True):
        row = "".join(f"{x:14.{digits}f}" for x in vector)
        lines += [
            f" CELL_REF| Vector {letter} [angstrom]:  9.0 9.0 9.0   |{letter}| = 9.0"
        ]
        length = f"   |{letter}| ={np.linalg.norm(vector):13.6f}"
        lines += [f" CELL| Vector {letter} [angstrom]:{row}{length}"]
    lines += ["", " ATOMIC KIND INFORMATION", ""]
    lines += [
        f"  {n + 1}. Atomic kind: {s:4}  Number of atoms: 4"
        for n, s in enumerate(SPECIES)
    ]
    lines += ["", " MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM", ""]
    lines += [
        "   Atom Kind Element         X             Y             Z       Z(eff)     Mass"
    ]
    lines += [""] * (not new)
    for n, atom in enumerate(atoms, 1):
        kind = SPECIES.index(atom.symbol) + 1
        row = "".join(f"{x:14.6f}" for x in atom.position)
        lines += [
            f"{n:7}{kind:5} {atom.symbol} {atom.number:4}{row}   11.0000   63.5460"
        ]
    lines += ["", "", "  *** SCF run converged in    12 steps ***", ""]
    energy = atoms.get_potential_energy() / HARTREE
    unit = {7: "(a.u.):", 2023: "[a.u.]:", 2025: "[hartree]"}[version]
    lines += [f" ENERGY| Total FORCE_EVAL ( QS ) energy {unit} {energy:24.15f}", "", ""]
    forces = atoms.get_forces() / HARTREE * BOHR
    if new:
        lines += [" FORCES| Atomic forces [hartree/bohr]"]
        lines += [
            " FORCES|   Atom     x               y               z               |f|"
        ]
        lines += [
            f" FORCES|{n:7}" + "".join(f"{x:16.8E}" for x in force) + "  1.00000000E-02"
            for n, force in enumerate(forces, 1)
        ]
        lines += [" FORCES| Sum   0.0 0.0 0.0 0.0", ""]
    else:
        lines += [" ATOMIC FORCES in [a.u.]", ""]
        lines += [" # Atom   Kind   Element          X              Y              Z"]
        lines += [
            f"{n:7}{SPECIES.index(atom.symbol) + 1:7} {atom.symbol:>7}    "
            + "".join(f"{x:15.8f}" for x in force)
            for n, (atom, force) in enumerate(zip(atoms, forces, strict=True), 1)
        ]
        lines += [" SUM OF ATOMIC FORCES           0.0 0.0 0.0   0.0", ""]
    pressure = -atoms.get_stress(voigt=False) * GPA
    if version > 7:
        unit, factor = ("bar", 1e4) if new else ("GPa", 1.0)
        lines += [f" STRESS| Analytical stress tensor [{unit}]"]
        lines += [
            " STRESS|                        x                   y                   z"
        ]
        lines += [
            f" STRESS|      {axis}" + "".join(f"{x * factor:20.11E}" for x in row)
            for axis, row in zip("xyz", pressure, strict=True)
        ]
    else:
        lines += [
            " STRESS TENSOR [GPa]",
            "",
            "            X               Y               Z",
        ]
        lines += [
            f"  {axis}  " + "".join(f"{x:16.8f}" for x in row)
            for axis, row in zip("XYZ", pressure, strict=True)
        ]
    lines += [
        "",
        "  **** **** ******  **  PROGRAM ENDED AT                 2025-03-01 10:01:00",
    ]
    return "\n".join(lines) + "\n"


def trajectory(
    folder: Path, frames: Sequence[Atoms], *, files: str = "frc cell stress"
) -> Path:
    """Write a trajectory and the files beside it; return that of positions."""
    texts = {"pos": "", "frc": "", "cell": _CELL_HEAD, "stress": _STRESS_HEAD}
    for n, atoms in enumerate(frames):
        step, time = 10 * n, 5.0 * n
        energy = atoms.get_potential_energy() / HARTREE
        head = (
            f"{len(atoms):6}\n i = {step:8}, time = {time:12.3f}, E = {energy:20.10f}\n"
        )
        forces = atoms.get_forces() / HARTREE * BOHR
        for kind, rows in (("pos", atoms.positions), ("frc", forces)):
            texts[kind] += head + "".join(
                f" {symbol:>2}" + "".join(f"{x:20.10f}" for x in row) + "\n"
                for symbol, row in zip(atoms.symbols, rows, strict=True)
            )
        pressure = -atoms.get_stress(voigt=False) * GPA * 1e4
        for kind, rows in (("cell", atoms.cell[:]), ("stress", pressure)):
            values = "".join(f"{x:20.10f}" for x in rows.ravel())
            more = f"{atoms.get_volume():20.10f}" * (kind == "cell")
            texts[kind] += f"{step:8}{time:12.3f}{values}{more}\n"
    names = {"pos": "run-pos-1.xyz", "frc": "run-frc-1.xyz"}
    for kind in ("pos", *files.split()):
        (folder / names.get(kind, f"run-1.{kind}")).write_text(texts[kind])
    return folder / "run-pos-1.xyz"


_CELL_HEAD = (
    "#   Step   Time [fs]       Ax [Angstrom]       Ay [Angstrom]       Az [Angstrom]"
    "       Bx [Angstrom] ...      Cz [Angstrom]      Volume [Angstrom^3]\n"
)
_STRESS_HEAD = (
    "#   Step   Time [fs]            xx [bar]            xy [bar] ...  zz [bar]\n"
)


def restart(atoms: Atoms, more: str = "") -> str:
    """Return the part of a restart file that has the cell."""
    vectors = "".join(
        f"       {letter}  " + "".join(f"{x:26.16E}" for x in vector) + "\n"
        for letter, vector in zip("ABC", atoms.cell[:], strict=True)
    )
    return (
        f" &MOTION\n{more}   &PRINT\n     &CELL  SILENT\n     &END CELL\n   &END PRINT\n"
        f" &END MOTION\n &FORCE_EVAL\n   &SUBSYS\n     &CELL\n{vectors}     &END CELL\n"
        "   &END SUBSYS\n &END FORCE_EVAL\n"
    )
