"""Fits on MPI ranks that fail: the whole job ends, and says why."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ase.io
import pytest
from builders import labelled_frames, silicon

from gapfit.cli import main

pytest.importorskip("mpi4py")
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:/usr/bin")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec")

#: Seconds in which a job must be gone once something went wrong.
SOON = 12.0
CONFIG = """[data]
train = ["train.extxyz"]
check_labels = false
[e0]
method = "least_squares"
[[terms]]
r_cut = 4.5
n_max = 4
l_max = 3
n_sparse = 15
[run]
executor = "mpi"
threads = 1
"""
# Tasks of one frame each; {deed} is done in a worker after the first of them.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from gapfit.cli import main
from gapfit.execution import accumulate, tasks
from gapfit.fitting import fit_prepared
fit_prepared.task_slices = lambda sizes, n: [slice(i, i + 1) for i in range(len(sizes))]
original, count = accumulate.RowBuilder.sum_up, tasks._ByWorkers._count
def sum_up(self, frames, *args, **options):
    if frames[0].source.endswith("frame 9"):
        {deed}
    return original(self, frames, *args, **options)
def counted(self):
    count(self)
    if self.spans:
        Path(sys.argv[2]).with_name("begun").touch()
        {leader}
accumulate.RowBuilder.sum_up, tasks._ByWorkers._count = sum_up, counted
sys.exit(main(sys.argv[1:]))
"""
BUSY = "time.sleep(100)"


@pytest.fixture
def case(tmp_path) -> Iterator[Path]:
    """Give the path of a configuration; no process that names it must be left."""
    ase.io.write(tmp_path / "train.extxyz", labelled_frames(silicon, 12))
    (tmp_path / "fit.toml").write_text(CONFIG)
    yield tmp_path / "fit.toml"
    deadline = time.monotonic() + 3
    while (alive := running(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert not alive


def running(folder: Path) -> list[int]:
    """Return the processes that have the folder among their arguments."""
    out = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{folder}/".encode() in path.read_bytes():
                out.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return out


def started(config: Path, deed: str = "pass", leader: str = "pass") -> subprocess.Popen:
    script = SCRIPT.format(deed=deed, leader=leader)
    return launched(sys.executable, "-P", "-c", script, "fit", str(config))


def launched(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GAPFIT_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(MPIEXEC), "-n", "3", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def begun(job: subprocess.Popen, config: Path) -> None:
    """Wait for the first sums of a job."""
    deadline = time.monotonic() + 60
    while not config.with_name("begun").exists():
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(job: subprocess.Popen, seconds: float = SOON) -> str:
    """Return what a failed job printed on standard error."""
    try:
        _, errors = job.communicate(timeout=seconds)
    finally:
        job.kill()
    assert job.returncode != 0
    assert "Traceback" not in errors
    return errors


def resumes(config: Path) -> None:
    """Assert that an unfinished fit goes on, alone."""
    options = ["--resume", "--executor", "local", "--no-report"]
    assert main(["fit", str(config), *options]) == 0
    assert (config.parent / "fit-model/model.npz").exists()


@pytest.mark.parametrize(
    ("number", "to_leader", "message", "status"),
    [
        pytest.param(signal.SIGINT, False, "interrupted", 130, marks=pytest.mark.slow),
        pytest.param(
            signal.SIGTERM, False, "stopped by SIGTERM", 143, marks=pytest.mark.slow
        ),
        pytest.param(signal.SIGINT, True, "interrupted", 130, marks=pytest.mark.slow),
        (signal.SIGTERM, True, "stopped by SIGTERM", 143),
    ],
)
def test_a_signal_ends_a_job_whose_workers_are_busy(
    case, number, to_leader, message, status
):
    leader = "Path(sys.argv[2]).with_name('leader').write_text(str(os.getpid()))"
    job = started(case, deed=BUSY, leader=leader)
    begun(job, case)
    time.sleep(0.3)
    pid = int(case.with_name("leader").read_text()) if to_leader else job.pid
    os.kill(pid, number)
    assert f"gapfit: {message}\n" in ended(job)
    assert job.returncode == status
    resumes(case)


def test_a_signal_to_a_worker_ends_the_job(case):
    job = started(case, deed="os.kill(os.getpid(), signal.SIGINT); time.sleep(100)")
    begun(job, case)
    assert " of 3 was interrupted" in ended(job)


def test_an_error_of_the_leader_ends_a_job_whose_workers_are_busy(case):
    job = started(case, deed=BUSY, leader="raise OSError('no space is left')")
    assert "OSError: no space is left\n" in ended(job, 60)
    resumes(case)


def test_bad_data_end_a_job_in_order(case):
    case.with_name("train.extxyz").write_text("nonsense\n")
    errors = ended(launched(sys.executable, "-P", "-m", "gapfit", "fit", str(case)), 60)
    assert errors.startswith("gapfit: error: ")
    assert "Abort" not in errors
    assert errors.count("train.extxyz") == 1


def test_an_error_of_a_worker_ends_the_job(case):
    job = started(case, deed="raise MemoryError('no room')")
    assert "frame 9 could not be summed up: MemoryError: no room" in ended(job, 60)
    resumes(case)


def test_a_worker_that_fails_outside_of_tasks_ends_the_job(case):
    script = (
        "import sys\nfrom mpi4py import futures\n"
        "from mpi4py.futures import _core\nfrom gapfit.cli import main\n"
        "def broken(*_):\n    raise OSError('the network is gone')\n"
        "_core.server_exec = broken\nsys.exit(main())\n"
    )
    job = launched(sys.executable, "-P", "-c", script, "fit", str(case))
    assert "gapfit: error: the network is gone\n" in ended(job, 60)


def test_a_killed_worker_ends_the_job(case):
    job = started(case, deed="os.kill(os.getpid(), signal.SIGKILL)")
    ended(job, 60)
    resumes(case)


@pytest.mark.parametrize("rank", ["0", "2"])
def test_a_rank_without_its_configuration_ends_the_job(case, rank):
    script = (
        "import os, sys\nfrom gapfit.cli import main\n"
        f"other = os.environ['PMI_RANK'] == '{rank}'\n"
        "sys.exit(main(['fit', sys.argv[2 if other else 1]]))\n"
    )
    missing = str(case.with_name("missing.toml"))
    job = launched(sys.executable, "-P", "-c", script, str(case), missing)
    errors = ended(job, 60)
    assert errors.startswith(
        f"gapfit: error: rank {rank} of 3: {missing}: no such file"
    )
    assert len(errors.splitlines()) == 1


def test_an_error_of_all_ranks_is_told_once(case):
    case.unlink()
    command = ["-P", "-m", "gapfit", "fit", str(case), "--executor", "mpi"]
    errors = ended(launched(sys.executable, *command), 60)
    assert errors.startswith(f"gapfit: error: {case}: no such file")
    assert len(errors.splitlines()) == 1
