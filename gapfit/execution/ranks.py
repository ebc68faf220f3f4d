"""Ranks that mpiexec started: when one of them fails, all end.

MPI makes a rank that has finished wait for the others. A rank that ends alone, by an error
or a signal, would leave them and mpiexec waiting forever.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from threading import Thread, Timer
from typing import TypeVar

from gapfit._support.extras import needed
from gapfit._support.termination import Terminated, exit_status
from gapfit.errors import GapfitError

__all__ = ["Ranks", "agreed", "joined", "started"]

# Variables in which MPICH and Open MPI give the number of processes of mpiexec.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds that the leader has to end the job in order after an error or a signal.
_GRACE = 3.0
#: Seconds that mpiexec gets to pass on output: an abort drops what is not yet printed.
_PAUSE = 0.3

_T = TypeVar("_T")


def started() -> int:
    """Return how many processes mpiexec started, 1 without it."""
    return max(int(os.environ.get(name, "1")) for name in _SIZES)


@lru_cache(maxsize=1)
def joined() -> Ranks:
    """Return the ranks of this job; the first call starts MPI, on all of them."""
    return Ranks()


def agreed(work: Callable[[], _T], *, mpi: bool) -> _T:
    """Return the result of `work` on this rank, if no rank of the job failed at it.

    Parameters
    ----------
    work : callable
        Function without arguments.
    mpi : bool
        Whether MPI was asked for. It is also used where mpiexec started several
        processes.

    Raises
    ------
    GapfitError
        As `work` does here or, on rank 0, on any rank.
    SystemExit
        On all other ranks in this case: rank 0 reports the error.
    """
    if mpi or (started() > 1 and find_spec("mpi4py")):
        return joined().agree(work)
    return work()


class Ranks:
    """The ranks of this MPI job, which ends as a whole from now on.

    It is aborted if this process ends before `part` was called, whatever the reason, and
    soon after SIGINT or SIGTERM, which are a `KeyboardInterrupt` and a `Terminated` on
    rank 0.

    Attributes
    ----------
    rank, size : int
        Number of this rank, and of all ranks.
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise GapfitError(
                'run.executor = "mpi" is for Linux and macOS; on Windows set run.executor '
                '= "local" or "dask"'
            )
        with _fatal_signals():  # MPI's start waits for all ranks and handles none
            mpi = needed("mpi4py.MPI", "mpi", 'run.executor = "mpi"')
            self._world = mpi.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self._parted = self._reported = False
        self._status = 1
        if self.size > 1:
            atexit.register(self._leave)
            self._watch()

    def agree(self, work: Callable[[], _T]) -> _T:
        """Return the result of `work`, if no rank failed at it; see `agreed`."""
        try:
            result = work()
        except GapfitError as error:
            self._compare(str(error))
            raise
        self._compare("")
        return result

    def part(self) -> None:
        """Let this rank end without the others, which are about to do the same."""
        self._parted = True

    def part_soon(self) -> None:
        """Let this rank end as soon as the workers are free; abort if that takes long."""
        self.part()
        _ignore_signals()
        timer = Timer(_GRACE, self._abort)
        timer.daemon = True
        timer.start()

    def _compare(self, problem: str) -> None:
        """Raise if any rank has a problem."""
        problems = self._world.allgather(problem)
        failed = [rank for rank, text in enumerate(problems) if text]
        if not failed:
            return
        self.part()
        if self.rank:
            raise SystemExit(1)
        first = problems[failed[0]]
        if problems.count(first) == self.size:
            raise GapfitError(first)
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise GapfitError(f"rank {failed[0]}{more} of {self.size}: {first}")

    def _watch(self) -> None:
        """Receive signals in a thread, too: the main one may be busy in compiled code."""
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._interrupt)
        Thread(target=self._follow, args=(receiver,), daemon=True).start()

    def _interrupt(self, number: int, _: object) -> None:
        # A terminal's Ctrl-C may come twice: from it, and from mpiexec.
        _ignore_signals()
        self._status = exit_status(number)
        # Usually all ranks get the signal; one message is enough.
        if self.rank == 0:
            self._reported = True
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def _follow(self, receiver: socket.socket) -> None:
        while (number := receiver.recv(1)[0]) not in _SIGNALS:
            pass
        self._status = exit_status(number)
        time.sleep(2 * _GRACE if self.rank else _GRACE)
        if not self._reported:
            where = f"rank {self.rank} of {self.size} was " if self.rank else ""
            how = "interrupted" if number == signal.SIGINT else "stopped by SIGTERM"
            print(f"gapfit: {where}{how}", file=sys.stderr)
        self._abort()

    def _leave(self) -> None:
        if not self._parted:
            self._abort()

    def _abort(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(_PAUSE)
        self._world.Abort(self._status)


@contextmanager
def _fatal_signals() -> Iterator[None]:
    """Let signals kill this process, which mpiexec notices."""
    handlers = [signal.signal(number, signal.SIG_DFL) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
