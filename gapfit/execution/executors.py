"""Where tasks run: processes of this machine, MPI ranks or Dask workers."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from gapfit.config.sections import RunConfig
from gapfit.errors import GapfitError
from gapfit.threads import available

__all__ = ["Pool", "leading", "open_pool"]

# Where MPICH and Open MPI say how many processes mpiexec started.
_MPI_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")


@dataclass
class Pool:
    """An executor and what is known about it.

    Attributes
    ----------
    executor : concurrent.futures.Executor
        Takes tasks.
    n_workers : int
        Processes that work on them.
    threads : int
        Of each of them.
    reopen : callable or None
        Gives another executor after a worker died; None where that cannot be done.
    """

    executor: Executor
    n_workers: int
    threads: int
    reopen: Callable[[], Executor] | None = None

    def wake(self) -> None:
        """Have the workers start and import what they need, in the background."""
        for _ in range(self.n_workers):
            self.executor.submit(_import)

    def renew(self, error: BrokenExecutor) -> None:
        """Replace an executor that lost a worker; raise `error` if that cannot be done."""
        if self.reopen is None:
            raise error
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.reopen()


def _end_with_leader() -> None:
    """End this worker as soon as the process that started it is gone.

    Workers of a killed leader would wait for tasks for ever, and hold their memory.
    """
    leader = multiprocessing.parent_process()
    assert leader is not None

    def follow() -> None:
        leader.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()


def _import() -> None:
    """Import what summing up rows needs; run by a worker."""
    import gapfit.model.storage  # noqa: F401


@contextmanager
def open_pool(
    run: RunConfig, executor: Executor | None = None
) -> Iterator[Pool | None]:
    """Give a pool of workers; None where this process does all the work.

    Parameters
    ----------
    run : RunConfig
        Kind of executor and number of workers.
    executor : concurrent.futures.Executor, optional
        One that is open already; it stays open.
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
    """Give whether this process leads, and the executor of the processes that do not.

    Started by mpiexec, all processes but the first serve that one until the block ends.

    Raises
    ------
    GapfitError
        Several processes were started by mpiexec, but ``run.executor`` is another one.
    """
    if run.executor == "mpi":
        futures, _ = _world()
        with futures.MPICommExecutor() as executor:
            yield executor is not None, executor
        return
    started = max(int(os.environ.get(name, "1")) for name in _MPI_SIZES)
    if started > 1:
        raise GapfitError(
            f'mpiexec started {started} processes, but run.executor = "{run.executor}": '
            'each would fit alone; give --executor mpi, or set run.executor = "mpi"'
        )
    yield True, None


@contextmanager
def _local(run: RunConfig) -> Iterator[Pool | None]:
    if run.workers == 1:
        yield None
        return
    # Forked children would hold copies of threads' locks.
    context = multiprocessing.get_context("spawn")

    def start() -> Executor:
        return ProcessPoolExecutor(
            run.workers, mp_context=context, initializer=_end_with_leader
        )

    threads = run.threads or max(available() // run.workers, 1)
    pool = Pool(start(), run.workers, threads, start)
    pool.wake()
    try:
        yield pool
    finally:
        pool.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _mpi(run: RunConfig) -> Iterator[Pool | None]:
    futures, n_ranks = _world()
    with futures.MPIPoolExecutor() as executor:
        yield Pool(executor, n_ranks - 1, run.threads or 1)


def _world() -> tuple[Any, int]:
    """Return ``mpi4py.futures`` and the number of ranks, two at least."""
    futures = _needed("mpi4py.futures", "mpi")
    n_ranks = _needed("mpi4py.MPI", "mpi").COMM_WORLD.Get_size()
    if n_ranks == 1:
        raise GapfitError(
            'run.executor = "mpi", but this is one process alone: start it as '
            "`mpiexec -n 4 gapfit fit ...` (or a script of yours as `mpiexec -n 4 python "
            "-m mpi4py.futures script.py`)"
        )
    return futures, n_ranks


@contextmanager
def _dask(run: RunConfig) -> Iterator[Pool | None]:
    distributed = _needed("distributed", "dask")
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


def _needed(module: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # mpi4py's own without an MPI
        raise GapfitError(
            f'run.executor = "{extra}" needs a package that is missing or does not work '
            f"({error}): pip install 'gapfit[{extra}]'"
        ) from error
