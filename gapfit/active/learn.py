"""Learning on the fly: simulate with the model, ask the reference where it is not sure.

A look every few steps compares the largest standard deviation of an atom with its
threshold. Above it the reference computes the structure, the result goes to the disk, the
model learns it, and the simulation goes on from where it was (Li, Kermode, De Vita, PRL
114, 096405 (2015); Jinnouchi, Karsai, Kresse, PRB 100, 014105 (2019); Vandermause et al.,
npj Comput. Mater. 6, 20 (2020)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gapfit.active.folder import LearningFolder
from gapfit.active.online_model import LearnedModel
from gapfit.active.setup import Setup, first_structures
from gapfit.active.simulation import Labeller, LearningRun, Status
from gapfit.config.learn import LearnConfig
from gapfit.config.toml import load_config_as, validated
from gapfit.model.gap_model import GAPModel

__all__ = ["learn"]


def learn(
    config: LearnConfig | Mapping[str, Any] | str | Path,
    folder: Path | str,
    *,
    reference: Any = None,
    resume: bool = False,
    base: Path | None = None,
    report: Callable[[Status], None] | None = None,
) -> GAPModel:
    """Simulate with a model that asks a reference where it is not sure, and learns.

    Killed at any time and resumed, it goes on with the same numbers, and no reference
    calculation is lost or made twice.

    Parameters
    ----------
    config : LearnConfig, dict, or path of a TOML file
        The fit, the simulations, the threshold and the reference.
    folder : path
        Where everything is written: ``labelled.extxyz`` (the reference calculations),
        ``model.npz``, ``log.jsonl`` (one line for each of them), ``trajectory.extxyz``.
    reference : ase.calculators.calculator.Calculator, optional
        Takes the place of the one that ``reference.calculator`` names.
    resume : bool
        Go on with what was begun in `folder`.
    base : Path, optional
        Folder that relative paths refer to; that of the TOML file by itself.
    report : callable, optional
        Called with a `Status` after every look and every reference calculation.

    Returns
    -------
    GAPModel
        The potential after all simulations, fitted to all labelled structures.

    Raises
    ------
    ConfigError, DataError
        What is wrong, where, and what to do.
    GapfitError
        The reference failed twice; the simulation explodes though it has learned the
        structure before; there were ``learning.max_calls`` calls; the folder holds
        something else. What was labelled is saved.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.learn("learn.toml", "learned")  # doctest: +SKIP
    """
    if isinstance(config, str | Path):
        base = base or Path(config).parent
        config = load_config_as(LearnConfig, config)
    elif not isinstance(config, LearnConfig):
        config = validated(LearnConfig, config, "config")
    setup = Setup.read(config, base or Path(), reference)
    place = LearningFolder(Path(folder))
    with place.held():
        if resume:
            place.require(setup.identity)
        else:
            place.begin(setup.identity)
        return _Learner(setup, place, report or _silent).run()


def _silent(status: Status) -> None:
    """Report nothing."""


class _Learner:
    """One learning: what its simulations share."""

    def __init__(
        self, setup: Setup, folder: LearningFolder, report: Callable[[Status], None]
    ) -> None:
        self.setup = setup
        self.folder = folder
        self.report = report
        self.labels = folder.labels()
        self.asker = Labeller(setup, folder, self.labels)

    def run(self) -> GAPModel:
        """Do all simulations, or what is left of them."""
        n_first = self.setup.config.learning.bootstrap
        nothing: dict[str, Any] = {
            "job": 0,
            "merged": n_first,
            "fitted": n_first,
            "run": None,
        }
        state = self.folder.read_state() or nothing
        self._label_first()
        model = LearnedModel(
            self.setup, self.folder, self.labels, state["merged"], state["fitted"]
        )
        for number in range(state["job"], len(self.setup.jobs)):
            begun = state["run"] if number == state["job"] else None
            simulation = LearningRun(
                self.setup, self.folder, self.asker, model, self.report, number
            )
            simulation.run(begun)
        model.finish()
        return model.current

    def _label_first(self) -> None:
        """Label structures made for a first model, as far as they are not yet."""
        for number, atoms in enumerate(
            first_structures(self.setup.jobs, self.setup.config)
        ):
            where = f"structure {number + 1} of the first model"
            self.asker.ask(atoms, number, where, {"config_type": "bootstrap"})
