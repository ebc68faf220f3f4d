"""The configuration of learning on the fly: a fit, thresholds and simulations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gapfit.config.base import Section, described
from gapfit.config.sections import FitConfig, NamesCalculator, RunConfig

__all__ = [
    "LABELLED",
    "LearnConfig",
    "LearningConfig",
    "ReferenceConfig",
    "SimulationConfig",
    "ThresholdConfig",
]

#: The file of all reference calculations, in the folder of the results.
LABELLED = "labelled.extxyz"
# Placeholder in data.train when no file is given; not a file name.
_NO_FILE = "<none>"


class ReferenceConfig(NamesCalculator):
    """Reference calculator for structures on which the model is uncertain."""

    calculator: str | None = described(
        None,
        '"package.module:Name", a class or function that returns an ASE calculator; '
        "modules in the folder of this file are found",
    )
    calculator_options: dict[str, Any] = described(
        {}, "keyword arguments of the calculator"
    )


class ThresholdConfig(Section):
    """Standard deviations above which the reference is called; the first one decides."""

    forces: float | None = described(
        None, "largest of the force components of all atoms", "eV/Å", gt=0
    )
    forces_relative: float | None = described(
        None, "the same in units of sigma.forces, the noise of the fit", gt=0
    )
    energies: float | None = described(
        None, "largest of the local energies of all atoms", "eV", gt=0
    )
    energies_relative: float | None = described(
        None,
        "the same in units of the largest among the training structures",
        gt=0,
    )
    every: int = described(10, "steps between checks", ge=1)
    explosion: float = described(
        10.0,
        "times the threshold or the highest temperature: goes back and checks every step",
        gt=1,
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> ThresholdConfig:
        for kind in ("forces", "energies"):
            if getattr(self, kind) and getattr(self, f"{kind}_relative"):
                raise ValueError(f"give one of {kind} and {kind}_relative, not both")
        if not self.kinds:
            raise ValueError(
                "give forces, forces_relative, energies or energies_relative"
            )
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Standard deviations that have a threshold: "forces", "energies"."""
        return tuple(
            kind
            for kind in ("forces", "energies")
            if getattr(self, kind) or getattr(self, f"{kind}_relative")
        )


class LearningConfig(Section):
    """Start and growth of the model."""

    bootstrap: int = described(
        0, "structures to make and label for a first model, if data.train has none"
    )
    isolated_atoms: bool = described(
        False,
        "first have the reference compute the isolated atoms that neither [e0] nor "
        "data.train gives",
    )
    rattle: float = described(
        0.1, "largest standard deviation of their displacements", "Å", gt=0, le=1
    )
    strain: float = described(
        0.02, "largest strain of their cells, if periodic", ge=0, le=0.2
    )
    refit: float = described(
        1.3,
        "refit all frames, with new sparse points and calibration, whenever their number "
        "has grown by this factor; in between, frames are added to the training sums",
        ge=1,
        le=2,
    )
    new_sparse: int = described(
        20, "most sparse points added with one frame between these fits", ge=0
    )
    max_calls: int = described(1000, "most calls of the reference", ge=1)
    save: int = described(
        100,
        "steps of a simulation between saved states, and that LAMMPS runs ahead",
        ge=1,
    )
    trajectory: int = described(
        10, "steps between structures in trajectory.extxyz; 0: none", ge=0
    )


