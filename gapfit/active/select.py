"""Choice of the structures of an unlabelled pool to label next."""

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
from gapfit.active.candidates import Candidate, Space, candidates, spaces_of
from gapfit.active.greedy import By, Criterion, Per, criterion, greedy
from gapfit.active.shortlist import shortlisted
from gapfit.config.sections import RunConfig
from gapfit.data.checks import frame_problems, refuse
from gapfit.data.duplicates import Fingerprints
from gapfit.data.files import RawFrame, load
from gapfit.data.frame import Frame
from gapfit.data.frame_file import temporary_frames
from gapfit.data.label_names import config_type
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.storage import load as load_model
from gapfit.threads import available, one_thread, use_threads

__all__ = ["Selection", "select"]

# Share of the memory for candidates.
_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Selection:
    """Structures to label, in the order in which they were picked.

    Attributes
    ----------
    indices : (n,) int64
        Their numbers in the pool, from 0, counted over all files.
    scores : (n,) float64
        Score of each, given those picked before it.
    alone : (n,) float64
        Score of each before the first pick.
    sources : tuple of str
        Files and frames: ``"pool.extxyz, frame 12"``.
    n_atoms : (n,) int64
        Their numbers of atoms.
    by, per, unit : str
        Criterion of the scores, and their unit.
    next_score : float
        Highest score of the remaining structures; 0 if there are none.
    n_pool : int
        Structures of the pool.
    n_labelled : int
        Pool structures skipped because they are labelled already.
    n_repeated : int
        Pool structures skipped because they are equal to an earlier one.
    n_listed : int
        Candidates on the shortlist, see `select`.
    n_kept : int
        Candidates kept in memory; all others had lower initial scores.
    n_certain : int
        Number of first picks that do not depend on the memory.
    """

    indices: np.ndarray
    scores: np.ndarray
    alone: np.ndarray
    sources: tuple[str, ...]
    n_atoms: np.ndarray
    by: str
    per: str
    unit: str
    next_score: float
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

    Structures are picked one by one. After each pick the scores of all others are updated
    as if it were labelled, with the sigmas of the model, so a batch has no
    near-duplicates. The result is deterministic.

    The criterion ``"std"`` is the posterior standard deviation of forces; ``"d-optimal"``
    the information of the labels (energy, forces and stress, as far as the model was
    fitted to them) about the coefficients; ``"novelty"`` the distance of environments to
    the sparse points, which is fastest because it needs no derivatives. The first two
    include the variance that the sparse points do not explain (`gapfit.active.greedy`).

    Per ``"atom"`` the score of a structure is that of its worst atom (for
    ``"d-optimal"``, its gain per atom). Per ``"structure"`` squares are summed over
    atoms, which favours large structures and is right if all cost the same.

    Of structures with more than 32 labels, the 32 combinations that vary most are used.
    The pool is read once and stored in a temporary file. If it has more than 20 n and
    more than 1000 structures, the larger of these numbers is shortlisted first (except
    by ``"novelty"``): structures with the largest variance of the energy of an atom (per
    structure: the largest sum), which needs no derivatives. If not all candidates fit
    into half of the memory, those with the highest scores are kept.

    Parameters
    ----------
    model : GAPModel, str or Path
        A model with its posterior, or its file.
    pool : path, ase.Atoms, or a sequence of either
        Structures; their labels are ignored.
    n : int
        Number of structures to choose.
    by : {"std", "novelty", "d-optimal"}
        Criterion, see above.
    per : {"atom", "structure"}
        Whether the score is that of the worst atom or of the structure.
    labelled : path, ase.Atoms, or a sequence of either, optional
        Labelled structures: equal ones in the pool are skipped.
    memory : str, optional
        Memory limit as ``run.memory``; by default that of the model's configuration.
    n_threads : int, optional
        Number of threads, as in `GAPModel.predict`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to.

    Returns
    -------
    Selection
        The chosen structures.

    Raises
    ------
    DataError
        Files cannot be read; structures have unknown species or atoms on top of each
        other: all are listed.
    GapfitError
        `n` exceeds the pool without repetitions or the memory; the model has no
        posterior, or no SOAP term for novelty.

    Examples
    --------
    >>> import gapfit
    >>> chosen = gapfit.select("model.npz", "md.extxyz", 50)  # doctest: +SKIP
    """
    _check_choices(n, by, per)
    fitted = model if isinstance(model, GAPModel) else load_model(model)
    granted = _memory_bytes(fitted, memory)
    frames = _read(fitted, pool, labelled, base or Path(), progress or silent)
    if n > len(frames.distinct):
        raise GapfitError(
            f"n = {n}: the pool has {len(frames.distinct)} structures to choose from "
            f"({frames.remarks}); give a smaller n or a larger pool"
        )
    n_threads = n_threads or fitted.config.run.threads or available()
    # Matrices are so small that threads of BLAS would mostly wait for each other.
    with one_thread(), use_threads(n_threads):
        return _Selector(fitted, frames, n, by, per, granted, progress or silent).run()


def _check_choices(n: int, by: str, per: str) -> None:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise GapfitError(f"n = {n!r}: give the number of structures, 1 or more")
    for name, value, choices in (("by", by, By), ("per", per, Per)):
        if value not in get_args(choices):
            listed = ", ".join(map(repr, get_args(choices)))
            raise GapfitError(f"{name} = {value!r}: it must be one of {listed}")


def _memory_bytes(model: GAPModel, memory: str | None) -> int:
    if memory is None:
        return model.config.run.memory_bytes
    try:
        return RunConfig(memory=memory).memory_bytes
    except ValueError:
        raise GapfitError(
            f'memory = {memory!r}: give a number with a unit, such as "4 GB"'
        ) from None


@dataclass(frozen=True, eq=False)
class _Pool:
    """Frames of the labelled structures, then those of the pool."""

    frames: Sequence[Frame]
    n_before: int  # structures before the pool
    distinct: list[int]  # numbers, among the frames, of those to choose from
    n_labelled: int  # structures of the pool that are labelled already
    n_repeated: int

    @property
    def n_pool(self) -> int:
        return len(self.frames) - self.n_before

    @property
    def remarks(self) -> str:
        return (
            f"{self.n_pool} in all, {self.n_labelled} of them labelled already, "
            f"{self.n_repeated} repeated"
        )


def _read(
    model: GAPModel, pool: Any, labelled: Any, base: Path, progress: Progress
) -> _Pool:
    """Read all structures once, and find equal ones."""
    prints = Fingerprints()
    before = iter(()) if labelled is None else load(labelled, base)
    n_before = 0

    def passing() -> Iterator[Frame]:
        nonlocal n_before
        for raw in before:
            n_before += 1
            prints.add(raw.frame)
            yield raw.frame
        for frame in _checked(model, load(pool, base)):
            prints.add(frame)
            yield frame

    progress("read", 0, 1)
    frames = temporary_frames(passing())
    progress("read", 1, 1)
    dropped: set[int] = set()
    n_labelled = 0
    for same in prints.identical(frames):
        repeats = [n for n in same[1:] if n >= n_before]
        dropped.update(repeats)
        n_labelled += len(repeats) if same[0] < n_before else 0
    distinct = [n for n in range(n_before, len(frames)) if n not in dropped]
    return _Pool(frames, n_before, distinct, n_labelled, len(dropped) - n_labelled)


def _checked(model: GAPModel, raws: Iterable[RawFrame]) -> Iterator[Frame]:
    """Yield frames; raise an error that lists all that cannot be predicted."""
    from ase.data import chemical_symbols

    problems: list[str] = []
    key = model.config.data.config_type_key
    for raw in raws:
        frame = raw.frame
        errors = frame_problems(frame)
        new = sorted(set(frame.numbers.tolist()) - set(model.species))
        if new and not errors:
            symbols = ", ".join(chemical_symbols[z] for z in model.species)
            errors = [
                f"{frame.source}: contains {', '.join(chemical_symbols[z] for z in new)},"
                f" which the model does not know (it knows {symbols}); remove the frame, "
                "or fit a first model to data with these species"
            ]
        problems += errors
        if not problems:
            kind = config_type(raw.labels, key) or "default"
            yield replace(frame, config_type=kind)
    refuse(problems)


class _KeptCandidates:
    """The candidates with the highest scores that fit into memory."""

    def __init__(self, granted: float) -> None:
        self._granted = granted
        self._used = 0
        self._heap: list[tuple[float, int, Candidate]] = []
        #: The highest score among dropped candidates.
        self.missed = -np.inf

    def add(self, score: float, candidate: Candidate) -> None:
        # Of equal scores the later one is dropped.
        heapq.heappush(self._heap, (score, -candidate.index, candidate))
        self._used += candidate.nbytes
        while self._used > self._granted:
            lowest, _, dropped = heapq.heappop(self._heap)
            self._used -= dropped.nbytes
            self.missed = max(self.missed, lowest)

    def all(self) -> tuple[list[Candidate], list[float]]:
        """Return the candidates in the order of the pool, and their scores."""
        entries = sorted(self._heap, key=lambda entry: -entry[1])
        kept = [candidate for *_, candidate in entries]
        return kept, [score for score, *_ in entries]


@dataclass(frozen=True, eq=False)
class _Selector:
    """One selection, with the inputs that its steps share."""

    model: GAPModel
    pool: _Pool
    n: int
    by: By
    per: Per
    granted: int
    progress: Progress

    def run(self) -> Selection:
        """Score all candidates, then pick."""
        spaces = spaces_of(self.model)
        if self.by == "novelty" and not spaces:
            raise GapfitError(
                'by = "novelty": the model has no SOAP term, and the grids of pair and '
                'three-body terms are complete; choose by "std" or "d-optimal"'
            )
        judge = criterion(self.by, self.per, self.model.n_sparse, spaces)
        listed = self._listed(judge)
        kept, bounds, missed = self._scored(listed, judge, spaces)
        alone = {
            candidate.index: bound
            for candidate, bound in zip(kept, bounds, strict=True)
        }
        picks = greedy(kept, bounds, judge)
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
            indices=np.array(numbers, dtype=np.int64) - self.pool.n_before,
            scores=scores,
            alone=np.array([alone[n] for n in numbers]),
            sources=tuple(self.pool.frames[n].source for n in numbers),
            n_atoms=np.array([pick.candidate.n_atoms for pick in chosen]),
            by=self.by,
            per=self.per,
            unit=judge.unit,
            next_score=following.score if following else 0.0,
            n_pool=self.pool.n_pool,
            n_labelled=self.pool.n_labelled,
            n_repeated=self.pool.n_repeated,
            n_listed=len(listed),
            n_kept=len(kept),
            n_certain=int(below[0]) if len(below) else self.n,
        )

    def _listed(self, judge: Criterion) -> list[int]:
        """Return the structures whose rows are computed."""
        pool = self.pool
        if not judge.rows:
            return pool.distinct
        return shortlisted(
            self.model,
            pool.frames,
            pool.distinct,
            self.n,
            self.per,
            progress=self.progress,
        )

    def _scored(
        self, listed: list[int], judge: Criterion, spaces: Sequence[Space]
    ) -> tuple[list[Candidate], list[float], float]:
        """Return candidates, their scores, and the highest score of dropped ones."""
        kept = _KeptCandidates(_SHARE * self.granted)
        pool = candidates(self.model, self.pool.frames, listed, spaces, rows=judge.rows)
        self.progress("candidates", 0, len(listed))
        for done, candidate in enumerate(pool, 1):
            kept.add(judge.score(candidate), candidate)
            self.progress("candidates", done, len(listed))
        fitting, bounds = kept.all()
        if len(fitting) < self.n:
            raise GapfitError(
                f"n = {self.n}: only {len(fitting)} candidates fit into half of the memory "
                f"({in_words(self.granted)}); give more memory or a smaller n"
            )
        return fitting, bounds, kept.missed
