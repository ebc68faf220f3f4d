"""Runs commands whose disk fails: a process with the library of failing_disk.c preloaded.

It reads lines of JSON, ``{"command", "folder", "fault"}``, runs each command in a fork, and
answers with lines of JSON: exit status, standard error and number of calls.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

from helpers.faults import run

#: An armed fault: folder, call, number, errno and whether all later calls fail, too.
Fault = tuple[str, str, int, int, bool]


def _armed(fault: Fault | None) -> None:
    if fault is not None:
        where, call, number, error, forever = fault
        library = ctypes.CDLL(None)
        library.fail(where.encode(), call.encode(), number, error, int(forever))


def serve() -> None:
    """Answer until the end of standard input."""
    answers = sys.stdout
    for line in sys.stdin:
        task = json.loads(line)
        ended = run(
            task["command"],
            Path(task["folder"]),
            prepare=lambda task=task: _armed(task["fault"]),
        )
        print(json.dumps([ended.status, ended.errors]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
