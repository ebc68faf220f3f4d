"""Search for the most accurate potentials at every cost within a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silence, silent
from gapfit.config.sections import FitConfig, TuneConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import as_dataset
from gapfit.data.frame_file import config_types, frame_sizes, species_counts
from gapfit.errors import GapfitError
from gapfit.evaluation.speed import timed_cell
from gapfit.fitting.fewer_points import refined, with_fewer_points
from gapfit.fitting.identity import fit_identity
from gapfit.fitting.prepare import Prepared
from gapfit.fitting.proposal import nearest_distances, usual_cutoff
from gapfit.fitting.review import review
from gapfit.gp.hyperparameters import NEARBY, SAME, THOROUGH, Ratios
from gapfit.search.budget import Budget
from gapfit.search.halving import Task, halving
from gapfit.search.loop import Record, follow
from gapfit.search.result import SearchResult
from gapfit.search.sizes import TrialSizes
from gapfit.search.space import Recipe, Space, same_terms
from gapfit.search.state import read_state, write_state
from gapfit.search.subsets import nested_order, part_of, part_sizes
from gapfit.search.trial import TrialResult, tried
from gapfit.threads import limited

__all__ = ["AS_GIVEN", "tune_within"]

#: Name of the candidate with the terms of the configuration.
AS_GIVEN = "as given"
# Fewer sparse points than this are not reduced with the data.
_FEW_POINTS = 50
#: Moves that are tried together.
_MOVES = 8
#: Members of the front from which they start, the most accurate ones.
_ORIGINS = 4

Records = dict[Task, Record[TrialResult]]


def tune_within(
    seconds: float,
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    most_microseconds: float | None = None,
    progress: Progress | None = None,
    base: Path | None = None,
    state: Path | None = None,
    resume: bool = False,
    report: Callable[[SearchResult], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Choose terms and their sizes within a time, from the training data alone.

    Many candidates are tried on a part of the data, the better ones on larger parts, then
    others near the best (`gapfit.search.halving`). Deltas and sigmas of each are those of
    `gapfit.tune`. Candidates and their errors follow from data, configuration and seed;
    the time decides where the search stops.

    Parameters
    ----------
    seconds : float
        Time of the search, with that of earlier ones that it resumes, s.
    frames, config, progress, base
        As for `gapfit.fit`; ``[tune]`` says which hyperparameters are chosen. The terms
        of the configuration are one of the candidates.
    most_microseconds : float, optional
        Largest time of a prediction for the choice, µs per atom.
    state : Path, optional
        File of all finished trials, replaced after each.
    resume : bool
        Go on with the trials in `state`.
    report : callable
        Called with the result so far after each trial.
    clock : callable
        Returns the present time, s.

    Returns
    -------
    SearchResult
        All trials and their front.

    Raises
    ------
    ConfigError, DataError
        Mistakes in the configuration or the data, with their places.
    GapfitError
        The time is too short for any trial, or no candidate could be tried.
    """
    settings = as_config(config, frames)
    if base is None:
        base = Path(config).parent if isinstance(config, str | Path) else Path()
    budget, shown = Budget(seconds, clock=clock), progress or silent
    dataset = as_dataset(frames, settings, base)
    notes = list(dataset.warnings)
    with limited(settings.run.threads or None):
        prepared = review(dataset, settings, notes, base=base, progress=shown)
        search = _Search(prepared, settings, budget, shown, most_microseconds, notes)
        identity = fit_identity(dataset, settings, base)
        if resume and state is not None:
            search.resume(read_state(state, identity))

        def done() -> None:
            if state is not None:
                write_state(state, identity, search.records)
            if search.result().rung >= 0:
                report(search.result())

        # Trials have hundreds of notes that concern none but themselves.
        with silence("gapfit"):
            complete = search.run(done)
    return replace(search.finished(), complete=complete)


@dataclass(frozen=True)
class _Candidate:
    """A configuration that may be tried, and its place in the space if it has one."""

    config: FitConfig
    recipe: Recipe | None


