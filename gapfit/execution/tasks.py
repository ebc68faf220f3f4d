"""The rows of all frames, summed up here or by workers, with checkpoints on the way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

from gapfit._support.archive import atomic_write
from gapfit.data.frame import Frame
from gapfit.data.frame_file import FrameFile, write_frames
from gapfit.errors import GapfitError
from gapfit.execution.accumulate import Rows
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool
from gapfit.execution.merge_tree import Node, Span, outermost, root
from gapfit.gp.observations import Group
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.storage import load
from gapfit.threads import limited

__all__ = ["Work", "sum_by_workers", "sum_here"]

#: Called with the rows done so far.
Report = Callable[[int], None]

# Seconds between checkpoints at least, and as a multiple of what the last one took.
_LEAST_INTERVAL, _INTERVALS = 5.0, 40.0
# A task during which so many workers died is given up.
_MOST_DEATHS = 3
# Tasks waiting for each worker: enough to keep it busy, few enough to go in order.
_WAITING = 2


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be summed up.

    Attributes
    ----------
    rows : Rows
        Makes rows of frames.
    frames : sequence of Frame
        Without the baseline, with automatic sigmas.
    groups : sequence
        The groups of each frame's kinds of observations.
    n_rows : (n_frames,) int64
        Observations of each frame.
    tasks : sequence of slice
        Frames of each task.
    batch_atoms : int
        Atoms whose rows are held at a time.
    """

    rows: Rows
    frames: Sequence[Frame]
    groups: Sequence[tuple[Group, ...]]
    n_rows: np.ndarray
    tasks: Sequence[slice]
    batch_atoms: int

    @property
    def root(self) -> Node:
        """The sum over all tasks."""
        return root(len(self.tasks))

    def rows_of(self, span: Span) -> int:
        """Return the number of observations of some tasks."""
        first, stop = self.tasks[span.first].start, self.tasks[span.stop - 1].stop
        return int(self.n_rows[first:stop].sum())

    def described(self, span: Span) -> str:
        """Return which frames some tasks hold, for messages."""
        first = self.frames[self.tasks[span.first].start].source
        last = self.frames[self.tasks[span.stop - 1].stop - 1].source
        return first if first == last else f"{first} to {last}"


def sum_here(
    work: Work, folder: CheckpointFolder | None, report: Report
) -> TrainingSums:
    """Return the sums over all rows, computed by this process.

    Parameters
    ----------
    work : Work
        What to sum up.
    folder : CheckpointFolder or None
        Where checkpoints go, and those of an earlier call are; the sum itself at last.
    report : callable
        Called with the rows done so far.
    """
    here = _Here(work, folder, report)
    sums = here.fold(work.root)
    here.keep({work.root.span: sums})
    return sums


class _Open:
    """A node of the tree whose children are being added."""

    def __init__(self, first: int) -> None:
        self.span = Span(first, first)
        self.sums: TrainingSums | None = None

    def add(self, part: TrainingSums, stop: int) -> None:
        if self.sums is None:
            self.sums = part
        else:
            self.sums.merge(part)
        self.span = Span(self.span.first, stop)


