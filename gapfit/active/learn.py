"""Learning on the fly: simulate with the model, ask the reference where it is uncertain.

Every few steps the largest standard deviation of an atom is compared with its threshold.
Above it the reference computes the structure, the result is written to disk, the model
learns it, and the simulation continues from this structure (Li, Kermode, De Vita, PRL
114, 096405 (2015); Jinnouchi, Karsai, Kresse, PRB 100, 014105 (2019); Vandermause et al.,
npj Comput. Mater. 6, 20 (2020)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gapfit.active.engine import Engine
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
    engines: Mapping[str, Engine] | None = None,
    resume: bool = False,
    base: Path | None = None,
    report: Callable[[Status], None] | None = None,
) -> GAPModel:
    """Simulate with a model that learns from a reference where it is uncertain.

    After a kill at any time it resumes with the same numbers, and no reference
    calculation is lost or made twice.

    Parameters
    ----------
    config : LearnConfig, dict, or path of a TOML file
        The fit, the simulations, the threshold and the reference.
    folder : path
        Output folder: ``labelled.extxyz`` (the reference calculations), ``model.npz``,
        ``log.jsonl`` (one line per calculation), ``trajectory.extxyz``.
    reference : ase.calculators.calculator.Calculator, optional
        Replaces the calculator of ``reference.calculator``.
    engines : mapping of str to callable, optional
        What reads the scripts of simulations by other programs than ASE, by
        ``runs.engine``: ``{"lammps": gapfit.lammps.LammpsRun.read}``.
    resume : bool
        Continue the simulation that was begun in `folder`, if there is one. Tables of the
        fit, such as ``[e0]``, ``[sigma]`` and ``[[terms]]``, may have changed: the model is
        then fitted again to the labelled structures.
    base : Path, optional
        Folder that relative paths refer to; by default that of the TOML file.
    report : callable, optional
        Called with a `Status` after every reading and every reference calculation.

    Returns
    -------
    GAPModel
        The potential after all simulations, fitted to all labelled structures.

    Raises
    ------
    ConfigError, DataError
        The configuration or the data are wrong.
    GapfitError
        The reference failed twice; the simulation explodes right after it learned a
        structure; there were ``learning.max_calls`` calls; the folder has other files.
        Labelled structures are saved.

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
    setup = Setup.read(config, base or Path(), reference, engines)
    files = LearningFolder(Path(folder))
    with files.held():
        if resume and files.is_begun:
            files.require(setup.identity)
        else:
            files.begin(setup.identity)
        return _Learner(setup, files, report or _silent).run()


def _silent(status: Status) -> None:
    """Report nothing."""


class _Learner:
    """The simulations of one configuration, with what they share."""

    def __init__(
        self, setup: Setup, folder: LearningFolder, report: Callable[[Status], None]
    ) -> None:
        self.setup = setup
        self.folder = folder
        self.report = report
        self.labels = folder.labels()
        self.labeller = Labeller(setup, folder, self.labels)

    def run(self) -> GAPModel:
        """Do all simulations that are not done yet."""
        first = first_structures(self.setup)
        n_first = len(first)
        start: dict[str, Any] = {
            "job": 0,
            "merged": n_first,
            "fitted": n_first,
            "run": None,
        }
        state = self.folder.read_state() or start
        self._label_first(first)
        model = LearnedModel(
            self.setup, self.folder, self.labels, state["merged"], state["fitted"]
        )
        for number in range(state["job"], len(self.setup.jobs)):
            begun = state["run"] if number == state["job"] else None
            simulation = LearningRun(
                self.setup, self.folder, self.labeller, model, self.report, number
            )
            simulation.run(begun)
        model.finish()
        return model.current

    def _label_first(self, first: Sequence[tuple[str, Any]]) -> None:
        """Label the structures for a first model that have no labels yet."""
        for number, (kind, atoms) in enumerate(first):
            where = f"structure {number + 1} of the first model"
            self.labeller.label(atoms, number, where, {"config_type": kind})