class _Search:
    """The trials of one call, and the data they share."""

    def __init__(
        self,
        prepared: Prepared,
        config: FitConfig,
        budget: Budget,
        progress: Progress,
        most_microseconds: float | None,
        notes: list[str],
    ) -> None:
        n_frames = len(prepared.frames)
        if n_frames < 2:
            raise GapfitError("tuning needs at least two frames: one is held out")
        self.budget, self.progress = budget, progress
        self.options = config.tune or TuneConfig()
        self.most_microseconds, self.notes = most_microseconds, notes
        if self.options.scan:
            notes.append("[tune] scan is for a tuning without a budget: not used")
        self.config = config.model_copy(update={"tune": None})
        self.n_frames = part_sizes(
            n_frames,
            int(frame_sizes(prepared.frames).sum()),
            len(set(config_types(prepared.frames))),
        )
        order = nested_order(prepared.frames, config.run.seed)
        self.parts = [part_of(prepared, order[:n]) for n in self.n_frames[:-1]]
        self.parts.append(prepared)
        self.sizes = TrialSizes(self.parts)
        self.cell = timed_cell(prepared.given)
        atoms = species_counts(prepared.frames)
        usual = usual_cutoff(nearest_distances(prepared.frames))
        self.space = Space.of(usual, max(atoms.values()), len(atoms))
        self.candidates: dict[str, _Candidate] = {}
        self.records: Records = {}
        self.known: Records = {}

    def resume(self, records: Records) -> None:
        """Take over the trials of an earlier search, and the time that they took."""
        self.known = records
        spent = sum(record.seconds for record in records.values())
        self.budget.spend(spent)

    def run(self, done: Callable[[], None]) -> bool:
        """Make the trials in turn; return whether none was left."""
        self.candidates[AS_GIVEN] = _Candidate(self.config, None)
        start = [self._named(recipe) for recipe in self.space.start()]
        sequence: Generator[Task, TrialResult | None, None] = halving(
            [AS_GIVEN, *start], len(self.parts), self._neighbours
        )

        def attempt(task: Task) -> Record[TrialResult]:
            try:
                return Record(self._tried(task))
            except GapfitError as error:
                return Record(None, str(error))

        def record(task: Task, result: Record[TrialResult]) -> None:
            self.records[task] = result
            if task not in self.known:
                done()

        return follow(sequence, attempt, self.known, self.budget, self._work, record)

    def result(self) -> SearchResult:
        """Return all trials so far."""
        configs = {name: c.config for name, c in self.candidates.items()}
        return SearchResult(
            dict(self.records),
            configs,
            self.n_frames,
            self.most_microseconds,
            warnings=tuple(dict.fromkeys(self.notes)),
        )

    def finished(self) -> SearchResult:
        """Return the result with the warnings of its end.

        Raises
        ------
        GapfitError
            Nothing could be tried.
        """
        result = self.result()
        if result.rung < 0:
            problems = result.left_out()
            if problems:
                raise GapfitError(f"no candidate could be tried; {problems[0]}")
            raise GapfitError(
                f"the budget of {self.budget.seconds:.0f} s is too short for a single "
                "trial; give more"
            )
        return replace(result, warnings=(*result.warnings, *_warnings(result)))

    def _named(self, recipe: Recipe) -> str:
        """Return the name of a recipe, which becomes a candidate."""
        name, terms = self.space.words(recipe), self.space.terms(recipe)
        if same_terms(terms, self.config.terms):
            name = AS_GIVEN
            self.candidates[name] = _Candidate(self.config, recipe)
        elif name not in self.candidates:
            config = self.config.model_copy(update={"terms": terms})
            self.candidates[name] = _Candidate(config, recipe)
        return name

    def _neighbours(
        self, front: Sequence[Hashable], seen: set[Hashable]
    ) -> list[Hashable]:
        """Return some untried moves from members of the front, one of each in turn.

        The front comes with the most accurate first; members that have none left are
        passed over.
        """
        rng = np.random.default_rng([self.config.run.seed, len(seen)])
        queues = []
        for name in front:
            moves = self._moves(str(name))
            moves = [m for m in moves if self._named(m) not in seen]
            queues.append([moves[n] for n in rng.permutation(len(moves))])
        queues = [queue for queue in queues if queue][:_ORIGINS]
        out: dict[Hashable, None] = {}
        while any(queues) and len(out) < _MOVES:
            for queue in filter(None, queues):
                name = self._named(queue.pop())
                if len(out) < _MOVES:
                    out[name] = None
        return list(out)

    def _moves(self, name: str) -> list[Recipe]:
        """Return the recipes around a candidate; for given terms those nearest to them."""
        candidate = self.candidates[name]
        recipe = candidate.recipe or self.space.nearest(candidate.config.terms)
        if recipe is None:
            return []
        near = [] if candidate.recipe else [recipe]
        return [*near, *self.space.moves(recipe)]

    def _tried(self, task: Task) -> TrialResult:
        name, rung = str(task.candidate), task.rung
        candidate = self.candidates[name]
        if any(term.points_file for term in candidate.config.terms):
            raise GapfitError("sparse points from a list cannot be those of a part")
        if not rung:
            self.sizes.require(name, candidate.config)
        config, ratios = self._start(task)
        return tried(
            self.parts[rung],
            config,
            self.options,
            ratios=ratios,
            operations=self.sizes.operations(name, candidate.config),
            reduced=self.sizes.operations(name, config),
            cell=self.cell if rung or len(self.parts) == 1 else None,
            progress=self._watched,
        )

    def _start(self, task: Task) -> tuple[FitConfig, Ratios]:
        """Return where a trial starts, and the ratios of sigma.energy to try.

        It starts at what a smaller part chose. The smallest part has too few energies to
        choose their sigma, and trials of that take the sigmas of the first one.
        """
        config = self._config(task)
        if task.rung:
            lower = self.records[Task(task.rung - 1, task.candidate)].outcome
            assert lower is not None
            return refined(config, lower.config), NEARBY
        only = len(self.parts) == 1
        first = self.records.get(Task(0, AS_GIVEN))
        if first is None or first.outcome is None:
            return config, THOROUGH if only else SAME
        sigma = first.outcome.config.sigma
        config = config.model_copy(update={"sigma": sigma})
        return config, NEARBY if only else SAME

    def _config(self, task: Task) -> FitConfig:
        """Return the configuration of a trial: fewer sparse points for parts.

        Their number falls with the square root: half the information for a quarter of the
        data.
        """
        config = self.candidates[str(task.candidate)].config
        share = self.n_frames[task.rung] / self.n_frames[-1]
        return with_fewer_points(config, share**0.5, _FEW_POINTS)

    def _watched(self, stage: str, done: int, total: int) -> None:
        """Show how much of the time is gone, and stop a trial that takes too long."""
        self.budget.check()
        whole = max(round(self.budget.seconds), 1)
        self.progress("trials", min(round(self.budget.spent), whole), whole)

    def _work(self, task: Task) -> float:
        """Return the size of a trial; 0 if it cannot be made."""
        try:
            return self.sizes.work(str(task.candidate), task.rung, self._config(task))
        except GapfitError:
            return 0.0


def _warnings(result: SearchResult) -> list[str]:
    """Return warnings about the end of a search."""
    out = [f"left out: {text}" for text in result.left_out()]
    if not result.on_all_data:
        costs = "estimated from fewer sparse points" if result.rung else "not measured"
        out.append(
            f"the time was too short for a trial with all {result.part_sizes[-1]} frames: "
            f"sigmas and deltas are those of {result.part_sizes[result.rung]} frames, and "
            f"costs are {costs}; resume the search with a longer budget"
        )
    out += result.best().trial.notes
    most, cost = result.most_microseconds, result.best().trial.microseconds
    if most is not None and cost is not None and cost > most:
        out.append(
            f"no candidate takes at most {most:g} µs/atom: the choice is the cheapest, "
            f"with {cost:.3g} µs/atom"
        )
    return out
