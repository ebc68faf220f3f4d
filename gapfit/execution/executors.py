"""Workers that run tasks: processes of this machine, MPI ranks or Dask workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any

from gapfit._support.extras import needed
from gapfit.config.sections import RunConfig
from gapfit.errors import GapfitError
from gapfit.execution.ranks import joined, started
from gapfit.threads import available

__all__ = ["Pool", "leading", "open_pool", "refuse_separate"]

# A limit of Windows, which waits for 64 things at most, three of them Python's own.
_MOST_WORKERS_OF_WINDOWS = 61


@dataclass
class Pool:
    """An executor, the number of its workers and their threads.

    Attributes
    ----------
    executor : concurrent.futures.Executor
        Runs tasks.
    n_workers : int
        Processes that run them.
    threads : int
        Threads of each process.
    reopen : callable or None
        Returns another executor after a worker died; None where that cannot be done.
    end : callable or None
        Makes the workers end, even in the middle of a task; None where that cannot be
        done.
    """

    executor: Executor
    n_workers: int
    threads: int
    reopen: Callable[[], Executor] | None = None
    end: Callable[[], None] | None = None

    def submit(self, task: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Give a task to a worker."""
        # A worker that starts now inherits that it gets no SIGINT: at Ctrl-C, this process
        # ends the workers.
        with _without_interrupts():
            return self.executor.submit(task, *arguments)

    def wake(self) -> None:
        """Start the workers and their imports, in the background."""
        for _ in range(self.n_workers):
            self.submit(_import)

    def renew(self, error: BrokenExecutor) -> None:
        """Replace an executor that lost a worker; raise `error` if that cannot be done."""
        if self.reopen is None:
            raise error
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.reopen()

    def stop_after_error(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the workers at once if there is an error; an exit of a context."""
        if kind is not None and self.end is not None:
            self.end()
            self.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold SIGINT back until the end of the block, where that can be done."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_leader(lifeline: Connection) -> None:
    """End this worker as soon as the process that started it is gone or wants it to end.

    Workers of a killed leader would wait for tasks forever and keep their memory.

    Parameters
    ----------
    lifeline : Connection
        A pipe whose other end the leader closes.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows sends Ctrl-C to workers, too
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    leader = multiprocessing.parent_process()
    assert leader is not None

    def follow() -> None:
        wait([lifeline, leader.sentinel])
        os._exit(1)

    Thread(target=follow, daemon=True).start()


def _import() -> None:
    """Import the modules for summing up rows; run by a worker."""
    import gapfit.model.storage  # noqa: F401


@contextmanager
def open_pool(
    run: RunConfig, executor: Executor | None = None
) -> Iterator[Pool | None]:
    """Yield a pool of workers; None where this process does all the work.

    Parameters
    ----------
    run : RunConfig
        Kind of executor and number of workers.
    executor : concurrent.futures.Executor, optional
        An open executor to use; it stays open.
    """
    if executor is not None:
        n_workers = getattr(executor, "num_workers", run.workers)
        yield Pool(executor, n_workers, run.threads or 1)
    elif run.executor == "local":
        with _local(run) as pool:
            yield pool
    elif run.executor == "mpi":
        with _mpi(run) as pool:
            yield pool
    else:
        with _dask(run) as pool:
            yield pool


@contextmanager
def leading(run: RunConfig) -> Iterator[tuple[bool, Executor | None]]:
    """Yield whether this process leads, and the executor of the processes that do not.

    Started by mpiexec, all processes but the first serve that one until the block ends.
    If it fails on any of them, the whole job ends within seconds.
    """
    if run.executor != "mpi":
        yield True, None
        return
    futures, _ = _world()
    ranks, executor = joined(), None
    with ExitStack() as stack:
        try:
            executor = stack.enter_context(futures.MPICommExecutor())
            yield executor is not None, executor
        except BaseException:
            stack.pop_all()  # its end would wait for all tasks
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
                ranks.part_soon()
            raise
    ranks.part()


def refuse_separate(run: RunConfig) -> None:
    """Refuse processes of mpiexec that would each fit alone.

    Raises
    ------
    GapfitError
        Several processes were started by mpiexec, but ``run.executor`` is another one.
    """
    if run.executor != "mpi" and started() > 1:
        raise GapfitError(
            f'mpiexec started {started()} processes, but run.executor = "{run.executor}"'
            ': each would fit alone; give --executor mpi, or set run.executor = "mpi"'
        )


@contextmanager
def _local(run: RunConfig) -> Iterator[Pool | None]:
    if run.workers == 1:
        yield None
        return
    if sys.platform == "win32" and run.workers > _MOST_WORKERS_OF_WINDOWS:
        raise GapfitError(
            f"run.workers = {run.workers}: Windows allows up to "
            f"{_MOST_WORKERS_OF_WINDOWS}; give each more threads with run.threads"
        )
    # Forked children would inherit the locks of threads that do not exist there.
    context = multiprocessing.get_context("spawn")

    lifeline, end = context.Pipe(duplex=False)

    def start() -> Executor:
        return ProcessPoolExecutor(
            run.workers,
            mp_context=context,
            initializer=_end_with_leader,
            initargs=(lifeline,),
        )

    threads = run.threads or max(available() // run.workers, 1)
    pool = Pool(start(), run.workers, threads, start, end.close)
    with ExitStack() as stack:
        stack.callback(end.close)
        stack.callback(lambda: pool.executor.shutdown(wait=True, cancel_futures=True))
        stack.push(pool.stop_after_error)
        pool.wake()
        yield pool


@contextmanager
def _mpi(run: RunConfig) -> Iterator[Pool | None]:
    futures, n_ranks = _world()
    executor = futures.MPIPoolExecutor()
    try:
        yield Pool(executor, n_ranks - 1, run.threads or 1)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _world() -> tuple[Any, int]:
    """Return ``mpi4py.futures`` and the number of ranks, at least two."""
    setting = 'run.executor = "mpi"'
    futures = needed("mpi4py.futures", "mpi", setting)
    n_ranks = needed("mpi4py.MPI", "mpi", setting).COMM_WORLD.Get_size()
    if n_ranks == 1:
        raise GapfitError(
            'run.executor = "mpi", but this is a single process: start it as '
            "`mpiexec -n 4 gapfit fit ...` (or your script as `mpiexec -n 4 python "
            "-m mpi4py.futures script.py`)"
        )
    return futures, n_ranks


@contextmanager
def _dask(run: RunConfig) -> Iterator[Pool | None]:
    distributed = needed("distributed", "dask", 'run.executor = "dask"')
    with _dask_client(run, distributed) as client:
        n_workers = max(
            len(client.scheduler_info(n_workers=-1)["workers"]), run.workers
        )
        # Dask itself gives the tasks of a dead worker to another one.
        with client.get_executor(pure=False, retries=3) as executor:
            yield Pool(executor, n_workers, run.threads or 1)


def _dask_client(run: RunConfig, distributed: Any) -> Any:
    if not run.scheduler:
        cluster = distributed.LocalCluster(
            n_workers=run.workers, threads_per_worker=1, dashboard_address=None
        )
        return distributed.Client(cluster)
    try:
        if Path(run.scheduler).is_file():
            return distributed.Client(scheduler_file=run.scheduler)
        return distributed.Client(run.scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise GapfitError(
            f"run.scheduler = {run.scheduler!r}: no Dask scheduler answers there "
            f"({type(error).__name__}: {error}); start one with `dask scheduler`, and give "
            "its address or its scheduler file"
        ) from error
