"""Fits on systems that are not Linux, as far as taking away its calls can show.

tests/helpers/without_posix.py says what is taken away, and what that cannot show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import write
from builders import labelled_frames, silicon

HELPER = Path(__file__).parents[1] / "helpers" / "without_posix.py"
SYSTEMS = ("windows", "macos")

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
# Python itself starts processes by POSIX's calls here, so they stay for those.
WORKERS = {"windows": 1, "macos": 2}

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


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_fit_a_second_one_and_predictions(place, kind):
    write(place / "trainiert ä.extxyz", labelled_frames(silicon, 4))
    text = FIT.format(workers=WORKERS[kind])
    (place / "fit.toml").write_text(text, encoding="utf-8")
    said = python(place, kind, COMMAND, "fit", "fit.toml", "--output", "ein Modell")
    assert "sparse points  18" in said
    folder = place / "ein Modell"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("model.npz", "metrics.json", "fit.log", "fit.toml", "report", "report.html"),
    }
    # Another fit replaces it, and the model answers.
    python(place, kind, COMMAND, "fit", "fit.toml", "--output", "ein Modell", "--force")
    model, data = "ein Modell/model.npz", "trainiert ä.extxyz"
    said = python(
        place, kind, COMMAND, "predict", model, data, "--output", "neu.extxyz"
    )
    assert (place / "neu.extxyz").stat().st_size > 1000


LOCKS = """\
from pathlib import Path
from gapfit._support.locks import locked
from gapfit.errors import GapfitError

path, busy = Path("a lock"), GapfitError("busy")
for _ in range(2):
    with locked(path, busy):
        try:
            with locked(path, busy):
                raise SystemExit("held twice")
        except GapfitError as error:
            assert error is busy
    assert not path.exists()
"""


@pytest.mark.parametrize("kind", SYSTEMS)
def test_locks_keep_others_out(place, kind):
    python(place, kind, LOCKS)


def test_what_windows_does_not_have_is_named(place):
    code = (
        "from gapfit.serving.client import serve\n"
        "from gapfit.errors import GapfitError\n"
        "try: serve(None, unix='driver')\n"
        "except GapfitError as error: print(error)\n"
    )
    said = python(place, "windows", code)
    assert (
        said
        == "--unix driver: this system has no UNIX sockets; use --host and --port\n"
    )
