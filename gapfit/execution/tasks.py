"""Sums over the rows of all frames, by this process or by workers, with checkpoints."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import FrameFile
from gapfit.errors import GapfitError
from gapfit.execution.accumulate import RowBuilder
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.executors import Pool
from gapfit.execution.merge_tree import Node, Span, outermost, root
from gapfit.gp.observations import Group
from gapfit.gp.training_sums import TrainingSums
from gapfit.threads import limited

__all__ = ["Summation", "sum_by_workers", "sum_here"]

#: Called with the rows done so far.
Report = Callable[[int], None]

# Shortest time between checkpoints: in seconds, and relative to the time of the last.
_LEAST_INTERVAL, _INTERVALS = 5.0, 40.0
# Number of workers that may die during a task before it is given up.
_MOST_DEATHS = 3
# Tasks waiting for each worker: enough to keep it busy, few enough to go in order.
_WAITING = 2


@dataclass(frozen=True, eq=False)
class Summation:
    """A sum over the rows of all frames: rows, tasks and groups.

    Attributes
    ----------
    rows : RowBuilder
        Makes rows of frames.
    frames : sequence of Frame
        Without the baseline, with automatic sigmas.
    groups : sequence
        Groups of each frame's energy, forces and virial.
    n_rows : (n_frames,) int64
        Observations of each frame.
    tasks : sequence of slice
        Frames of each task.
    batch_atoms : int
        Atoms whose rows are in memory at a time.
    """

    rows: RowBuilder
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
        """Return the number of observations of a span of tasks."""
        first, stop = self.tasks[span.first].start, self.tasks[span.stop - 1].stop
        return int(self.n_rows[first:stop].sum())

    def described(self, span: Span) -> str:
        """Return the first and last frame of a span of tasks, for messages."""
        first = self.frames[self.tasks[span.first].start].source
        last = self.frames[self.tasks[span.stop - 1].stop - 1].source
        return first if first == last else f"{first} to {last}"


def sum_here(
    work: Summation, folder: CheckpointFolder | None, report: Report
) -> TrainingSums:
    """Return the sums over all rows, computed by this process.

    Parameters
    ----------
    work : Work
        The sum to compute.
    folder : CheckpointFolder or None
        Folder of the checkpoints, with those of an earlier call; in the end the sum is
        written there, too.
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
    """Sums up the tree from the left; writes the open nodes from time to time."""

    def __init__(
        self, work: Summation, folder: CheckpointFolder | None, report: Report
    ) -> None:
        self.work, self.folder, self.report = work, folder, report
        self.spans = outermost(folder.spans()) if folder else set()
        self.open: list[_Open] = []
        self.done = 0
        self.interval = _LEAST_INTERVAL
        self.written = time.monotonic()

    def fold(self, node: Node) -> TrainingSums:
        """Return the sum over a node."""
        total = _Open(node.span.first)
        self.open.append(total)
        if (start := node.prefix(self.spans)) and self.folder:
            total.add(self.folder.read(start, self.work.rows.whitening), start.stop)
            self._count(self.work.rows_of(start))
        elif node.level == 0:
            total.add(self._computed(node), node.span.stop)
        for child in node.children:
            if child.span.first >= total.span.stop:
                total.add(self.fold(child), child.span.stop)
                self._checkpoint()
        self.open.pop()
        assert total.sums is not None
        return total.sums

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
        # The open nodes contain each finished task once.
        self.keep({node.span: node.sums for node in self.open if node.sums})
        self.written = time.monotonic()
        self.interval = max(_LEAST_INTERVAL, _INTERVALS * (self.written - started))

    def keep(self, sums: Mapping[Span, TrainingSums]) -> None:
        """Write sums, and delete those that they contain."""
        if self.folder is None:
            return
        for span, part in sums.items():
            if span not in self.spans:
                self.folder.write(span, part)
        # Workers of an earlier run may have summed up tasks that come later here.
        kept = outermost(self.spans | sums.keys())
        for span in self.spans - kept:
            self.folder.drop(span)
        self.spans = kept


def sum_by_workers(
    work: Summation, folder: CheckpointFolder, pool: Pool, report: Report
) -> TrainingSums:
    """Return the sums over all rows, computed by the workers of a pool.

    Workers read the frames and the unfitted model (`CheckpointFolder.start`, which must be
    there) from the folder and write sums into it; sums of complete nodes replace those of
    their parts. The processes exchange nothing but names of files.

    Parameters
    ----------
    work, folder, report
        As for `sum_here`.
    pool : Pool
        Workers that see the folder.

    Raises
    ------
    GapfitError
        A task failed, or too many workers died during it: names the frames.
    """
    # Written again by a resumed fit: sooner done than checked to be whole.
    folder.write_frames(work.frames)
    return _ByWorkers(work, folder, pool, report).run()


