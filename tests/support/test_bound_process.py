"""Programs that end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gapfit._support.bound_process import run_bound

# Writes its number to a file that is given, and would live for a minute.
PROGRAM = (
    "import os, sys, time; "
    "open('new', 'w').write(str(os.getpid())); os.replace('new', 'number'); "
    "time.sleep(60)"
)
STARTER = f"""
import sys
from pathlib import Path
from gapfit._support.bound_process import run_bound
try:
    run_bound((sys.executable, "-c", {PROGRAM!r}), Path({{folder!r}}))
except KeyboardInterrupt:
    pass
"""


def until(what, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(what())


def is_alive(number: int) -> bool:
    """Return whether a process runs; one that nobody waits for does not."""
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_output_and_status_are_those_of_the_program(tmp_path):
    code = "print(1, flush=True); import os; os.write(2, b'two'); exit(3)"
    assert run_bound((sys.executable, "-c", code), tmp_path) == (3, "1\ntwo")


def test_it_runs_in_the_folder_and_reads_nothing(tmp_path):
    code = "import os, sys; print(os.getcwd(), repr(sys.stdin.read()))"
    status, output = run_bound((sys.executable, "-c", code), tmp_path)
    assert (status, output) == (0, f"{tmp_path.resolve()} ''\n")


def test_a_signal_is_not_a_success(tmp_path):
    code = "import os; os.kill(os.getpid(), 9)"
    assert run_bound((sys.executable, "-c", code), tmp_path)[0] == 128 + 9


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_starter(number, tmp_path):
    code = STARTER.format(folder=str(tmp_path))
    starter = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert until((tmp_path / "number").exists)
        program = int((tmp_path / "number").read_text())
        assert is_alive(program)
    finally:
        os.kill(starter.pid, number)
        starter.wait()
    assert until(lambda: not is_alive(program))
