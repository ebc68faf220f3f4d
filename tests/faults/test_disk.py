"""Disks that are full or fail: an error that says so, and a rerun to the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import CASES, names, require_completed, run, temporary

import gapfit

TESTS = Path(__file__).parents[1]
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES)
CALLS = ("open", "write", "fsync", "rename", "mkdir")
#: Part of the cure that a message names.
CURES = ("free some space", "fails: check it", "not read-only", "the permissions")

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


class Server:
    """A process in which commands run whose disk fails."""

    def __init__(self, library: Path) -> None:
        installed = Path(gapfit.__file__).parents[1]
        path = os.pathsep.join([str(TESTS), str(installed)])
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "helpers.fault_server"],
            env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command, folder: Path, fault) -> tuple[int, str]:
        """Return exit status and standard error of a command with a fault."""
        task = {"command": list(command), "folder": str(folder), "fault": fault}
        print(json.dumps(task), file=self.process.stdin, flush=True)
        return tuple(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the process, with the compiled library."""
    library = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    options = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-ldl"]
    subprocess.run(["gcc", str(source), "-o", str(library), *options], check=True)
    server = Server(library)
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(inputs):
    """Return a function that gives the folder of a case that nobody disturbed."""

    def undisturbed(name: str) -> Path:
        folder = inputs.parent / name
        if not folder.exists():
            shutil.copytree(inputs, folder)
            run(CASES[name].command, folder).require(0)
        return folder

    return undisturbed


@pytest.fixture
def fail_and_complete(server, whole, inputs, tmp_path):
    """Return a function that runs a command with a fault of the disk and completes it."""

    def fail(name, call, number, error, *, forever=False, in_tmpdir=False) -> int:
        case, undisturbed = CASES[name], whole(name)
        folder = tmp_path / "folder"
        shutil.copytree(inputs, folder)
        where = temporary(folder) if in_tmpdir else folder
        fault = (f"{where}{os.sep}", call, number, error, forever)
        status, errors = server.run(case.command, folder, fault)
        assert status in (0, 1), errors
        if status:
            require_a_sentence(errors, os.strerror(error))
        else:
            assert errors == ""
        assert names(temporary(folder)) == []
        require_completed(case, folder, undisturbed)
        return status

    return fail


def require_a_sentence(errors: str, reason: str) -> None:
    """Assert that an error says what happened where, and what to do."""
    assert errors.startswith("gapfit: error: "), errors
    for word in ("Traceback", "[Errno", "unexpected", "gapfit-", "None"):
        assert word not in errors, errors
    assert reason in errors
    assert any(cure in errors for cure in CURES), errors
    assert len(errors.splitlines()) == 1, errors


@pytest.mark.parametrize(
    ("name", "call", "number", "error"),
    [
        ("fit", "open", 1, errno.EROFS),
        ("fit", "open", 7, errno.EACCES),
        ("fit", "write", 50, errno.ENOSPC),
        ("fit", "fsync", 4, errno.EIO),
        ("fit", "rename", 10, errno.EDQUOT),
        ("fit", "mkdir", 1, errno.ENOSPC),
        ("append", "write", 1, errno.EDQUOT),
        ("select", "rename", 1, errno.EIO),
    ],
)
def test_a_fault_of_the_disk_is_told_and_does_no_harm(
    name, call, number, error, fail_and_complete
):
    assert fail_and_complete(name, call, number, error, forever=True) == 1


def test_a_full_disk_for_temporary_files_is_told(fail_and_complete):
    # The first write is a trial; if it fails, another folder is used.
    fault = ("write", 2, errno.ENOSPC)
    assert fail_and_complete("fit", *fault, forever=True, in_tmpdir=True) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_faults_at_random_calls(seed, fail_and_complete):
    rng = np.random.default_rng(seed)
    names_of_cases = [name for name in CASES if name != "workers"]
    fail_and_complete(
        names_of_cases[seed % len(names_of_cases)],
        CALLS[rng.integers(len(CALLS))],
        int(rng.integers(1, 30)),
        ERRORS[rng.integers(len(ERRORS))],
        forever=bool(rng.integers(2)),
        in_tmpdir=rng.random() < 0.2,
    )
