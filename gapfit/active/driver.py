"""Dynamics and relaxations of ASE, step by step, with a state that can be restored."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.active.engine import Record
from gapfit.active.monitor import UncertaintyMonitor
from gapfit.calculator import GAPCalculator
from gapfit.config.learn import SimulationConfig
from gapfit.data.frame import GPA

__all__ = ["Driver"]

# Time constants of Berendsen's thermostat and barostat, fs, and the compressibility, 1/GPa,
# of the latter: they determine only how fast the cell follows.
_TAU_T, _TAU_P, _COMPRESSIBILITY = 100.0, 1000.0, 0.01


class Driver:
    """A structure that moves in steps; the state before a step determines it.

    Parameters
    ----------
    run : SimulationConfig
        Settings of the simulation.
    start : ase.Atoms
        Starting structure; not changed. Dynamics use its momenta if it has any.
    seed : sequence of int
        Seed of the random numbers.
    every : int
        Steps between two looks at the uncertainty.
    n_threads : int, optional
        Threads of predictions.

    Attributes
    ----------
    atoms : ase.Atoms
        The structure.
    step : int
        Steps done.
    """

    def __init__(
        self,
        run: SimulationConfig,
        start: Any,
        seed: list[int],
        every: int = 1,
        n_threads: int | None = None,
    ) -> None:
        self.run = run
        self._every, self._n_threads = every, n_threads
        self.atoms = start.copy()
        self.step = 0
        self._rng = np.random.default_rng(seed)
        if run.is_dynamics:
            self._set_in_motion()
        self._engine = self._new_engine()

    def _set_in_motion(self) -> None:
        from ase import units
        from ase.constraints import FixCom

        if not self.atoms.constraints and len(self.atoms) > 1:
            self.atoms.set_constraint(FixCom())
        if not self.atoms.has("momenta"):
            width = np.sqrt(self.atoms.get_masses() * units.kB * self.run.temperature)
            noise = self._rng.normal(size=(len(self.atoms), 3))
            self.atoms.set_momenta(width[:, None] * noise)

    def _new_engine(self) -> Any:
        run = self.run
        if not run.is_dynamics:
            return self._new_relaxation()
        from ase import units

        timestep = run.timestep * units.fs
        if run.method == "nve":
            from ase.md.verlet import VelocityVerlet

            return VelocityVerlet(self.atoms, timestep)
        if run.method == "langevin":
            from ase.md.langevin import Langevin

            return Langevin(
                self.atoms,
                timestep,
                temperature_K=run.temperature,
                friction=run.friction / units.fs,
                fixcm=False,
                rng=self._rng,
            )
        from ase.md.nptberendsen import NPTBerendsen

        return NPTBerendsen(
            self.atoms,
            timestep,
            temperature_K=run.temperature,
            pressure_au=run.pressure / GPA,
            taut=_TAU_T * units.fs,
            taup=_TAU_P * units.fs,
            compressibility_au=_COMPRESSIBILITY * GPA,
        )

    def _new_relaxation(self) -> Any:
        from ase.filters import FrechetCellFilter
        from ase.optimize import BFGS, FIRE

        kind = FIRE if self.run.method == "fire" else BFGS
        moved: Any = self.atoms
        if self.run.relax_cell:
            moved = FrechetCellFilter(self.atoms)
        return kind(moved, logfile=None)

    def follow(self, monitor: UncertaintyMonitor) -> None:
        """Use the forces of a monitor's model from now on."""
        threads = self._n_threads
        self.use(GAPCalculator(monitor.model, uncertainty=False, n_threads=threads))

    def use(self, calculator: Any) -> None:
        """Use the forces of another calculator; a relaxation restarts its optimiser."""
        self.atoms.calc = calculator
        if not self.run.is_dynamics:
            self._engine = self._new_engine()

    @property
    def steps(self) -> int:
        """Steps to do."""
        return self.run.steps

    @property
    def is_resumable(self) -> bool:
        """Whether it goes on with the same numbers: optimisers have a memory."""
        return self.run.is_dynamics

    @property
    def is_due(self) -> bool:
        """Whether the uncertainty of the structure is to be looked at."""
        return self.step % self._every == 0

    @property
    def highest_temperature(self) -> float:
        """Highest temperature of the ramp, K."""
        return self.run.highest_temperature

    @property
    def temperature(self) -> float:
        """Kinetic temperature, K; 0 in a relaxation."""
        return float(self.atoms.get_temperature()) if self.run.is_dynamics else 0.0

    @property
    def is_done(self) -> bool:
        """Whether all steps are done, or the forces are small enough."""
        if self.step >= self.run.steps:
            return True
        if self.run.is_dynamics:
            return False
        moved = self._engine.atoms
        forces = np.asarray(moved.get_forces())
        return bool(np.linalg.norm(forces, axis=1).max() < self.run.fmax)

    def advance(self, record: Record, *, closely: bool = False) -> None:
        """Do one step; record the structure before it."""
        record(self.step, self.atoms)
        if self.run.method in ("langevin", "npt"):
            self._engine.set_temperature(
                temperature_K=self.run.temperature_at(self.step)
            )
        self._engine.step()
        self.step += 1

    def state(self) -> dict[str, Any]:
        """Return plain data for `restore`; dynamics then continue to the last bit."""
        atoms = self.atoms
        return {
            "step": self.step,
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "momenta": atoms.get_momenta().tolist(),
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.step = state["step"]
        self.atoms.set_cell(state["cell"])
        self.atoms.set_positions(state["positions"], apply_constraint=False)
        self.atoms.set_momenta(state["momenta"], apply_constraint=False)
        self._rng.bit_generator.state = state["rng"]
        if not self.run.is_dynamics:
            self._engine = self._new_engine()
