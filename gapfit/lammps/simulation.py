"""Simulations by LAMMPS, whose structures are judged in Python.

LAMMPS runs some steps ahead in a process of its own. Every few steps it leaves a structure
and a restart file. They are given one after the other, and where one of them is to be
learned, what LAMMPS has done beyond it is dropped: the next process continues from its
restart file, with the new model. Standard deviations of forces in LAMMPS
(`gapfit.model.force_factor`) lack what the sparse points do not describe. After few
structures were learned that is most of it, so LAMMPS does not decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from gapfit._support.leftovers import temporary_folder
from gapfit.config.learn import LearnConfig, SimulationConfig
from gapfit.data.files import structures
from gapfit.errors import (
    DataError,
    GapfitError,
    LostThroughBoundaryError,
    StructureError,
)
from gapfit.lammps.export import export_lammps
from gapfit.lammps.part_files import Files
from gapfit.lammps.program import LOST, command_line, run_lammps, variables_of
from gapfit.lammps.script import LammpsScript, Segment, read_script
from gapfit.model.gap_model import GAPModel

__all__ = ["LammpsRun", "LammpsSimulation"]

_EXPORTED, _LOG = "model.gapfit", "lammps.log"
# Atoms lost with others nearer to an open face than this, Å, have left through it.
_AT_A_FACE = 1.0


class _Monitor(Protocol):
    """Has the model that the simulation is to follow."""

    @property
    def model(self) -> GAPModel: ...


@dataclass(frozen=True)
class LammpsRun:
    """A script and the program that runs it.

    Attributes
    ----------
    script : LammpsScript
        The commands.
    program : tuple of str
        Words that start LAMMPS.
    """

    script: LammpsScript
    program: tuple[str, ...]

    @classmethod
    def read(cls, run: SimulationConfig, base: Path) -> LammpsRun:
        """Read the script that a simulation names; paths are relative to a folder.

        Raises
        ------
        GapfitError
            The script cannot be read or run in parts, or LAMMPS is missing.
        """
        assert run.input is not None
        path = (base / Path(run.input).expanduser()).absolute()
        program = command_line(run.command, base)
        return cls(read_script(path, run.input, variables_of(program)), program)

    @property
    def numbers(self) -> set[int]:
        """Atomic numbers of its atom types."""
        return {atomic_numbers[symbol] for symbol in self.script.elements}

    @property
    def text(self) -> str:
        """The commands, with the variables that the command line sets."""
        given = [
            f"variable {name} index {' '.join(values)}"
            for name, values in sorted(variables_of(self.program).items())
        ]
        return "\n".join((*given, *self.script.before, "run", *self.script.after))

    def begin(self, config: LearnConfig, folder: Path) -> LammpsSimulation:
        """Return the simulation; exported models and the log go to a folder."""
        return LammpsSimulation(self, config, folder)


@dataclass(frozen=True)
class _Place:
    """A state of the simulation.

    Attributes
    ----------
    step : int
        LAMMPS's number of the step.
    temperature : float
        Kinetic temperature, K.
    atoms : ase.Atoms
        The structure.
    restart : bytes
        Restart file.
    passed : tuple
        Steps and structures since the state before, for the trajectory.
    """

    step: int
    temperature: float
    atoms: Atoms
    restart: bytes
    passed: tuple[tuple[int, Atoms], ...] = ()


class LammpsSimulation:
    """A simulation by LAMMPS.

    Parameters
    ----------
    run : LammpsRun
        Script and program.
    config : LearnConfig
        Steps between looks, saved states and structures of the trajectory.
    folder : Path
        Folder for ``model.gapfit``, which LAMMPS reads, and ``lammps.log``.
    """

    highest_temperature = math.inf
    is_due = True

    def __init__(self, run: LammpsRun, config: LearnConfig, folder: Path) -> None:
        self._run = run
        self._every = config.threshold.every
        self._most_steps = config.learning.save
        self._trajectory = config.learning.trajectory
        self._model = folder.absolute() / _EXPORTED
        self._log = folder.absolute() / _LOG
        self._first = 0
        self._place: _Place | None = None
        self._ahead: list[_Place] = []
        # The step at which LAMMPS ended without an error, too early.
        self._halted: int | None = None

    @property
    def _here(self) -> _Place:
        assert self._place is not None
        return self._place

    @property
    def atoms(self) -> Atoms:
        """The structure."""
        return self._here.atoms

    @property
    def step(self) -> int:
        """LAMMPS's number of the step."""
        return self._here.step

    @property
    def steps(self) -> int:
        """LAMMPS's number of the last step."""
        return self._first + self._run.script.steps

    @property
    def temperature(self) -> float:
        """Kinetic temperature, K."""
        return self._here.temperature

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps

    @property
    def is_resumable(self) -> bool:
        """Whether the next steps begin from a restart file in any case."""
        return not self._ahead

    def follow(self, monitor: _Monitor) -> None:
        """Export the model of a monitor, and use it from now on."""
        export_lammps(monitor.model, self._model)
        self._ahead, self._halted = [], None
        if self._place is None:
            script = self._run.script
            (self._place,), _ = self._places(script.first_part)
            self._first = self.step

    def advance(self, record: Callable[[int, Atoms], None], *, closely: bool) -> None:
        """Go to the next structure that is to be judged.

        Parameters
        ----------
        record : callable
            Called with the steps and structures of the trajectory before it.
        closely : bool
            Whether that is the one after the next step.

        Raises
        ------
        StructureError
            Atoms are too close or lost.
        GapfitError
            LAMMPS failed otherwise.
        """
        if not self._ahead:
            self._run_ahead(1 if closely else self._every)
        self._place = self._ahead.pop(0)
        for step, atoms in self._place.passed:
            record(step, atoms)

    def _run_ahead(self, every: int) -> None:
        """Find the states every few steps until the progress is to be saved."""
        here = self._here
        if here.step == self._halted:
            raise GapfitError(
                f"{self._run.script.path.name}: LAMMPS stopped at step {here.step} of "
                f"{self.steps}, where the model is certain enough; remove what stops it "
                f"(fix halt, timer) from the script"
            )
        end = min(here.step + self._most_steps, self.steps)
        segment = Segment(here.step, end, self._first, self.steps)

        def commands(model: Path, files: Files) -> str:
            files.restart(here.step).write_bytes(here.restart)
            return self._run.script.next_part(
                model, files, segment, every, self._trajectory
            )

        self._ahead, problem = self._places(commands)
        last = self._ahead[-1].step
        self._halted = last if last < end and problem is None else None

    def _places(
        self, commands: Callable[[Path, Files], str]
    ) -> tuple[list[_Place], StructureError | None]:
        """Run commands; return the states that they leave, and what ended them.

        Raises
        ------
        StructureError, GapfitError
            There are none.
        """
        with temporary_folder() as folder:
            files = Files(folder)
            files.script.write_text(commands(self._model, files), "utf-8")
            path, problem = self._run.script.path, None
            try:
                run_lammps(self._run.program, files.script, path.parent, self._log)
            except StructureError as error:
                problem = error
            places, faces = self._read(files), files.fixed_faces()
        if places and self._place and len(places[-1].atoms) < len(self._place.atoms):
            n_atoms = len(self._place.atoms)
            places = [place for place in places if len(place.atoms) == n_atoms]
            problem = StructureError(LOST[0])
        last = places[-1] if places else self._place
        if problem and last and any(text in str(problem) for text in LOST):
            problem = _lost_through(last.atoms, faces) or problem
        if not places:
            raise problem or GapfitError(
                f"{path.name}: LAMMPS ended before its `run` did: see {self._log}"
            )
        return places, problem

    def _read(self, files: Files) -> list[_Place]:
        """Return the states in the files of a part, without the one it began from."""
        passed: list[tuple[int, Atoms]] = []
        begun = -1 if self._place is None else self._place.step
        places: list[_Place] = []
        temperatures = files.temperatures()
        for step, atoms in _snapshots(files):
            if step > begun and step in temperatures:
                restart = files.restart(step).read_bytes()
                places.append(
                    _Place(step, temperatures[step], atoms, restart, tuple(passed))
                )
                passed = []
            passed.append((step, atoms))
        return places

    def state(self) -> dict[str, Any]:
        """Return plain data and a restart file for `restore`."""
        here = self._here
        return {
            "step": here.step,
            "first": self._first,
            "temperature": here.temperature,
            "numbers": here.atoms.numbers.tolist(),
            "positions": here.atoms.positions.tolist(),
            "cell": here.atoms.cell.tolist(),
            "pbc": here.atoms.pbc.tolist(),
            "restart": here.restart,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        names = ("numbers", "positions", "cell", "pbc")
        atoms = Atoms(**{name: state[name] for name in names})
        self._first, self._ahead, self._halted = state["first"], [], None
        self._place = _Place(
            state["step"], state["temperature"], atoms, state["restart"]
        )


def _lost_through(
    atoms: Atoms, faces: Sequence[tuple[int, int]]
) -> LostThroughBoundaryError | None:
    """Return the error about atoms that left the box, if some were at an open face.

    Parameters
    ----------
    atoms : ase.Atoms
        The last structure that has all atoms.
    faces : sequence of (int, int)
        From `Files.fixed_faces`.
    """
    shares = atoms.cell.scaled_positions(atoms.positions - atoms.get_celldisp().ravel())
    heights = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    for axis, side in faces:
        inside = shares[:, axis] if side == 0 else 1 - shares[:, axis]
        if inside.min() * heights[axis] < _AT_A_FACE:
            return LostThroughBoundaryError(
                f"atoms left the box through its open boundary in {'xyz'[axis]} (`f` of "
                "LAMMPS's `boundary`)"
            )
    return None


def _snapshots(files: Files) -> list[tuple[int, Atoms]]:
    """Return steps and structures, each step once."""
    found = {}
    for path in (files.trajectory, files.structure):
        # Where atoms fly apart, the last snapshot may have none or be cut.
        with suppress(DataError):
            for _, atoms in structures(path, path.name):
                found[int(atoms.info["timestep"])] = atoms
    return sorted(found.items(), key=lambda item: item[0])
