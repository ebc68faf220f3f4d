"""A program that ends with the process that started it, even where that is killed.

Between them is a process that runs this file. Its input is a pipe whose other end the
starter alone holds: when that closes, the program is ended.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["run_bound"]

# Seconds that a program has to end by itself, as mpirun does with its ranks.
_GRACE = 5.0


def run_bound(words: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Run a program to its end.

    Parameters
    ----------
    words : tuple of str
        The program and its arguments.
    folder : Path
        Folder in which it runs.

    Returns
    -------
    status, output : int, str
        Exit status, and what it wrote to its output and errors.
    """
    with subprocess.Popen(
        [sys.executable, "-I", __file__, *words],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    return process.returncode, output


def _run(words: list[str]) -> int:
    """Run a program until it ends or the input does; return its exit status."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    # An interrupt from the keyboard is for the starter, which then closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, args=[process], daemon=True).start()
    status = process.wait()
    return status if status >= 0 else 128 - status


def _end_with_input(process: "subprocess.Popen[bytes]") -> None:
    os.read(0, 1)
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