class _ByWorkers:
    """Distributes tasks, in order; adds the parts of the root itself."""

    def __init__(
        self, work: Summation, folder: CheckpointFolder, pool: Pool, report: Report
    ) -> None:
        self.work, self.folder, self.pool, self.report = work, folder, pool, report
        self.spans = outermost(folder.spans())
        self.running: dict[Future[Span], Node] = {}
        self.deaths: dict[Span, int] = {}
        self.waiting: deque[Node] = deque()
        modules = tuple(type(term.config).__module__ for term in work.rows.terms)
        self.inputs = _Inputs(folder.path, folder.fit, modules, work.rows.device)

    def run(self) -> TrainingSums:
        """Return the sum over all tasks."""
        node = self.work.root
        total = _Open(0)
        if start := node.prefix(self.spans):
            total.add(self._read(start), start.stop)
        self.waiting.extend(self._leaves(total.span.stop))
        self._count()
        for child in node.children or [node]:
            if child.span.first >= total.span.stop:
                while child.span not in self.spans:
                    self._queue_merges(child)
                    self._step()
                total.add(self._read(child.span), child.span.stop)
        assert total.sums is not None
        return total.sums

    def _read(self, span: Span) -> TrainingSums:
        return self.folder.read(span, self.work.rows.whitening)

    def _leaves(self, first: int) -> list[Node]:
        """Return the tasks whose rows are in no sum yet."""
        n_tasks = len(self.work.tasks)
        done = {n for span in self.spans for n in range(*span)}
        return [Node(0, n, n_tasks) for n in range(first, n_tasks) if n not in done]

    def _queue_merges(self, node: Node) -> None:
        """Queue the innermost nodes whose parts are all summed up."""
        if node.level == 0 or node.span in self.spans:
            return
        if node in [*self.running.values(), *self.waiting]:
            return
        if node.parts(self.spans):
            self.waiting.appendleft(node)
            return
        for child in node.children:
            self._queue_merges(child)

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
        work, submit = self.work, self.pool.submit
        try:
            if node.level:
                parts = node.parts(self.spans)
                assert parts is not None
                future = submit(_merge, self.inputs, node.span, parts)
            else:
                part = work.tasks[node.span.first]
                future = submit(
                    _compute,
                    self.inputs,
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
        self.spans = outermost({*self.spans, span})
        self._count()

    def _count(self) -> None:
        self.report(sum(self.work.rows_of(span) for span in self.spans))

    def _start_again(self, lost: list[Node], cause: BrokenExecutor) -> None:
        """Give the tasks of a broken executor to a new one; refuse tasks that kill it."""
        nodes = sorted([*lost, *self.running.values()], key=lambda node: node.span)
        self.running = {}
        for node in nodes:
            self.deaths[node.span] = self.deaths.get(node.span, 0) + 1
        deadly = [n.span for n in nodes if self.deaths[n.span] >= _MOST_DEATHS]
        try:
            if deadly:
                raise cause
            self.pool.renew(cause)
        except BrokenExecutor as error:
            spans = deadly or [nodes[0].span]
            where = "; ".join(self.work.described(span) for span in spans)
            raise GapfitError(
                f"workers died while they summed up the rows of {where} ({error}): out of "
                "memory? Lower run.workers or run.memory, and continue with --resume"
            ) from error
        # Tasks that finished without an answer have their sums on disk.
        self.spans = outermost(self.spans | self.folder.spans())
        self.waiting.extendleft(
            node for node in reversed(nodes) if node.span not in self.spans
        )


class _Inputs(NamedTuple):
    """Inputs of all tasks of a fit."""

    folder: Path
    fit: str  # distinguishes fits that used the same folder one after the other
    modules: tuple[str, ...]  # importing them registers the descriptors
    device: str

    @property
    def files(self) -> CheckpointFolder:
        """The files of the fit."""
        return CheckpointFolder(self.folder, self.fit)


@lru_cache(maxsize=1)
def _opened(inputs: _Inputs) -> tuple[RowBuilder, FrameFile]:
    """Return the row builder and frames of a folder; each worker reads them once."""
    for module in inputs.modules:
        import_module(module)
    rows = RowBuilder.of(inputs.files.read_start(), device=inputs.device)
    return rows, inputs.files.read_frames()


def _compute(
    inputs: _Inputs,
    span: Span,
    part: slice,
    groups: Sequence[tuple[Group, ...]],
    batch_atoms: int,
    threads: int,
) -> Span:
    """Write the sums over the rows of a task; run by a worker."""
    rows, frames = _opened(inputs)
    with limited(threads):
        sums = rows.sum_up(frames[part], groups, batch_atoms)
    inputs.files.write(span, sums)
    return span


def _merge(inputs: _Inputs, span: Span, parts: Sequence[Span]) -> Span:
    """Replace sums by their sum; run by a worker."""
    rows, _ = _opened(inputs)
    files = inputs.files
    if span in files.spans():
        # Merged before by a worker that died or whose answer was lost: the parts may be
        # deleted already.
        return span
    total = files.read(parts[0], rows.whitening)
    for part in parts[1:]:
        total.merge(files.read(part, rows.whitening))
    files.write(span, total)
    for part in parts:
        if part != span:
            files.drop(part)
    return span
