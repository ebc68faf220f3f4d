"""Fits by commands with workers of this machine, of MPI and of Dask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
from builders import ROOT
from helpers.sums import FRAMES, fit, run, same

import gapfit
from gapfit.config.sections import RunConfig
from gapfit.errors import GapfitError
from gapfit.execution import executors


def write_case(folder: Path, **run: object) -> list[str]:
    """Write data and configuration; return the command that fits them."""
    ase.io.write(folder / "train.extxyz", FRAMES[:11] * 4)
    text = (
        '[data]\ntrain = ["train.extxyz"]\ncheck_labels = false\n'
        '[e0]\nmethod = "least_squares"\n'
        "[[terms]]\nr_cut = 4.5\nn_max = 5\nl_max = 4\nn_sparse = 30\n[run]\n"
    )
    lines = [f"{name} = {json.dumps(value)}" for name, value in run.items()]
    (folder / "fit.toml").write_text(text + "\n".join(lines) + "\n")
    start = "import sys; from gapfit.cli import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", start, "fit", str(folder / "fit.toml")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the model that one process fits."""
    folder = tmp_path_factory.mktemp("alone")
    result = run(write_case(folder))
    assert result.returncode == 0, result.stderr
    return gapfit.load(folder / "fit-model" / "model.npz")


def test_unfinished_fits_are_resumed_or_kept(tmp_path, alone):
    command, model = write_case(tmp_path), tmp_path / "fit-model"
    script = (
        "import os, signal, sys\n"
        "from gapfit.execution import tasks as summation\n"
        "from gapfit.cli import main\n"
        "from gapfit.execution.checkpoint import CheckpointFolder\n"
        "summation._LEAST_INTERVAL = summation._INTERVALS = 0.0\n"
        "write = CheckpointFolder.write\n"
        "def deadly(self, span, sums):\n"
        "    write(self, span, sums)\n"
        "    if span.stop >= 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "CheckpointFolder.write = deadly\n"
        "main(sys.argv[1:])\n"
    )
    killed = run([sys.executable, "-P", "-c", script, *command[4:]])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (model / "model.npz").exists()
    again = run(command)
    assert again.returncode == 1
    assert "contains an unfinished fit: continue it with --resume" in again.stderr
    resumed = run([*command, "--resume"])
    assert resumed.returncode == 0, resumed.stderr
    same(gapfit.load(model / "model.npz"), alone)
    assert not (model / "checkpoint").exists()
    assert (model / "fit.log").read_text().count("configuration ") == 2
    finished = run([*command, "--resume"])
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.endswith("this fit is finished, nothing to do\n")


@pytest.mark.slow
def test_two_processes_of_this_machine(tmp_path, alone):
    result = run([*write_case(tmp_path), "--workers", "2"])
    assert result.returncode == 0, result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


def test_mpi_ranks(tmp_path, alone):
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:/usr/bin")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    command = write_case(tmp_path)
    result = run([mpiexec, "-n", "3", *command, "--executor", "mpi"])
    assert result.returncode == 0, result.stdout + result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)
    # Each of them would fit alone.
    result = run([mpiexec, "-n", "2", *command])
    assert "mpiexec started 2 processes" in result.stdout + result.stderr
    alone_in_mpi = run([*command, "--executor", "mpi"])
    assert alone_in_mpi.returncode == 1
    assert "mpiexec -n 4 gapfit fit" in alone_in_mpi.stderr


def test_mpi4py_without_an_mpi_is_named(monkeypatch):
    def without(name):
        raise RuntimeError("cannot load MPI library")

    monkeypatch.setattr("importlib.import_module", without)
    run = RunConfig(executor="mpi")
    named = pytest.raises(GapfitError, match=r"\(cannot load MPI library\)")
    with named, executors.leading(run):
        pass


def test_dask_workers_one_of_them_killed(tmp_path, alone):
    pytest.importorskip("distributed")
    command = write_case(tmp_path, executor="dask")
    script = (
        "import os, signal, sys\n"
        "from distributed import Client, LocalCluster\n"
        "from gapfit.cli import main\n"
        "from gapfit.execution.checkpoint import CheckpointFolder\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1,\n"
        "                      dashboard_address=None) as cluster:\n"
        "        from gapfit.execution import tasks as summation\n"
        "        first = [True]\n"
        "        count = summation._ByWorkers._count\n"
        "        def killing(self):\n"
        "            count(self)\n"
        "            if self.spans and first:\n"
        "                first.clear()\n"
        "                worker = list(cluster.workers.values())[0]\n"
        "                os.kill(worker.pid, signal.SIGKILL)\n"
        "                print('killed')\n"
        "        summation._ByWorkers._count = killing\n"
        "        path = sys.argv[1]\n"
        "        with open(path, 'a') as file:\n"
        "            print(f'scheduler = {cluster.scheduler_address!r}', file=file)\n"
        "        sys.exit(main(['fit', path]))\n"
    )
    (tmp_path / "dask_fit.py").write_text(script)
    result = run([sys.executable, str(tmp_path / "dask_fit.py"), command[-1]])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "killed" in result.stdout
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


@pytest.mark.slow
def test_the_example_with_a_scheduler_and_two_workers(tmp_path, alone):
    pytest.importorskip("distributed")
    script = ROOT / "examples/large/dask_fit.sh"
    write_case(tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", str(script), str(tmp_path / "fit.toml")],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


def test_dask_schedulers_that_do_not_answer_are_named(tmp_path):
    pytest.importorskip("distributed")
    settings = {"run": {"executor": "dask", "scheduler": "nonsense"}}
    with pytest.raises(GapfitError, match=r"run\.scheduler = 'nonsense': no Dask"):
        fit(settings=settings)