class _Here:
    """Sums up the tree from the left and writes what is open now and then."""

    def __init__(
        self, work: Work, folder: CheckpointFolder | None, report: Report
    ) -> None:
        self.work, self.folder, self.report = work, folder, report
        self.known = outermost(folder.spans()) if folder else set()
        self.open: list[_Open] = []
        self.done = 0
        self.interval = _LEAST_INTERVAL
        self.written = time.monotonic()

    def fold(self, node: Node) -> TrainingSums:
        """Return the sum over a node."""
        own = _Open(node.span.first)
        self.open.append(own)
        if (start := node.prefix(self.known)) and self.folder:
            own.add(self.folder.read(start, self.work.rows.whitening), start.stop)
            self._count(self.work.rows_of(start))
        elif node.level == 0:
            own.add(self._computed(node), node.span.stop)
        for child in node.children:
            if child.span.first >= own.span.stop:
                own.add(self.fold(child), child.span.stop)
                self._checkpoint()
        self.open.pop()
        assert own.sums is not None
        return own.sums

    def _computed(self, node: Node) -> TrainingSums:
        work = self.work
        part = work.tasks[node.span.first]
        return work.rows.sum_up(
            work.frames[part], work.groups[part], work.batch_atoms, self._count
        )

    def _count(self, n_rows: int) -> None:
        self.done += n_rows
        self.report(self.done)

    def _checkpoint(self) -> None:
        started = time.monotonic()
        if started - self.written < self.interval:
            return
        # What is open holds all that is done, each task once.
        self.keep({own.span: own.sums for own in self.open if own.sums})
        self.written = time.monotonic()
        self.interval = max(_LEAST_INTERVAL, _INTERVALS * (self.written - started))

    def keep(self, sums: Mapping[Span, TrainingSums]) -> None:
        """Write sums, and drop those that they hold."""
        if self.folder is None:
            return
        for span, part in sums.items():
            if span not in self.known:
                self.folder.write(span, part)
        # Workers of an earlier run may have summed up tasks that are still to come.
        kept = outermost(self.known | sums.keys())
        for span in self.known - kept:
            self.folder.drop(span)
        self.known = kept


def sum_by_workers(
    work: Work, folder: CheckpointFolder, pool: Pool, report: Report
) -> TrainingSums:
    """Return the sums over all rows, computed by the workers of a pool.

    Workers read the frames and the unfitted model (`CheckpointFolder.start`, which must be
    there) from the folder and write sums into it; sums of full nodes replace those of
    their parts. Only names of files pass between the processes.

    Parameters
    ----------
    work, folder, report
        As for `sum_here`.
    pool : Pool
        Workers that see the folder.

    Raises
    ------
    GapfitError
        A task failed, or too many workers died of it: names the frames.
    """
    if not folder.frames.exists():
        with atomic_write(folder.frames) as temporary:
            write_frames(work.frames, temporary)
    return _ByWorkers(work, folder, pool, report).run()


