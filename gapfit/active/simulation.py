"""One simulation with a model that learns during it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from gapfit.active.folder import LearningFolder
from gapfit.active.label_file import LabelFile
from gapfit.active.monitor import Reading, UncertaintyMonitor
from gapfit.active.online_model import LearnedModel
from gapfit.active.reference import label_errors, single_point
from gapfit.active.setup import Setup
from gapfit.errors import GapfitError, LostThroughBoundaryError, StructureError

__all__ = ["Labeller", "LearningRun", "Status"]

# Temperatures that a few atoms reach by chance, K.
_BY_CHANCE = 300.0


@dataclass(frozen=True)
class Status:
    """Progress of a simulation.

    Attributes
    ----------
    job : str
        Name of the simulation.
    step, steps : int
        Steps done and to do.
    temperature : float
        Kinetic temperature, K; 0 in a relaxation.
    reading : Reading
        The latest reading of the standard deviations.
    calls : int
        Reference calculations so far.
    event : mapping
        The new record of the log; empty if there is none.
    """

    job: str
    step: int
    steps: int
    temperature: float
    reading: Reading
    calls: int
    event: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Labeller:
    """Labels structures by the reference, unless they are labelled already.

    Attributes
    ----------
    setup : Setup
        The reference, and the limit of its calls.
    folder : LearningFolder
        Folder for failed structures.
    labels : LabelFile
        File of the labelled structures.
    """

    setup: Setup
    folder: LearningFolder
    labels: LabelFile

    def label(
        self,
        atoms: Any,
        number: int,
        where: str,
        info: dict[str, Any],
        arrays: dict[str, np.ndarray] | None = None,
    ) -> Any:
        """Return a labelled structure, which is on disk.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        number : int
            Its index in the file of labelled structures.
        where : str
            Its name in messages.
        info, arrays : dict
            Values to write with it.
        """
        if number < len(self.labels):
            self.labels.require_same(number, atoms)
            return self.labels.frames[number]
        if number >= self.setup.config.learning.max_calls:
            raise GapfitError(
                f"there were {number} calls of the reference, the limit of "
                "learning.max_calls, and the model is still too uncertain: see log.jsonl; "
                "raise the limit and continue with --resume, or start again with a higher "
                "threshold"
            )

        def failed(reason: str) -> None:
            record = {"event": "failed", "call": number + 1, "reason": reason}
            self.folder.write_failure(single_point(atoms, {}), record)

        results = self.setup.reference.label(atoms, where, failed)
        return self.labels.append(single_point(atoms, results, info, arrays))


_LESS_VIOLENT = (
    "the simulation itself explodes; lower timestep or temperature, or start from a better "
    "model, with more data"
)
_KEEP_INSIDE = (
    "learning does not hold them; keep them inside by a wall (fix wall/reflect), take a "
    "larger box, or let it follow the atoms (`boundary` with m)"
)


class Phase(Enum):
    """What a simulation does next."""

    RUN = "move on"
    CHECK = "check the structure and, if due, the uncertainty"
    LABEL = "have the structure labelled and learn it"
    REWIND = "return to the last good step"
    DONE = "end"


@dataclass(frozen=True)
class _State:
    """A phase and its cause.

    Attributes
    ----------
    phase : Phase
        What to do next.
    reading : Reading or None
        The uncertainty for which the structure is labelled, with `Phase.LABEL`.
    reason : str
        The event that makes the steps useless, with `Phase.REWIND`.
    advice : str
        What to do if learning does not help, with `Phase.REWIND`.
    """

    phase: Phase
    reading: Reading | None = None
    reason: str = ""
    advice: str = _LESS_VIOLENT


class LearningRun:
    """One simulation.

    It alternates between `Phase.RUN` and `Phase.CHECK`. A check leads to `Phase.LABEL`
    where the model is too uncertain, and to `Phase.REWIND` where the structure is far
    outside of what the model knows; from both it returns to `Phase.CHECK`. The progress
    is written before the reference is asked and after the structure is learned, so a
    killed process continues at one of the two.

    Parameters
    ----------
    setup : Setup
        Configuration and jobs.
    folder : LearningFolder
        Folder for state, log and trajectory.
    labeller : Labeller
        Labels structures.
    model : LearnedModel
        The potential.
    report : callable
        Called with a `Status` after every reading and every call.
    number : int
        Index of the job.
    """

    def __init__(
        self,
        setup: Setup,
        folder: LearningFolder,
        labeller: Labeller,
        model: LearnedModel,
        report: Callable[[Status], None],
        number: int,
    ) -> None:
        self._threshold = setup.config.threshold
        self._learning = setup.config.learning
        self._threads = setup.config.run.threads or None
        self._folder = folder
        self._labeller = labeller
        self._model = model
        self._report = report
        self._number = number
        self._job = setup.jobs[number]
        self._driver = self._job.simulation(setup.config, number, folder.path)
        self._labelled_step = -1
        self._saved_step = 0
        # Whether every step is checked: from a rewind to the next label.
        self._check_all = False

    def run(self, begun: Mapping[str, Any] | None) -> None:
        """Run to the end, from saved progress or from the start."""
        state = _State(Phase.CHECK)
        if begun is not None:
            self._driver.restore(begun["driver"])
            self._labelled_step, self._check_all = begun["labelled"], begun["closely"]
            if begun["asked"]:
                state = _State(Phase.LABEL, reading=Reading(**begun["asked"]))
        self._use_model()
        self._mark_good()
        if begun is None:
            self._save()
        while state.phase is not Phase.DONE:
            state = self._next(state)
        self._folder.write_state({**self._counts(self._number + 1), "run": None})

    def _next(self, state: _State) -> _State:
        """Do what a state asks for and return the next state."""
        match state.phase:
            case Phase.RUN:
                return self._advance()
            case Phase.LABEL:
                assert state.reading is not None
                return self._label(state.reading)
            case Phase.REWIND:
                return self._rewind(state)
            case _:
                return self._check()

    def _advance(self) -> _State:
        """Move on, and write the structures that are due."""
        try:
            self._driver.advance(self._record, closely=self._check_all)
        except StructureError as error:
            lost = isinstance(error, LostThroughBoundaryError)
            advice = _KEEP_INSIDE if lost else _LESS_VIOLENT
            return _State(Phase.REWIND, reason=str(error), advice=advice)
        return _State(Phase.CHECK)

    def _check(self) -> _State:
        """Check the structure and, if due, the uncertainty."""
        if reason := self._unphysical():
            return _State(Phase.REWIND, reason=reason)
        done = self._driver.is_done
        onward = _State(Phase.DONE if done else Phase.RUN)
        step = self._driver.step
        if not (done or self._check_all or self._driver.is_due):
            return onward
        reading = self._monitor.read(self._driver.atoms)
        if reading.ratio <= 1 or step == self._labelled_step:
            self._accept(reading)
            return onward
        if reading.ratio > self._threshold.explosion and step > self._good_step + 1:
            reason = f"a standard deviation of {reading.largest:.3g} {reading.unit}"
            return _State(Phase.REWIND, reason=reason)
        return _State(Phase.LABEL, reading=reading)

    def _unphysical(self) -> str:
        """Return the reason why the structure is impossible; empty if it is not."""
        if not np.isfinite(self._driver.atoms.positions).all():
            return "positions that are not finite"
        highest, T = self._driver.highest_temperature, self._driver.temperature
        if self._threshold.explosion * (highest + _BY_CHANCE) < T:
            return f"a temperature of {T:.0f} K"
        return ""

    def _accept(self, reading: Reading) -> None:
        """Mark a structure as good; save and report the progress."""
        self._mark_good()
        due = self._driver.step - self._saved_step >= self._learning.save
        if due and self._driver.is_resumable:
            self._save()
        self._report_status(reading)

    @property
    def _good_step(self) -> int:
        return int(self._good["step"])

    def _mark_good(self) -> None:
        """Mark the structure as the one to rewind to."""
        self._good = self._driver.state()
        self._good_length = self._folder.trajectory_length()

    def _rewind(self, state: _State) -> _State:
        """Return to the last good step, and check every step from there.

        If every step was checked already, the good structure is labelled.
        """
        step, labelled = self._driver.step, self._good_step == self._labelled_step
        back = {"job": self._job.name, "step": step, "to": self._good_step}
        self._folder.log({"event": "back", **back, "reason": state.reason})
        self._driver.restore(self._good)
        self._folder.cut_trajectory(self._good_length)
        if not self._check_all:
            self._check_all = True
            return _State(Phase.CHECK)
        if labelled:
            raise GapfitError(
                f"{self._job.name}: {state.reason} at step {step}, right after a structure "
                f"that was learned: {state.advice}"
            )
        reading = self._monitor.read(self._driver.atoms)
        return _State(Phase.LABEL, reading=reading)

    def _label(self, reading: Reading) -> _State:
        """Have the structure labelled, and learn it."""
        self._save(reading)
        atoms, step = self._driver.atoms, self._driver.step
        guess = self._model.current.predict(
            atoms, stress=False, n_threads=self._threads
        )
        info = {
            "config_type": self._job.name,
            "step": step,
            "temperature": self._driver.temperature,
            "std": reading.largest,
            "gap_energy": guess.energy,
        }
        label = self._labeller.label(
            atoms,
            self._model.n_merged,
            f"{self._job.name}, step {step}",
            info,
            {"gap_forces": guess.forces},
        )
        self._model.merge()
        record = {
            "event": "call",
            "call": self._model.n_merged,
            "job": self._job.name,
            "step": step,
            "temperature": self._driver.temperature,
            **asdict(reading),
            **label_errors(label),
            "n_sparse": self._model.current.n_sparse,
        }
        self._folder.log(record)
        self._labelled_step, self._check_all = step, False
        self._use_model()
        self._mark_good()
        self._save()
        self._report_status(reading, record)
        return _State(Phase.CHECK)

    def _use_model(self) -> None:
        model = self._model
        self._monitor = UncertaintyMonitor(
            self._threshold, model.current, model.frames, self._threads
        )
        self._driver.follow(self._monitor)

    def _record(self, step: int, atoms: Any) -> None:
        """Write a structure to the trajectory, if due."""
        every = self._learning.trajectory
        if every and step % every == 0:
            info = {"job": self._job.name, "step": step}
            self._folder.add_to_trajectory(single_point(atoms, {}, info))

    def _counts(self, job: int) -> dict[str, int]:
        return {
            "job": job,
            "merged": self._model.n_merged,
            "fitted": self._model.fitted,
        }

    def _save(self, asked: Reading | None = None) -> None:
        """Write the progress, with the reading for which the reference is asked."""
        self._saved_step = self._driver.step
        run = {
            "driver": self._driver.state(),
            "labelled": self._labelled_step,
            "closely": self._check_all,
            "asked": asked and asdict(asked),
        }
        self._folder.write_state({**self._counts(self._number), "run": run})

    def _report_status(
        self, reading: Reading, event: Mapping[str, Any] | None = None
    ) -> None:
        driver = self._driver
        self._report(
            Status(
                self._job.name,
                driver.step,
                driver.steps,
                driver.temperature,
                reading,
                self._model.n_merged,
                event or {},
            )
        )
