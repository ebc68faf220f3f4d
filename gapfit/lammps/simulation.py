"""Simulations by LAMMPS that stop where the potential is too uncertain.

LAMMPS runs for a part of the steps in a process of its own, until `fix halt` stops it or
the part is done. Its state is a restart file, so that the next part, and another process
after a kill, continue with the same numbers.

What stops a run is `forces_std` of the subset of regressors, from few potentials. Where it
is below what Python finds, by the unexplained part of the variance or by the error of the
few potentials, a run would go on too long. So it stops at 0.7 of the threshold of forces,
and Python decides. If the structure is certain enough the share is raised, until the model
changes. Energies are the same numbers in both.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ase.data import atomic_numbers

from gapfit._support.leftovers import temporary_folder
from gapfit.config.learn import LearnConfig, SimulationConfig
from gapfit.data.files import structures
from gapfit.errors import GapfitError
from gapfit.lammps.export import export_lammps, why_without_deviations
from gapfit.lammps.program import command_line, run_lammps
from gapfit.lammps.script import Files, LammpsScript, Segment, read_script
from gapfit.model.force_factor import force_factor
from gapfit.model.gap_model import GAPModel

__all__ = ["LammpsRun", "LammpsSimulation"]

# Share of the threshold of forces that stops a run, and its growth.
_SHARE, _GROWTH = 0.7, 1.1
# Stops one after the other at structures that are certain enough.
_MOST_STOPS = 12
_EXPORTED, _LOG = "model.gapfit", "lammps.log"


class _Monitor(Protocol):
    """The model, what it was fitted to, and when it is too uncertain."""

    @property
    def model(self) -> GAPModel: ...

    @property
    def frames(self) -> Sequence[Any]: ...

    @property
    def limits(self) -> Mapping[str, float]: ...

    @property
    def is_calibrated(self) -> bool: ...


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
        return cls(read_script(path, run.input), command_line(run.command))

    @property
    def numbers(self) -> set[int]:
        """Atomic numbers of its atom types."""
        return {atomic_numbers[symbol] for symbol in self.script.elements}

    @property
    def text(self) -> str:
        """The commands."""
        return "\n".join((*self.script.before, "run", *self.script.after))

    def begin(self, config: LearnConfig, folder: Path) -> LammpsSimulation:
        """Return the simulation; exported models and the log go to a folder."""
        return LammpsSimulation(self, config, folder)


@dataclass(frozen=True)
class _Place:
    """Where a simulation is.

    Attributes
    ----------
    step : int
        LAMMPS's number of the step.
    temperature : float
        Kinetic temperature, K.
    structure : str
        Snapshot of a dump.
    restart : bytes
        Restart file.
    """

    step: int
    temperature: float
    structure: str
    restart: bytes

    @classmethod
    def read(cls, files: Files) -> _Place:
        """Return where a part ended."""
        step, temperature = files.report.read_text().split()
        return cls(
            int(step),
            float(temperature),
            files.structure.read_text(),
            files.restart.read_bytes(),
        )


class LammpsSimulation:
    """A simulation by LAMMPS, part by part.

    Parameters
    ----------
    run : LammpsRun
        Script and program.
    config : LearnConfig
        Steps between looks, saved states and structures of the trajectory.
    folder : Path
        Folder for ``model.gapfit``, which LAMMPS reads, and ``lammps.log``.

    Attributes
    ----------
    atoms : ase.Atoms
        The structure.
    """

    highest_temperature = math.inf
    is_dynamics = True
    is_due = True

    def __init__(self, run: LammpsRun, config: LearnConfig, folder: Path) -> None:
        self.atoms: Any = None
        self._run = run
        self._every = config.threshold.every
        self._most_steps = config.learning.save
        self._trajectory = config.learning.trajectory
        self._model = folder.absolute() / _EXPORTED
        self._log = folder.absolute() / _LOG
        self._place: _Place | None = None
        self._first = 0
        self._limits: Mapping[str, float] = {}
        # Data of the model, and how often it was certain where LAMMPS had stopped.
        self._learned: str | None = None
        self._n_certain, self._is_stopped = 0, False

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
    def _here(self) -> _Place:
        assert self._place is not None
        return self._place

    def follow(self, monitor: _Monitor) -> None:
        """Export the model of a monitor, and stop at its thresholds from now on."""
        model, self._limits = monitor.model, monitor.limits
        if "energies" in self._limits and (reason := why_without_deviations(model)):
            raise GapfitError(f"[threshold] energies with LAMMPS: {reason}")
        factor = None
        if "forces" in self._limits:
            factor = force_factor(model, monitor.frames)
        if not monitor.is_calibrated:
            model = replace(model, calibration=None)
        std = "energies" in self._limits
        export_lammps(model, self._model, std=std, force_std=factor)
        if model.record.data_digest != self._learned:
            self._learned = model.record.data_digest
            self._n_certain, self._is_stopped = 0, False
        if self._place is None:
            self._part(self._run.script.first_part)
            self._first = self.step

    def advance(self, record: Callable[[int, Any], None], *, closely: bool) -> None:
        """Run until a threshold is passed, or to the next state that is to be saved.

        Parameters
        ----------
        record : callable
            Called with the steps and structures of the trajectory before the new one.
        closely : bool
            Whether to compare every step with the thresholds.

        Raises
        ------
        StructureError
            Atoms are too close or lost.
        GapfitError
            LAMMPS failed otherwise, or stops again and again.
        """
        if self._is_stopped:
            self._count_stop()
        end = min(self.step + self._most_steps, self.steps)
        segment = Segment(self.step, end, self._first, self.steps)
        watch = self._watch(1 if closely else self._every)

        def commands(model: Path, files: Files) -> str:
            script = self._run.script
            dump = script.dump(files, self._trajectory) if self._trajectory else []
            return script.next_part(model, files, segment, [*dump, *watch])

        passed = self._part(commands)
        self._is_stopped = self.step < end
        for step, atoms in passed:
            if step < self.step:
                record(step, atoms)

    def _count_stop(self) -> None:
        """Raise the share of the threshold after a stop where the model was certain."""
        self._n_certain += 1
        if self._n_certain > _MOST_STOPS:
            raise GapfitError(
                f"{self._run.script.path.name}: LAMMPS stopped {_MOST_STOPS} times in a "
                f"row, last at step {self.step}, where the model is certain enough; remove "
                "what else stops it (fix halt, timer), or raise the threshold"
            )

    def _watch(self, every: int) -> list[str]:
        """Return the commands that stop a run."""
        share = _SHARE * _GROWTH**self._n_certain
        fixes = {
            "forces": ("forces_std_function", ("[1]", "[2]", "[3]"), share),
            "energies": ("std", ("",), share / _SHARE),
        }
        lines, conditions = [], []
        for kind, limit in self._limits.items():
            quantity, columns, part = fixes[kind]
            name = f"gapfit_{kind}"
            inputs = " ".join(f"f_{name}{column}" for column in columns)
            lines += [
                f"fix {name} all pair {every} gapfit {quantity} 1",
                f"compute {name} all reduce max {inputs}",
            ]
            conditions += [
                f"c_{name}{column}>{part * limit:.17g}" for column in columns
            ]
        return [
            *lines,
            f'variable gapfit equal "{"||".join(conditions)}"',
            f"fix gapfit all halt {every} v_gapfit > 0.5 error soft message no",
        ]

    def _part(self, commands: Callable[[Path, Files], str]) -> list[tuple[int, Any]]:
        """Run one part; return the steps and structures of its trajectory."""
        with temporary_folder() as folder:
            files = Files(folder)
            if self._place is not None:
                files.restart.write_bytes(self._place.restart)
            files.script.write_text(commands(self._model, files), "utf-8")
            run_lammps(
                self._run.program, files.script, self._run.script.path.parent, self._log
            )
            if not files.report.exists():
                raise GapfitError(
                    f"{self._run.script.path.name}: LAMMPS ended before its run did; see "
                    f"{self._log}"
                )
            self._go_to(_Place.read(files), files)
            return _snapshots(files.trajectory) if files.trajectory.exists() else []

    def _go_to(self, place: _Place, files: Files) -> None:
        files.structure.write_text(place.structure)
        ((_, self.atoms),) = _snapshots(files.structure)
        self._place = place

    def state(self) -> dict[str, Any]:
        """Return plain data for `restore`."""
        here = self._here
        return {
            "step": here.step,
            "first": self._first,
            "temperature": here.temperature,
            "structure": here.structure,
            "restart": base64.b64encode(zlib.compress(here.restart)).decode(),
            "learned": self._learned,
            "certain": self._n_certain,
            "stopped": self._is_stopped,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        restart = zlib.decompress(base64.b64decode(state["restart"]))
        self._first, self._learned = state["first"], state["learned"]
        self._n_certain, self._is_stopped = state["certain"], state["stopped"]
        place = _Place(state["step"], state["temperature"], state["structure"], restart)
        with temporary_folder() as folder:
            self._go_to(place, Files(folder))


def _snapshots(path: Path) -> list[tuple[int, Any]]:
    """Return the steps and structures of a dump."""
    found = []
    for _, atoms in structures(path, path.name):
        found.append((int(atoms.info["timestep"]), atoms))
    return found
