"""What learning needs of a simulation, whatever program does its steps."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, Protocol

from gapfit.active.monitor import UncertaintyMonitor
from gapfit.config.learn import LearnConfig, SimulationConfig

__all__ = ["Engine", "Record", "Script", "Simulation"]

#: Takes the number of a step and its structure.
Record = Callable[[int, Any], None]


class Simulation(Protocol):
    """A structure that moves on from one look at its uncertainty to the next."""

    @property
    def atoms(self) -> Any:
        """The structure, ase.Atoms."""

    @property
    def step(self) -> int:
        """Steps done."""

    @property
    def steps(self) -> int:
        """Number of the last step."""

    @property
    def temperature(self) -> float:
        """Kinetic temperature, K; 0 in a relaxation."""

    @property
    def highest_temperature(self) -> float:
        """Highest temperature that is asked for, K."""

    @property
    def is_resumable(self) -> bool:
        """Whether it goes on from its state with the same numbers."""

    @property
    def is_done(self) -> bool:
        """Whether it is at its end."""

    @property
    def is_due(self) -> bool:
        """Whether the uncertainty of the structure is to be looked at."""

    def follow(self, monitor: UncertaintyMonitor) -> None:
        """Use the forces of a monitor's model from now on, and its thresholds."""

    def advance(self, record: Record, *, closely: bool) -> None:
        """Move on, by one step or more.

        Parameters
        ----------
        record : callable
            Called with the steps and structures before the new one.
        closely : bool
            Whether the uncertainty of every step is to be looked at.

        Raises
        ------
        StructureError
            Atoms are too close or lost.
        """

    def state(self) -> dict[str, Any]:
        """Return plain data for `restore`; its dicts may hold bytes, too."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state."""


class Script(Protocol):
    """A simulation of another program that was read and checked, and not begun."""

    @property
    def numbers(self) -> Set[int]:
        """Atomic numbers of its atoms."""

    @property
    def text(self) -> str:
        """What must be the same when learning is resumed."""

    def begin(self, config: LearnConfig, folder: Path) -> Simulation:
        """Return the simulation; its files go to a folder."""


#: Reads the script of a simulation; paths are relative to the folder.
Engine = Callable[[SimulationConfig, Path], Script]