class _ByWorkers:
    """Gives out tasks, in order; adds the parts of the root itself."""

    def __init__(
        self, work: Work, folder: CheckpointFolder, pool: Pool, report: Report
    ) -> None:
        self.work, self.folder, self.pool, self.report = work, folder, pool, report
        self.known = outermost(folder.spans())
        self.running: dict[Future[Span], Node] = {}
        self.deaths: dict[Span, int] = {}
        self.waiting: deque[Node] = deque()
        # The modules are those that register the kinds of terms.
        modules = tuple(type(term.config).__module__ for term in work.rows.terms)
        self.shared = folder.path, folder.start.stat().st_mtime_ns, modules

    def run(self) -> TrainingSums:
        """Return the sum over all tasks."""
        whole = self.work.root
        own = _Open(0)
        if start := whole.prefix(self.known):
            own.add(self._read(start), start.stop)
        self.waiting.extend(self._leaves(own.span.stop))
        self._count()
        for child in whole.children or [whole]:
            if child.span.first >= own.span.stop:
                while child.span not in self.known:
                    self._merge_what_is_ready(child)
                    self._step()
                own.add(self._read(child.span), child.span.stop)
        assert own.sums is not None
        return own.sums

    def _read(self, span: Span) -> TrainingSums:
        return self.folder.read(span, self.work.rows.whitening)

    def _leaves(self, first: int) -> list[Node]:
        """Return the tasks whose rows are in no sum yet."""
        n_tasks = len(self.work.tasks)
        done = {n for span in self.known for n in range(*span)}
        return [Node(0, n, n_tasks) for n in range(first, n_tasks) if n not in done]

    def _merge_what_is_ready(self, node: Node) -> None:
        """Queue the innermost nodes whose parts are all there."""
        if node.level == 0 or node.span in self.known:
            return
        if node in [*self.running.values(), *self.waiting]:
            return
        if node.parts(self.known):
            self.waiting.appendleft(node)
            return
        for child in node.children:
            self._merge_what_is_ready(child)

    def _step(self) -> None:
        """Keep the workers busy and wait until something is done."""
        while self.waiting and len(self.running) < (1 + _WAITING) * self.pool.n_workers:
            self._submit(self.waiting.popleft())
        assert self.running, "nothing to wait for"
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        lost: list[Node] = []
        cause: BrokenExecutor | None = None
        for future in done:
            node = self.running.pop(future)
            try:
                self._finished(future.result())
            except BrokenExecutor as error:
                lost.append(node)
                cause = error
            except Exception as error:
                raise GapfitError(
                    f"the rows of {self.work.described(node.span)} could not be summed "
                    f"up: {type(error).__name__}: {error}"
                ) from error
        if cause is not None:
            self._start_again(lost, cause)

    def _submit(self, node: Node) -> None:
        work, submit = self.work, self.pool.executor.submit
        try:
            if node.level:
                parts = node.parts(self.known)
                assert parts is not None
                future = submit(_merge, *self.shared, node.span, parts)
            else:
                part = work.tasks[node.span.first]
                future = submit(
                    _compute,
                    *self.shared,
                    node.span,
                    part,
                    work.groups[part],
                    work.batch_atoms,
                    self.pool.threads,
                )
        except BrokenExecutor as error:
            self._start_again([node], error)
            return
        self.running[future] = node

    def _finished(self, span: Span) -> None:
        self.known = outermost({*self.known, span})
        self._count()

    def _count(self) -> None:
        self.report(sum(self.work.rows_of(span) for span in self.known))

    def _start_again(self, lost: list[Node], cause: BrokenExecutor) -> None:
        """Give the tasks of a broken executor to a new one, unless one keeps killing it."""
        again = sorted([*lost, *self.running.values()], key=lambda node: node.span)
        self.running = {}
        for node in again:
            self.deaths[node.span] = self.deaths.get(node.span, 0) + 1
        often = [n.span for n in again if self.deaths[n.span] >= _MOST_DEATHS]
        try:
            if often:
                raise cause
            self.pool.renew(cause)
        except BrokenExecutor as error:
            spans = often or [again[0].span]
            where = "; ".join(self.work.described(span) for span in spans)
            raise GapfitError(
                f"workers died while they summed up the rows of {where} ({error}): out of "
                "memory? Lower run.workers or run.memory, and go on with --resume"
            ) from error
        # What finished unseen is on disk.
        self.known = outermost(self.known | self.folder.spans())
        self.waiting.extendleft(
            node for node in reversed(again) if node.span not in self.known
        )


@lru_cache(maxsize=1)
def _opened(
    folder: Path, stamp: int, modules: tuple[str, ...]
) -> tuple[Rows, FrameFile]:
    """Return what the tasks of a folder share; read once by each worker.

    `stamp` tells fits apart that used the same folder one after the other. Descriptors
    of other packages are known once their `modules` are imported.
    """
    for module in modules:
        import_module(module)
    files = CheckpointFolder(folder)
    model = load(files.start, training_sums=True)
    sums = model.training_sums
    assert sums is not None
    rows = Rows(model.terms, model.e0, model.config.sigma, sums.whitening, sums.method)
    return rows, FrameFile.open(files.frames)


def _compute(
    folder: Path,
    stamp: int,
    modules: tuple[str, ...],
    span: Span,
    part: slice,
    groups: Sequence[tuple[Group, ...]],
    batch_atoms: int,
    threads: int,
) -> Span:
    """Write the sums over the rows of a task; run by a worker."""
    rows, frames = _opened(folder, stamp, modules)
    with limited(threads):
        sums = rows.sum_up(frames[part], groups, batch_atoms)
    CheckpointFolder(folder).write(span, sums)
    return span


def _merge(
    folder: Path,
    stamp: int,
    modules: tuple[str, ...],
    span: Span,
    parts: Sequence[Span],
) -> Span:
    """Replace sums by their sum; run by a worker."""
    rows, _ = _opened(folder, stamp, modules)
    files = CheckpointFolder(folder)
    if span in files.spans():
        # Done before by a worker that died, or whose answer was lost: parts may be gone.
        return span
    own = files.read(parts[0], rows.whitening)
    for part in parts[1:]:
        own.merge(files.read(part, rows.whitening))
    files.write(span, own)
    for part in parts:
        if part != span:
            files.drop(part)
    return span
