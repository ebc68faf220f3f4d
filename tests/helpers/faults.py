"""Commands in processes of their own that are disturbed, and folders to run them in."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import ase.io
from ase.build import bulk
from builders import labelled_frames, silicon

import gapfit
from gapfit.cli import main
from gapfit.execution import tasks
from gapfit.fitting import fit_prepared
from helpers.sums import same

FIT = """\
data.train = "train.xyz"
data.check_labels = false
run.threads = 1
e0.method = "least_squares"
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 12
"""
LEARN = """\
reference.calculator = "exact:Exact"
run.threads = 1
e0.method = "least_squares"
threshold.forces = 0.025
threshold.every = 5
learning.bootstrap = 2
learning.save = 5
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 40
[[runs]]
start = "cu.extxyz"
steps = 30
timestep = 4.0
temperature = 300
final_temperature = 3000
"""
# EMT keeps a list of neighbours, so that its last digits depend on earlier calls.
EXACT = """\
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

class Exact(Calculator):
    implemented_properties = EMT.implemented_properties

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = dict(emt.results)
"""


@dataclass(frozen=True)
class Case:
    """A command that is disturbed.

    Attributes
    ----------
    command : sequence of str
        Its arguments.
    again : sequence of str
        Those by which it is completed.
    exact : sequence of str
        Files that are the same to the last byte however often it was disturbed.
    like : str
        Name of another case that gives the same models, but for a setting in them.
    """

    command: Sequence[str]
    again: Sequence[str]
    exact: Sequence[str]
    like: str = ""


_FIT = ["fit", "fit.toml", "--no-report"]
_NEW = ["model.npz", "new.xyz", "--output", "out.npz"]
_MODEL = ["fit-model/model.npz"]
_SELECT = ["select", "model.npz", "pool.xyz", "-n", "3", "--output", "picked.xyz"]
_REFIT = ["refit", "model.npz", "--sigma-forces", "0.2", "--output", "out.npz"]
_REPORT = ["report", "done", "--no-learning-curve", "--no-dimers"]
_LEARNED = [
    f"learn-model/{name}"
    for name in ("model.npz", "labelled.extxyz", "log.jsonl", "trajectory.extxyz")
]
CASES = {
    "fit": Case(_FIT, [*_FIT, "--resume"], _MODEL),
    "workers": Case([*_FIT, "--workers", "2"], [*_FIT, "--resume"], _MODEL, "fit"),
    "append": Case(["append", *_NEW], ["append", *_NEW], ["out.npz"]),
    "refit": Case(_REFIT, _REFIT, ["out.npz"]),
    "select": Case(_SELECT, _SELECT, ["picked.xyz"]),
    "learn": Case(
        ["learn", "learn.toml"], ["learn", "learn.toml", "--resume"], _LEARNED
    ),
    "report": Case(_REPORT, _REPORT, ["done/report/parity.png"]),
}


def fill(folder: Path) -> None:
    """Write the input of all cases, and a finished fit."""
    frames = labelled_frames(silicon, 30)
    ase.io.write(folder / "train.xyz", frames[:18], format="extxyz")
    ase.io.write(folder / "new.xyz", frames[18:22], format="extxyz")
    ase.io.write(folder / "pool.xyz", frames[22:], format="extxyz")
    ase.io.write(folder / "cu.extxyz", bulk("Cu", cubic=True) * (2, 1, 1))
    (folder / "fit.toml").write_text(FIT)
    (folder / "learn.toml").write_text(LEARN)
    (folder / "exact.py").write_text(EXACT)
    run([*_FIT, "--output", "done"], folder).require(0)
    (folder / "model.npz").write_bytes((folder / "done" / "model.npz").read_bytes())


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    status : int
        Exit status; negative for the signal that killed it.
    errors : str
        Its standard error.
    seconds : float
        Its time.
    pid : int
        Its number, and that of its group of processes.
    """

    status: int
    errors: str
    seconds: float
    pid: int

    def require(self, *statuses: int) -> None:
        """Assert that it ended with one of these statuses."""
        assert self.status in statuses, f"status {self.status}: {self.errors}"


def temporary(folder: Path) -> Path:
    """Return the TMPDIR of commands in a folder."""
    return folder.with_name(f"{folder.name}-temporary")


def run(
    command: Sequence[str],
    folder: Path,
    disturb: Callable[[int], None] = lambda pid: None,
    prepare: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a command in a process and a group of processes of its own.

    Parameters
    ----------
    command : sequence of str
        Arguments of gapfit.
    folder : Path
        Folder to run in.
    disturb : callable
        Called here with the number of the process.
    prepare : callable
        Called in the process before the command.
    """
    temporary(folder).mkdir(exist_ok=True)
    (temporary(folder).parent / "errors").touch()
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        _be(command, folder, prepare)
    disturb(pid)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seconds = time.perf_counter() - begun
    errors = (temporary(folder).parent / "errors").read_text()
    return Ended(status, errors, seconds, pid)


def _be(command: Sequence[str], folder: Path, prepare: Callable[[], None]) -> NoReturn:
    """Be the process of a command."""
    status = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["TMPDIR"] = str(temporary(folder))
        tempfile.tempdir = None
        with open(temporary(folder).parent / "errors", "w") as sys.stderr:
            os.dup2(sys.stderr.fileno(), 2)
            with open(os.devnull, "w") as sys.stdout:
                os.dup2(sys.stdout.fileno(), 1)
                _many_tasks()
                prepare()
                status = main(list(command))
    except KeyboardInterrupt:
        status = 130  # before or after the command
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _many_tasks() -> None:
    """Make every third frame a task, with checkpoints all the time."""

    def thirds(sizes: Sequence[int], n_sparse: int) -> list[slice]:
        return [slice(n, min(n + 3, len(sizes))) for n in range(0, len(sizes), 3)]

    fit_prepared.task_slices = thirds
    tasks._LEAST_INTERVAL = tasks._INTERVALS = 0.0


def killing(
    number: signal.Signals, delay: float, *, group: bool
) -> Callable[[int], None]:
    """Return what sends a signal to a process, or to its group, after some seconds."""

    def disturb(pid: int) -> None:
        time.sleep(delay)
        try:
            (os.killpg if group else os.kill)(pid, number)
        except ProcessLookupError:
            os.kill(pid, number)  # it has no group yet

    return disturb


def alive(group: int) -> list[int]:
    """Return the living processes of a group."""
    out = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, found = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(found) == group and state != "Z":
            out.append(int(path.parent.name))
    return out


def require_all_ended(group: int, patience: float = 30.0) -> None:
    """Assert that the processes of a group end soon."""
    until = time.monotonic() + patience
    while alive(group):
        assert time.monotonic() < until, f"processes {alive(group)} did not end"
        time.sleep(0.05)


def names(folder: Path) -> list[str]:
    """Return the names of all files and folders in a folder."""
    paths = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in paths if "__pycache__" not in name)


def require_completed(case: Case, folder: Path, undisturbed: Path) -> None:
    """Complete a disturbed command, and assert that nothing shows that it was."""
    run(case.again, folder).require(0)
    for name in case.exact:
        one, other = folder / name, undisturbed / name
        if case.like:  # the file says how many workers there were
            same(*(gapfit.load(path) for path in (one, other)))
        else:
            assert one.read_bytes() == other.read_bytes(), name
    assert names(folder) == names(undisturbed)
    assert names(temporary(folder)) == []
