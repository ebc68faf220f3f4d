"""The configuration of learning on the fly: that of a fit, and what is simulated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

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
# data.train where nothing is given; no name of a file.
_NOTHING = "<none>"


class ReferenceConfig(NamesCalculator):
    """The calculator that is asked where the model is not sure."""

    calculator: str | None = described(
        None,
        '"package.module:Name", a class or function that gives an ASE calculator; modules '
        "beside this file are found",
    )
    calculator_options: dict[str, Any] = described(
        {}, "keyword arguments that make the calculator"
    )


class ThresholdConfig(Section):
    """Standard deviations above which the reference is asked; the first to be passed."""

    forces: float | None = described(
        None, "largest of the force components of all atoms", "eV/Å", gt=0
    )
    forces_relative: float | None = described(
        None, "the same in multiples of sigma.forces, the noise of the fit", gt=0
    )
    energies: float | None = described(
        None, "largest of the local energies of all atoms", "eV", gt=0
    )
    energies_relative: float | None = described(
        None,
        "the same in multiples of the largest among the structures of the fit",
        gt=0,
    )
    every: int = described(10, "steps from one look at them to the next", ge=1)
    explosion: float = described(
        10.0,
        "times the threshold, or the highest temperature: goes back to look at every step",
        gt=1,
    )

    @model_validator(mode="after")
    def _some(self) -> ThresholdConfig:
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
        """Which standard deviations have a threshold: "forces", "energies"."""
        return tuple(
            kind
            for kind in ("forces", "energies")
            if getattr(self, kind) or getattr(self, f"{kind}_relative")
        )


class LearningConfig(Section):
    """How the model starts and grows."""

    bootstrap: int = described(
        0, "structures to make and label for a first model, where data.train has none"
    )
    rattle: float = described(
        0.1, "largest displacements of these, a standard deviation", "Å", gt=0, le=1
    )
    strain: float = described(
        0.02, "largest strain of their cells, where periodic", ge=0, le=0.2
    )
    refit: float = described(
        1.3,
        "all frames are fitted anew, with sparse points and a calibration of their own, "
        "when their number has grown by this factor; in between they are added to the sums",
        ge=1,
        le=2,
    )
    new_sparse: int = described(
        20, "sparse points to add at most with one frame between such fits", ge=0
    )
    max_calls: int = described(1000, "calls of the reference before it ends", ge=1)
    save: int = described(100, "steps of a simulation between two saved states", ge=1)
    trajectory: int = described(
        10, "steps between two structures of trajectory.extxyz; 0: none", ge=0
    )


class SimulationConfig(Section):
    """One simulation, or one for each structure in its file."""

    start: str = described(..., "file of the structures to start from")
    name: str | None = described(None, "in messages, and config_type of its frames")
    method: Literal["langevin", "nve", "npt", "fire", "bfgs"] = described(
        "langevin",
        "dynamics with Langevin's thermostat, none, or Berendsen's with a barostat; or a "
        "relaxation",
    )
    steps: int = described(1000, "steps of each; at most so many of a relaxation", ge=1)
    timestep: float = described(1.0, "of dynamics", "fs", gt=0)
    temperature: float = described(300.0, "of dynamics at the start", "K", ge=0)
    final_temperature: float | None = described(
        None, "at the end, approached in equal steps; absent: the same", "K", ge=0
    )
    friction: float = described(0.01, "of Langevin's thermostat", "1/fs", gt=0)
    pressure: float = described(0.0, "of method npt", "GPa")
    fmax: float = described(0.02, "largest force that ends a relaxation", "eV/Å", gt=0)
    relax_cell: bool = described(False, "relax the cell, too")

    @property
    def is_dynamics(self) -> bool:
        """Whether time goes on in it."""
        return self.method in ("langevin", "nve", "npt")

    @property
    def highest_temperature(self) -> float:
        """The highest that is asked for, K."""
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
    def _data_of_its_own(cls, values: Any) -> Any:
        """Let ``data.train`` be absent where the first frames are labelled here."""
        if isinstance(values, dict) and isinstance(values.get("learning"), dict):
            data = values.get("data", {})
            if values["learning"].get("bootstrap") and isinstance(data, dict):
                values = {**values, "data": {"train": [_NOTHING], **data}}
        return values

    @field_validator("run")
    @classmethod
    def _keeps_what_it_needs(cls, run: RunConfig) -> RunConfig:
        if not (run.store_posterior and run.store_sums):
            raise ValueError(
                "learning needs store_posterior and store_sums; leave them out"
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
        return [name for name in self.data.train if name != _NOTHING]