class SimulationConfig(Section):
    """One simulation, or one for each structure in its file."""

    engine: Literal["ase", "lammps"] = described(
        "ase", "program that does the steps; lammps: those of the script `input`"
    )
    start: str | None = described(
        None,
        "file of the initial structures; with lammps only that of learning.bootstrap",
    )
    input: str | None = described(
        None, "script of LAMMPS with one `run` and pair_style gapfit"
    )
    command: str | None = described(
        None,
        'command that starts LAMMPS, such as "mpirun -np 4 lmp"; absent: that of Python\'s '
        "package lammps",
    )
    name: str | None = described(
        None, "name in messages, and config_type of its frames"
    )
    method: Literal["langevin", "nve", "npt", "fire", "bfgs"] = described(
        "langevin",
        "dynamics with a Langevin thermostat, without one, or with Berendsen's thermostat "
        "and barostat; or a relaxation",
    )
    steps: int = described(1000, "steps; the largest number for a relaxation", ge=1)
    timestep: float = described(1.0, "time step of dynamics", "fs", gt=0)
    temperature: float = described(300.0, "initial temperature of dynamics", "K", ge=0)
    final_temperature: float | None = described(
        None, "temperature at the end of a linear ramp; absent: the same", "K", ge=0
    )
    friction: float = described(
        0.01, "friction of the Langevin thermostat", "1/fs", gt=0
    )
    pressure: float = described(0.0, "pressure of method npt", "GPa")
    fmax: float = described(
        0.02, "largest force at which a relaxation ends", "eV/Å", gt=0
    )
    relax_cell: bool = described(False, "relax the cell, too")

    @model_validator(mode="after")
    def _keys_of_the_engine(self) -> SimulationConfig:
        own = {"input", "command"}
        given = {
            key
            for key, field in type(self).model_fields.items()
            if getattr(self, key) != field.default
        }
        if self.engine == "ase":
            wrong, needed, why = given & own, "start", "of LAMMPS"
        else:
            wrong = given - own - {"engine", "start", "name"}
            needed, why = "input", "part of the script"
        if wrong:
            raise ValueError(
                f'engine = "{self.engine}" takes no {", ".join(sorted(wrong))}: {why}'
            )
        if getattr(self, needed) is None:
            raise ValueError(f'give {needed}, with engine = "{self.engine}"')
        return self

    @property
    def is_dynamics(self) -> bool:
        """Whether it is molecular dynamics."""
        return self.method in ("langevin", "nve", "npt")

    @property
    def highest_temperature(self) -> float:
        """Highest temperature of the ramp, K."""
        return max(self.temperature, self.final_temperature or 0.0)

    def temperature_at(self, step: int) -> float:
        """Return the temperature of a step, K."""
        if self.final_temperature is None:
            return self.temperature
        rise = self.final_temperature - self.temperature
        return self.temperature + rise * min(step / self.steps, 1.0)


class LearnConfig(FitConfig):
    """``learn.toml``: the tables of ``fit.toml``, and those of learning on the fly."""

    reference: ReferenceConfig = ReferenceConfig()
    threshold: ThresholdConfig
    learning: LearningConfig = LearningConfig()
    runs: list[SimulationConfig] = Field(..., min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _without_data(cls, values: Any) -> Any:
        """Let ``data.train`` be absent if the first frames come from a bootstrap."""
        if isinstance(values, dict) and isinstance(values.get("learning"), dict):
            data = values.get("data", {})
            if values["learning"].get("bootstrap") and isinstance(data, dict):
                values = {**values, "data": {"train": [_NO_FILE], **data}}
        return values

    @field_validator("runs")
    @classmethod
    def _bootstrap_has_structures(
        cls, runs: list[SimulationConfig], info: ValidationInfo
    ) -> list[SimulationConfig]:
        learning = info.data.get("learning")
        started = any(run.start is not None for run in runs)
        if learning and learning.bootstrap and not started:
            raise ValueError(
                "learning.bootstrap displaces structures: give them as `start`"
            )
        return runs

    @field_validator("run")
    @classmethod
    def _stores_posterior_and_sums(cls, run: RunConfig) -> RunConfig:
        if not (run.store_posterior and run.store_sums):
            raise ValueError(
                "learning needs store_posterior and store_sums; remove these keys"
            )
        return run

    @property
    def fit(self) -> FitConfig:
        """The configuration of the fits alone; labelled frames are part of the data."""
        data = self.data.model_copy(update={"train": [*self.given, LABELLED]})
        values = {name: getattr(self, name) for name in FitConfig.model_fields}
        return FitConfig(**{**values, "data": data})

    @property
    def given(self) -> list[str]:
        """Files of frames that are labelled already."""
        return [name for name in self.data.train if name != _NO_FILE]
