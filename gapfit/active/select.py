"""Which structures of an unlabelled pool to label next."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit._support.resources import in_words
from gapfit.active.candidates import (
    Candidate,
    Space,
    candidates,
    energy_variances,
    spaces_of,
)
from gapfit.active.greedy import By, Criterion, Per, criterion, greedy
from gapfit.config.sections import RunConfig
from gapfit.data.checks import frame_problems, refuse
from gapfit.data.duplicates import Fingerprints
from gapfit.data.files import RawFrame, load
from gapfit.data.frame import Frame
from gapfit.data.frame_file import temporary_frames
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.storage import load as load_model
from gapfit.threads import available, one_thread, use_threads

__all__ = ["Selection", "select"]

# Share of the memory that candidates may take.
_SHARE = 0.5
#: Candidates of which rows are computed: so many for each structure to choose, or in all.
SHORTLIST, LEAST_LISTED = 20, 1000


@dataclass(frozen=True, eq=False)
class Selection:
    """Structures to label, in the order in which they were picked.

    Attributes
    ----------
    indices : (n,) int64
        Their numbers in the pool, from 0; over all files where there are several.
    scores : (n,) float64
        Score of each, given those picked before it.
    alone : (n,) float64
        Score that each had before any was picked.
    sources : tuple of str
        Where they stand: ``"pool.extxyz, frame 12"``.
    n_atoms : (n,) int64
        Their sizes.
    by, per, unit : str
        What the scores are.
    left : float
        Highest score of those not picked; 0 if there are none.
    n_pool : int
        Structures of the pool.
    n_labelled : int
        Those left out because they have been labelled.
    n_repeated : int
        Those left out because they are equal to an earlier one of the pool.
    n_listed : int
        Candidates on the shortlist, see `select`.
    n_kept : int
        Of these, those that were held in memory; all others had lower scores alone.
    n_certain : int
        So many of the first picks are those of the whole shortlist, whatever the memory.
    """

    indices: np.ndarray
    scores: np.ndarray
    alone: np.ndarray
    sources: tuple[str, ...]
    n_atoms: np.ndarray
    by: str
    per: str
    unit: str
    left: float
    n_pool: int
    n_labelled: int
    n_repeated: int
    n_listed: int
    n_kept: int
    n_certain: int


def select(
    model: GAPModel | str | Path,
    pool: Any,
    n: int,
    *,
    by: By = "std",
    per: Per = "atom",
    labelled: Any = None,
    memory: str | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
    base: Path | None = None,
) -> Selection:
    """Choose structures of an unlabelled pool to label next.

    Structures are picked one after the other. After each pick the scores of all others
    are brought up to date as if it had been labelled, with the sigmas of the model, so
    that a batch holds no near-duplicates. There is no chance in it.

    By ``"std"``, the posterior standard deviation of forces; by ``"d-optimal"``, how much
    the labels (energy, forces and stress, as far as the model was fitted to them) would
    tell about the coefficients; by ``"novelty"``, the distance of environments to the
    sparse points, the fastest, without derivatives. The first two, too, add what the
    sparse points do not describe (`gapfit.active.greedy`).

    Per ``"atom"`` a structure is as good as its worst atom (for ``"d-optimal"``, as its
    gain by atom), whatever its size. Per ``"structure"`` squares add up over atoms: large
    ones win, which is right where each costs the same.

    Of structures with more than 32 labels, the 32 combinations that vary most are kept.
    The pool is read once and put on disk. Where it holds more than 20 n structures, and
    more than 1000, a shortlist of so many is made first, for all but ``"novelty"``: those
    with the largest variance of an atom's energy (of all, per structure), which takes no
    derivatives. Where not all candidates fit into half of the memory, those with the
    highest scores are kept.

    Parameters
    ----------
    model : GAPModel, str or Path
        A model with its posterior, or its file.
    pool : path, ase.Atoms, or a sequence of either
        Structures; labels that they may have are not looked at.
    n : int
        How many to choose.
    by : {"std", "novelty", "d-optimal"}
        What is looked for.
    per : {"atom", "structure"}
        What the score of a structure is of.
    labelled : path, ase.Atoms, or a sequence of either, optional
        Structures that need no labels any more: equal ones of the pool are left out.
    memory : str, optional
        As ``run.memory``; by default that of the model's configuration.
    n_threads : int, optional
        As for `GAPModel.predict`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to.

    Returns
    -------
    Selection
        What was chosen.

    Raises
    ------
    DataError
        Files that cannot be read; structures with species that the model does not know
        or with atoms on top of each other: all are listed.
    GapfitError
        `n` is larger than the pool without repetitions, or than fits into the memory; the
        model has no posterior, or no SOAP term to tell novelty.

    Examples
    --------
    >>> import gapfit
    >>> chosen = gapfit.select("model.npz", "md.extxyz", 50)  # doctest: +SKIP
    """
    _check_choices(n, by, per)
    known = model if isinstance(model, GAPModel) else load_model(model)
    granted = _memory_bytes(known, memory)
    found = _read(known, pool, labelled, base or Path(), progress or silent)
    if n > len(found.distinct):
        raise GapfitError(
            f"n = {n}: the pool has {len(found.distinct)} structures to choose from "
            f"({found.remarks}); give a smaller n or a larger pool"
        )
    n_threads = n_threads or known.config.run.threads or available()
    # Matrices are so small that threads of BLAS would rather wait for each other.
    with one_thread(), use_threads(n_threads):
        return _Choice(known, found, n, by, per, granted, progress or silent).run()


def _check_choices(n: int, by: str, per: str) -> None:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise GapfitError(f"n = {n!r}: give the number of structures, 1 or more")
    for name, value, known in (("by", by, By), ("per", per, Per)):
        if value not in get_args(known):
            given = ", ".join(map(repr, get_args(known)))
            raise GapfitError(f"{name} = {value!r}: it must be one of {given}")


def _memory_bytes(model: GAPModel, memory: str | None) -> int:
    if memory is None:
        return model.config.run.memory_bytes
    try:
        return RunConfig(memory=memory).memory_bytes
    except ValueError:
        raise GapfitError(
            f'memory = {memory!r}: give a number with a unit, as "4 GB"'
        ) from None


@dataclass(frozen=True, eq=False)
class _Pool:
    """What was read: labelled structures, then those of the pool."""

    frames: Sequence[Frame]
    n_labelled: int  # structures before the pool
    distinct: list[int]  # numbers, among the frames, of those to choose from
    n_known: int
    n_repeated: int

    @property
    def n_pool(self) -> int:
        return len(self.frames) - self.n_labelled

    @property
    def remarks(self) -> str:
        return (
            f"{self.n_pool} in all, {self.n_known} of them labelled already, "
            f"{self.n_repeated} repeated"
        )


def _read(
    model: GAPModel, pool: Any, labelled: Any, base: Path, progress: Progress
) -> _Pool:
    """Read all structures, each once, and find which are the same."""
    prints = Fingerprints()
    before = iter(()) if labelled is None else load(labelled, base)
    n_labelled = 0

    def passing() -> Iterator[Frame]:
        nonlocal n_labelled
        for raw in before:
            n_labelled += 1
            prints.add(raw.frame)
            yield raw.frame
        for frame in _checked(model, load(pool, base)):
            prints.add(frame)
            yield frame

    progress("read", 0, 1)
    frames = temporary_frames(passing())
    progress("read", 1, 1)
    dropped: set[int] = set()
    n_known = 0
    for same in prints.identical(frames):
        again = [n for n in same[1:] if n >= n_labelled]
        dropped.update(again)
        n_known += len(again) if same[0] < n_labelled else 0
    distinct = [n for n in range(n_labelled, len(frames)) if n not in dropped]
    return _Pool(frames, n_labelled, distinct, n_known, len(dropped) - n_known)


def _checked(model: GAPModel, raws: Iterable[RawFrame]) -> Iterator[Frame]:
    """Yield frames; refuse them all if any cannot be predicted."""
    from ase.data import chemical_symbols

    problems: list[str] = []
    key = model.config.data.config_type_key
    for raw in raws:
        frame = raw.frame
        wrong = frame_problems(frame)
        new = sorted(set(frame.numbers.tolist()) - set(model.species))
        if new and not wrong:
            known = ", ".join(chemical_symbols[z] for z in model.species)
            wrong = [
                f"{frame.source}: contains {', '.join(chemical_symbols[z] for z in new)},"
                f" which the model does not know (it knows {known}); remove the frame, or "
                "fit a first model to data that hold these species"
            ]
        problems += wrong
        if not problems:
            yield replace(frame, config_type=str(raw.labels.get(key, "default")))
    refuse(problems)


class _Held:
    """The candidates of the highest scores that fit into some memory."""

    def __init__(self, granted: float) -> None:
        self._granted = granted
        self._used = 0
        self._heap: list[tuple[float, int, Candidate]] = []
        #: The highest score among those that were let go.
        self.missed = -np.inf

    def add(self, score: float, candidate: Candidate) -> None:
        # Of equal scores the later one goes.
        heapq.heappush(self._heap, (score, -candidate.index, candidate))
        self._used += candidate.nbytes
        while self._used > self._granted:
            lowest, _, gone = heapq.heappop(self._heap)
            self._used -= gone.nbytes
            self.missed = max(self.missed, lowest)

    def all(self) -> tuple[list[Candidate], list[float]]:
        """Return them as they stand in the pool, and their scores."""
        found = sorted(self._heap, key=lambda entry: -entry[1])
        return [own for *_, own in found], [score for score, *_ in found]


@dataclass(frozen=True, eq=False)
class _Choice:
    """One choice: what its steps share."""

    model: GAPModel
    pool: _Pool
    n: int
    by: By
    per: Per
    granted: int
    progress: Progress

    def run(self) -> Selection:
        """Judge all candidates alone, then pick."""
        spaces = spaces_of(self.model)
        if self.by == "novelty" and not spaces:
            raise GapfitError(
                'by = "novelty": the model has no SOAP term, and the grids of pair and '
                'three-body terms are complete; choose by "std" or "d-optimal"'
            )
        judge = criterion(self.by, self.per, self.model.n_sparse, spaces)
        listed = self._listed(judge)
        found, bounds, missed = self._judged(listed, judge, spaces)
        alone = {own.index: bound for own, bound in zip(found, bounds, strict=True)}
        picks = greedy(found, bounds, judge)
        chosen = []
        self.progress("pick", 0, self.n)
        for pick in islice(picks, self.n):
            chosen.append(pick)
            self.progress("pick", len(chosen), self.n)
        following = next(picks, None)
        numbers = [pick.candidate.index for pick in chosen]
        scores = np.array([pick.score for pick in chosen])
        below = np.flatnonzero(scores < missed)
        return Selection(
            indices=np.array(numbers, dtype=np.int64) - self.pool.n_labelled,
            scores=scores,
            alone=np.array([alone[n] for n in numbers]),
            sources=tuple(self.pool.frames[n].source for n in numbers),
            n_atoms=np.array([pick.candidate.n_atoms for pick in chosen]),
            by=self.by,
            per=self.per,
            unit=judge.unit,
            left=following.score if following else 0.0,
            n_pool=self.pool.n_pool,
            n_labelled=self.pool.n_known,
            n_repeated=self.pool.n_repeated,
            n_listed=len(listed),
            n_kept=len(found),
            n_certain=int(below[0]) if len(below) else self.n,
        )

    def _listed(self, judge: Criterion) -> list[int]:
        """Return the candidates that are worth the time that rows take."""
        distinct = self.pool.distinct
        size = max(SHORTLIST * self.n, LEAST_LISTED)
        if not judge.rows or len(distinct) <= size:
            return distinct
        quick = np.zeros(len(distinct))
        self.progress("shortlist", 0, len(distinct))
        found = energy_variances(self.model, self.pool.frames, distinct)
        for n, variances in enumerate(found):
            quick[n] = variances.max() if self.per == "atom" else variances.sum()
            self.progress("shortlist", n + 1, len(distinct))
        best = np.argsort(-quick, kind="stable")[:size]
        return [distinct[n] for n in sorted(best.tolist())]

    def _judged(
        self, listed: list[int], judge: Criterion, spaces: Sequence[Space]
    ) -> tuple[list[Candidate], list[float], float]:
        """Return candidates, their scores, and the highest score of those let go."""
        held = _Held(_SHARE * self.granted)
        found = candidates(
            self.model, self.pool.frames, listed, spaces, rows=judge.rows
        )
        self.progress("candidates", 0, len(listed))
        for done, candidate in enumerate(found, 1):
            held.add(judge.score(candidate), candidate)
            self.progress("candidates", done, len(listed))
        some, bounds = held.all()
        if len(some) < self.n:
            raise GapfitError(
                f"n = {self.n}: only {len(some)} candidates fit into half of the memory "
                f"({in_words(self.granted)}); give more memory or a smaller n"
            )
        return some, bounds, held.missed
