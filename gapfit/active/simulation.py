"""One simulation with the model, which learns by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gapfit.active.driver import Driver
from gapfit.active.folder import LearningFolder
from gapfit.active.label_file import LabelFile
from gapfit.active.monitor import Reading, UncertaintyMonitor
from gapfit.active.online_model import LearnedModel
from gapfit.active.reference import single_point
from gapfit.active.setup import Setup
from gapfit.calculator import GAPCalculator
from gapfit.errors import GapfitError, StructureError

__all__ = ["Labeller", "LearningRun", "Status"]

# Temperatures that a few atoms have by chance, K.
_BY_CHANCE = 300.0


@dataclass(frozen=True)
class Status:
    """How far a simulation is.

    Attributes
    ----------
    job : str
        Which simulation.
    step, steps : int
        Steps done and to do.
    temperature : float
        Kinetic, K; 0 in a relaxation.
    look : Reading
        The latest look at the standard deviations.
    calls : int
        Reference calculations so far.
    event : mapping
        The record of the log if there is a new one, otherwise empty.
    """

    job: str
    step: int
    steps: int
    temperature: float
    look: Reading
    calls: int
    event: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Labeller:
    """Asks the reference, unless the answer is there already.

    Attributes
    ----------
    setup : Setup
        Who is asked, and how often.
    folder : LearningFolder
        Where failures go.
    labels : LabelFile
        Where answers go.
    """

    setup: Setup
    folder: LearningFolder
    labels: LabelFile

    def ask(
        self,
        atoms: Any,
        number: int,
        where: str,
        info: dict[str, Any],
        arrays: dict[str, np.ndarray] | None = None,
    ) -> Any:
        """Return the labelled structure of a number; it is on the disk.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        number : int
            Its place in the file of labelled structures.
        where : str
            What messages call it.
        info, arrays : dict
            What is written with it.
        """
        if number < len(self.labels):
            self.labels.require_same(number, atoms)
            return self.labels.frames[number]
        if number >= self.setup.config.learning.max_calls:
            raise GapfitError(
                f"there were {number} calls of the reference, as many as "
                "learning.max_calls allows, and the model is not sure yet: see log.jsonl; "
                "raise it and go on by --resume, or start anew with a higher threshold"
            )

        def failed(reason: str) -> None:
            record = {"event": "failed", "call": number + 1, "reason": reason}
            self.folder.write_failure(single_point(atoms, {}), record)

        results = self.setup.reference.label(atoms, where, failed)
        return self.labels.append(single_point(atoms, results, info, arrays))


class LearningRun:
    """One simulation.

    The state is written before the reference is asked and after the structure is learned,
    so that a killed process goes on at one of the two.

    Parameters
    ----------
    setup : Setup
        What is simulated.
    folder : LearningFolder
        Where everything is written.
    asker : Labeller
        Who labels structures.
    model : LearnedModel
        The potential.
    report : callable
        Called with a `Status` after every look and every call.
    number : int
        Which of the jobs.
    """

    def __init__(
        self,
        setup: Setup,
        folder: LearningFolder,
        asker: Labeller,
        model: LearnedModel,
        report: Callable[[Status], None],
        number: int,
    ) -> None:
        self._threshold = setup.config.threshold
        self._learning = setup.config.learning
        self._threads = setup.config.run.threads or None
        self._folder = folder
        self._asker = asker
        self._model = model
        self._report = report
        self._number = number
        self._job = setup.jobs[number]
        self._driver = Driver(
            self._job.run, self._job.start, [setup.config.run.seed, number]
        )
        # Step of the structure that was labelled last; whether every step is looked at.
        self._labelled, self._closely = -1, False
        self._saved = 0

    def run(self, begun: Mapping[str, Any] | None) -> None:
        """Go on to the end, from a state that was saved or from the start."""
        if begun is not None:
            self._driver.restore(begun["driver"])
            self._labelled, self._closely = begun["labelled"], begun["closely"]
        self._use_model()
        self._set_good()
        if begun is not None and begun["asked"]:
            self._ask(Reading(**begun["asked"]))
        elif begun is None:
            self._save()
        while not self._is_over():
            self._record()
            try:
                self._driver.advance()
            except StructureError as error:
                self._go_back(str(error))
        self._folder.write_state({**self._counts(self._number + 1), "run": None})

    def _is_over(self) -> bool:
        """Check the uncertainty if due, learn if needed; return whether the run is over."""
        while True:
            if reason := self._absurd():
                self._go_back(reason)
                continue
            done = self._driver.is_done
            due = self._driver.step % self._threshold.every == 0
            if not (done or due or self._closely) or self._look():
                return done

    def _use_model(self) -> None:
        model = self._model
        threads = self._threads
        self._driver.use(
            GAPCalculator(model.current, uncertainty=False, n_threads=threads)
        )
        self._watch = UncertaintyMonitor(
            self._threshold, model.current, model.frames, threads
        )

    def _absurd(self) -> str:
        """Return what nature would never do, if the structure does it."""
        if not np.isfinite(self._driver.atoms.positions).all():
            return "positions that are not finite"
        highest, T = self._job.run.highest_temperature, self._driver.temperature
        if self._threshold.explosion * (highest + _BY_CHANCE) < T:
            return f"a temperature of {T:.0f} K"
        return ""

    def _look(self) -> bool:
        """Read the uncertainty; return whether structure and model are still the same."""
        look = self._watch.look(self._driver.atoms)
        step = self._driver.step
        if look.ratio <= 1 or step == self._labelled:
            self._set_good()
            if step - self._saved >= self._learning.save and self._job.run.is_dynamics:
                self._save()
            self._tell(look)
            return True
        if look.ratio > self._threshold.explosion and step > self._good_step + 1:
            self._go_back(f"a standard deviation of {look.largest:.3g} {look.unit}")
        else:
            self._ask(look)
        return False

    @property
    def _good_step(self) -> int:
        return int(self._good["step"])

    def _set_good(self) -> None:
        """Take the structure as one to come back to."""
        self._good = self._driver.state()
        self._good_length = self._folder.trajectory_length()

    def _go_back(self, reason: str) -> None:
        """Return to the last good step; from there every step is looked at.

        If every step was, the good one is labelled.
        """
        step, labelled = self._driver.step, self._good_step == self._labelled
        back = {"job": self._job.name, "step": step, "to": self._good_step}
        self._folder.log({"event": "back", **back, "reason": reason})
        self._driver.restore(self._good)
        self._folder.cut_trajectory(self._good_length)
        if not self._closely:
            self._closely = True
        elif labelled:
            raise GapfitError(
                f"{self._job.name}: {reason} at step {step}, right after a structure that "
                "was learned: the simulation itself explodes; lower timestep or "
                "temperature, or give data from which the model starts better"
            )
        else:
            self._ask(self._watch.look(self._driver.atoms))

    def _record(self) -> None:
        """Write the structure to the trajectory, if it is its turn."""
        every, driver = self._learning.trajectory, self._driver
        if every and driver.step % every == 0:
            info = {"job": self._job.name, "step": driver.step}
            self._folder.add_to_trajectory(single_point(driver.atoms, {}, info))

    def _ask(self, look: Reading) -> None:
        """Have the structure labelled, and learn it."""
        self._save(look)
        atoms, step = self._driver.atoms, self._driver.step
        guess = self._model.current.predict(
            atoms, stress=False, n_threads=self._threads
        )
        about = {
            "config_type": self._job.name,
            "step": step,
            "temperature": self._driver.temperature,
            "std": look.largest,
            "gap_energy": guess.energy,
        }
        label = self._asker.ask(
            atoms,
            self._model.n_merged,
            f"{self._job.name}, step {step}",
            about,
            {"gap_forces": guess.forces},
        )
        self._model.merge()
        record = {
            "event": "call",
            "call": self._model.n_merged,
            "job": self._job.name,
            "step": step,
            "temperature": self._driver.temperature,
            **asdict(look),
            **_errors(label),
            "n_sparse": self._model.current.n_sparse,
        }
        self._folder.log(record)
        self._labelled, self._closely = step, False
        self._use_model()
        self._set_good()
        self._save()
        self._tell(look, record)

    def _counts(self, job: int) -> dict[str, int]:
        return {
            "job": job,
            "merged": self._model.n_merged,
            "fitted": self._model.fitted,
        }

    def _save(self, asked: Reading | None = None) -> None:
        """Write the state; with what was seen where the reference is to be asked."""
        self._saved = self._driver.step
        run = {
            "driver": self._driver.state(),
            "labelled": self._labelled,
            "closely": self._closely,
            "asked": asked and asdict(asked),
        }
        self._folder.write_state({**self._counts(self._number), "run": run})

    def _tell(self, look: Reading, event: Mapping[str, Any] | None = None) -> None:
        driver, steps = self._driver, self._job.run.steps
        self._report(
            Status(
                self._job.name,
                driver.step,
                steps,
                driver.temperature,
                look,
                self._model.n_merged,
                event or {},
            )
        )


def _errors(label: Any) -> dict[str, float]:
    """Return the errors of the model before it learned a structure, eV and eV/Å."""
    forces = label.arrays["gap_forces"] - label.calc.results["forces"]
    energy = label.info["gap_energy"] - label.calc.results["energy"]
    return {
        "energy_error": float(energy / len(label)),
        "forces_rmse": float(np.sqrt(np.mean(forces**2))),
        "forces_largest_error": float(np.abs(forces).max()),
    }
