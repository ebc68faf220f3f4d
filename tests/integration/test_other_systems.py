"""Fits on systems that are not Linux, as far as taking away its calls can show.

tests/helpers/without_posix.py says what is taken away, and what that cannot show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import read, write
from builders import labelled_frames, silicon

from gapfit.config.sections import RunConfig
from gapfit.errors import GapfitError
from gapfit.execution.executors import open_pool
from gapfit.execution.ranks import Ranks
from gapfit.lammps.build import build_plugin

HELPER = Path(__file__).parents[1] / "helpers" / "without_posix.py"

FIT = """\
[data]
train = "trainiert ä.extxyz"
test = "trainiert ä.extxyz"

[[terms]]
type = "distance_2b"
r_cut = 4.0
n_sparse = 8

[[terms]]
type = "soap"
r_cut = 4.0
n_max = 3
l_max = 2
n_sparse = 10

[run]
workers = {workers}
"""
FIT_COMMAND = ("fit", "fit.toml", "--output", "potential ü")

COMMAND = """\
import sys
from gapfit.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path):
    """Return a folder whose name has blanks and letters beyond ASCII."""
    folder = tmp_path / "Fit 1, größer ≥ 2"
    folder.mkdir()
    return folder


def python(place, kind, code, *arguments):
    """Run code with the functions of POSIX taken away; return its output."""
    script = place / "script.py"
    script.write_text(code, encoding="utf-8")
    temporary = place / "tmp"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(HELPER), kind, str(script), *arguments],
        capture_output=True,
        text=True,
        cwd=place,
        # Windows writes to files and pipes in an encoding that lacks most signs.
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONIOENCODING": "cp1252"},
        encoding="cp1252",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    return done.stdout


def prepared(place, workers, newline):
    """Write data and a configuration; return the data."""
    data = place / "trainiert ä.extxyz"
    write(data, labelled_frames(silicon, 4))
    data.write_bytes(data.read_bytes().replace(b"\n", newline))
    (place / "fit.toml").write_text(FIT.format(workers=workers), encoding="utf-8")
    return data


def test_two_workers_fit_without_proc(place):
    prepared(place, 2, b"\n")
    said = python(place, "macos", COMMAND, *FIT_COMMAND, "--no-report")
    assert "sparse points  18" in said
    assert (place / "potential ü" / "model.npz").exists()


def test_a_fit_a_second_one_and_predictions_without_posix(place):
    # Python itself starts processes by POSIX's calls here: no workers.
    data = prepared(place, 1, b"\r\n")
    python(place, "windows", COMMAND, *FIT_COMMAND, "--no-report")
    python(place, "windows", COMMAND, *FIT_COMMAND, "--force")
    names = {path.name for path in (place / "potential ü").iterdir()}
    assert names == {
        *("model.npz", "metrics.json", "fit.log", "fit.toml", "report", "report.html"),
    }
    files = ("potential ü/model.npz", data.name, "--output", "neu.extxyz")
    python(place, "windows", COMMAND, "predict", *files)
    assert len(read(place / "neu.extxyz", ":")) == 4


LOCKS = """\
from pathlib import Path
from gapfit._support.locks import locked
from gapfit.errors import GapfitError
from gapfit.serving.client import serve

path, busy = Path("a lock"), GapfitError("busy")
for _ in range(2):
    with locked(path, busy):
        try:
            with locked(path, busy):
                raise SystemExit("held twice")
        except GapfitError as error:
            assert error is busy
    assert not path.exists()
try:
    serve(None, unix="driver")
except GapfitError as error:
    print(error)
"""


def test_locks_and_sockets_without_posix(place):
    said = python(place, "windows", LOCKS)
    assert (
        said
        == "--unix driver: this system has no UNIX sockets; use --host and --port\n"
    )


def test_what_is_for_linux_and_macos_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(GapfitError, match="Windows Subsystem for Linux"):
        build_plugin(tmp_path / "plugins")
    with pytest.raises(GapfitError, match="on Windows set"):
        Ranks()
    run = RunConfig(workers=62)
    with pytest.raises(GapfitError, match="up to 61"), open_pool(run):
        pass
