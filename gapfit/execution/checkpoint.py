"""A fit under way as files: what it started from, and sums over parts of its data.

Workers on any machine that sees the folder read and write them, and a fit that was killed
goes on from them. Every file appears complete or not at all.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gapfit._support.archive import (
    atomic_write,
    read_arrays,
    read_header,
    write_archive,
)
from gapfit._support.identity import differences
from gapfit.errors import GapfitError
from gapfit.execution.merge_tree import Span
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening

__all__ = [
    "CheckpointFolder",
]

_FORMAT = "gapfit-checkpoint"
_STATE, _START, _FRAMES = "state.json", "start.npz", "frames.bin"


class CheckpointFolder:
    """Files of one fit.

    Parameters
    ----------
    path : Path
        The folder; made by `begin`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def start(self) -> Path:
        """The model before its fit: sparse points and factors of K_mm."""
        return self.path / _START

    @property
    def frames(self) -> Path:
        """The frames as the rows see them."""
        return self.path / _FRAMES

    @property
    def exists(self) -> bool:
        """Whether a fit was begun here."""
        return (self.path / _STATE).is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other fits out of the folder; the lock of a killed process vanishes.

        Where the file system knows no locks, nothing is kept out.

        Raises
        ------
        GapfitError
            Another fit is at work here.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        # A link in its place must not cost what it points to.
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise GapfitError(
                    f"{self.path}: another fit is at work here; wait for it, or choose "
                    "another folder"
                ) from None
            except OSError:
                pass  # a file system without locks
            yield
            lock.unlink(missing_ok=True)

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Make an empty folder for the fit that `identity` names."""
        self.remove()
        self.path.mkdir(parents=True)
        with atomic_write(self.path / _STATE) as temporary:
            state = {"format": _FORMAT, "identity": identity}
            temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")

    def require(self, identity: Mapping[str, Any]) -> None:
        """Refuse to go on with another fit than the one begun.

        Raises
        ------
        GapfitError
            Lists what differs, or says that nothing was begun.
        """
        if not self.exists:
            raise GapfitError(
                f"{self.path}: there is no unfinished fit to resume; start it without "
                "--resume"
            )
        try:
            state = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
            begun = state["identity"]
        except (ValueError, KeyError, TypeError) as error:
            raise GapfitError(
                f"{self.path / _STATE}: damaged ({type(error).__name__}: {error}); "
                "start again without --resume"
            ) from error
        if found := differences(begun, identity):
            raise GapfitError(
                f"{self.path} is the checkpoint of another fit:\n  "
                + "\n  ".join(found)
                + "\nbring these back to resume it, or start again without --resume"
            )

    def remove(self) -> None:
        """Delete the folder and all in it; nothing that gapfit did not write."""
        if not self.path.exists():
            return
        if not self.exists and (not self.path.is_dir() or any(self.path.iterdir())):
            raise GapfitError(
                f"{self.path} is in the way of the checkpoint and is not one; move it"
            )
        shutil.rmtree(self.path)

    def spans(self) -> set[Span]:
        """Return which sums there are."""
        found = set()
        for path in self.path.glob("sum-*-*.npz"):
            _, first, stop = path.stem.split("-")
            found.add(Span(int(first), int(stop)))
        return found

    def write(self, span: Span, sums: TrainingSums) -> None:
        """Write the sums over some tasks."""
        header = {"format": _FORMAT, "sums": sums.header()}
        write_archive(self._file(span), header, sums.arrays())

    def read(self, span: Span, whitening: Whitening) -> TrainingSums:
        """Return the sums over some tasks."""
        path = self._file(span)
        try:
            with zipfile.ZipFile(path) as archive:
                header = read_header(archive)
                arrays = read_arrays(archive, header["arrays"])
            return TrainingSums.from_arrays(whitening, header["sums"], arrays)
        except Exception as error:  # damage shows in as many ways as there are bytes
            raise GapfitError(
                f"{path}: damaged ({type(error).__name__}: {error}); remove this file, "
                "and --resume computes it again"
            ) from error

    def drop(self, span: Span) -> None:
        """Delete the sums over some tasks."""
        self._file(span).unlink(missing_ok=True)

    def _file(self, span: Span) -> Path:
        return self.path / f"sum-{span.first:06d}-{span.stop:06d}.npz"
