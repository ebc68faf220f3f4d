"""A process of its own for an object: its memory is not that of others."""

from __future__ import annotations

import os
import resource
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from _common import peak_memory

_SECONDS = 5


class Apart:
    """An object in a process that is forked here and ends with this one.

    Parameters
    ----------
    worker : object
        Its copy in the other process keeps what its methods leave there.
    name : str
        For the message if the process ends.
    """

    def __init__(self, worker: object, name: str) -> None:
        context = get_context("fork")
        self.name = name
        self._connection, theirs = context.Pipe()
        arguments = theirs, worker
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, method: str) -> Any:
        """Call a method without arguments there, and return what it returns."""
        self._connection.send(method)
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"{self.name}: the process ended with {self._process.exitcode}; "
                "its output says why"
            ) from None

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _serve(connection: Connection, worker: object) -> None:
    parent = os.getppid()
    # Later processes hold copies of the other end: it does not close when ours ends.
    while os.getppid() == parent:
        if connection.poll(_SECONDS):
            connection.send(getattr(worker, connection.recv())())


def peak_of_processes() -> float:
    """Return the largest memory of this process or of one that it waited for, GB."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return max(peak_memory(), children * unit) / 1e9
