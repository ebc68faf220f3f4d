"""What killed processes left is deleted; what living ones and others have is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gapfit._support import leftovers
from gapfit._support.archive import atomic_write
from gapfit._support.leftovers import sweep, temporary_file, temporary_folder
from gapfit.errors import GapfitError

SCRIPT = """
import os, sys, time
from pathlib import Path
from gapfit._support.archive import atomic_write
from gapfit._support.leftovers import temporary_folder
with temporary_folder() as work, atomic_write(sys.argv[1]) as temporary:
    (work / "deep").mkdir()
    (work / "deep" / "frames.bin").write_bytes(bytes(1000))
    temporary.write_text("half")
    print("ready", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Return a folder for outputs; TMPDIR is another one beside it."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "out"


@pytest.fixture
def other(place):
    """Yield another process with a temporary file and a temporary folder."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, str(place / "a.npz")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("new")


def test_files_and_folders_of_living_processes_stay(place, other):
    before = names(place.parent)
    assert len(before) == 7
    sweep(place)
    sweep(place.parent / "temporary")
    with temporary_folder():
        write(place / "a.npz")
    assert names(place.parent) == sorted([*before, "out/a.npz"])


def test_those_of_killed_processes_are_deleted_at_the_next_start(place, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert len(names(place.parent)) == 7
    with temporary_folder() as work:
        assert list(work.parent.iterdir()) == [work]
    write(place / "b.npz")
    assert names(place.parent) == ["out", "out/b.npz", "temporary"]


def test_a_deletion_that_was_killed_is_completed(place, other, monkeypatch):
    other.send_signal(signal.SIGKILL)
    other.wait()
    folder = place.parent / "temporary"
    for n in range(8):
        done = 0

        def dying(path, real, n=n, **options):
            nonlocal done
            done += 1
            if done > n:
                raise KeyboardInterrupt
            real(path, **options)

        with monkeypatch.context() as patch:
            for call in (Path.unlink, Path.rmdir):
                patch.setattr(
                    Path,
                    call.__name__,
                    lambda path, real=call, **options: dying(path, real, **options),
                )
            try:
                sweep(folder)
            except KeyboardInterrupt:
                continue
        break
    assert n > 1
    assert names(folder) == []


LOOKALIKES = {
    "folder of the user": lambda path: (path / "gapfit-abcdefgh.work" / "x").mkdir(
        parents=True
    ),
    "folder of another name": lambda path: (path / "gapfit-results").mkdir(),
    "file of the user": lambda path: (path / ".a.npz.swp").touch(),
    "folder with the name of a file": lambda path: (
        path / ".a.npz.gapfit-abcdefgh.npz"
    ).mkdir(),
    "link with the name of a file": lambda path: (
        path / ".a.npz.gapfit-abcdefgh.npz"
    ).symlink_to(path.parent / "precious"),
    "link with the name of a folder": lambda path: (
        path / "gapfit-abcdefgh.work"
    ).symlink_to(path.parent / "mine"),
    "pipe": lambda path: os.mkfifo(path / ".a.npz.gapfit-abcdefgh.npz"),
}


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_what_gapfit_did_not_make_stays(place, kind):
    (place.parent / "precious").write_text("years of work")
    (place.parent / "mine").mkdir()
    (place.parent / "mine" / "gapfit.lock").touch()
    LOOKALIKES[kind](place)
    before = names(place.parent)
    sweep(place)
    assert names(place.parent) == before


def test_a_link_inside_of_a_leftover_is_not_followed(place):
    precious = place.parent / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    leftover = place / "gapfit-abcdefgh.work"
    leftover.mkdir()
    (leftover / "gapfit.lock").touch()
    (leftover / "link").symlink_to(precious)
    sweep(place)
    assert not leftover.exists()
    assert (precious / "thesis.tex").exists()


def test_files_of_other_users_stay(place, monkeypatch):
    (place / ".a.npz.gapfit-abcdefgh.npz").touch()
    (place / "gapfit-abcdefgh.work").mkdir()
    before = names(place)
    user = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(leftovers.os, "geteuid", lambda: user + 1)
        sweep(place)
        assert names(place) == before
    sweep(place)
    assert names(place) == []


def test_where_there_are_no_locks_nothing_is_deleted(place, monkeypatch):
    def without(*_):
        raise OSError(38, "Function not implemented")

    (place / ".a.npz.gapfit-abcdefgh.npz").touch()
    monkeypatch.setattr("fcntl.flock", without)
    write(place / "b.npz")
    with temporary_folder() as work:
        (work / "x").touch()
    assert not work.exists()
    assert names(place) == [".a.npz.gapfit-abcdefgh.npz", "b.npz"]


def test_a_folder_for_temporary_files_that_is_not_writable_is_named(place, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(place / "none"))
    with (
        pytest.raises(GapfitError, match=r"none.*: cannot be written \(No such file"),
        temporary_folder(),
    ):
        pass


def test_where_locks_are_denied_files_are_made_once(tmp_path, monkeypatch):
    """As by a sandbox: nobody can tell whose they are, and nothing is tried again."""
    fcntl = pytest.importorskip("fcntl")

    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(fcntl, "flock", denied)
    descriptor, name = temporary_file(tmp_path / "model.npz")
    os.close(descriptor)
    assert [str(path) for path in tmp_path.iterdir()] == [name]
