"""The end of a process by a signal, as an exception."""

from __future__ import annotations

import signal

__all__ = ["Terminated", "exit_status"]


class Terminated(BaseException):
    """The process got a signal that ends it.

    Attributes
    ----------
    status : int
        Exit status.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = exit_status(number)


def exit_status(number: int) -> int:
    """Return the exit status that shells expect after a signal.

    Examples
    --------
    >>> exit_status(signal.SIGTERM)
    143
    """
    return 128 + number
