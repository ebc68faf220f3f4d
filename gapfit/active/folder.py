"""Files of learning on the fly: labelled structures, state, model, log and trajectory.

After a kill another process can continue: the state is replaced as a whole, and log and
trajectory are cut to the lengths in it. Labelled structures are never cut; see
`gapfit.active.label_file`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from gapfit._support.archive import atomic_write, sync, target_of
from gapfit._support.foreign import json_file
from gapfit._support.identity import differences
from gapfit._support.whole_writes import append_all
from gapfit.active.label_file import LabelFile
from gapfit.config.learn import LABELLED
from gapfit.errors import GapfitError
from gapfit.execution.checkpoint import CheckpointFolder

__all__ = ["LearningFolder"]

_FORMAT = "gapfit-learning"
_IDENTITY, _STATE = "learning.json", "state.json"
_LOG, _TRAJECTORY, _FAILED = "log.jsonl", "trajectory.extxyz", "failed.extxyz"
_GROWING = (_LOG, _TRAJECTORY)


class LearningFolder:
    """The folder of one learning run.

    Parameters
    ----------
    path : Path
        The folder; made by `begin`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def model(self) -> Path:
        """File of the current potential."""
        return self.path / "model.npz"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder.

        Raises
        ------
        GapfitError
            Another process uses the folder, or an output file is a symbolic link.
        """
        for name in (*_GROWING, LABELLED):
            if (self.path / name).is_symlink():
                raise GapfitError(
                    f"{self.path / name}: is a link to {(self.path / name).readlink()}, "
                    "which would be written to and cut; put the file itself here"
                )
        with CheckpointFolder(self.path.absolute()).held():
            yield

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Make the folder, for the settings in `identity`.

        Raises
        ------
        GapfitError
            The folder has files that would be lost.
        """
        if (self.path / _IDENTITY).exists():
            n = len(LabelFile(self.path / LABELLED))
            raise GapfitError(
                f"{self.path}: learning was begun here, with {n} reference calculations "
                "so far; continue it with --resume, or choose another folder"
            )
        entries = list(self.path.iterdir()) if self.path.is_dir() else []
        # A process that was killed in `_write` may have left a part of that file.
        if any(target_of(path.name) != _IDENTITY for path in entries) or (
            self.path.exists() and not self.path.is_dir()
        ):
            raise GapfitError(
                f"{self.path}: contains other files; choose a new or empty folder"
            )
        for path in entries:
            path.unlink()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write(_IDENTITY, {"format": _FORMAT, "identity": identity})

    def require(self, identity: Mapping[str, Any]) -> None:
        """Refuse to resume with settings other than those of the folder.

        Raises
        ------
        GapfitError
            The settings differ (they are listed), or nothing was begun.
        """
        begun = self._read(_IDENTITY)
        if begun is None:
            raise GapfitError(
                f"{self.path}: there is nothing to resume; start without --resume"
            )
        if changes := differences(begun.get("identity"), identity):
            raise GapfitError(
                f"{self.path} is the folder of another learning run:\n  "
                + "\n  ".join(changes)
                + "\nrestore these to resume it, or choose another folder"
            )

    def labels(self) -> LabelFile:
        """Return the labelled structures."""
        return LabelFile(self.path / LABELLED)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state; it names the lengths of log and trajectory."""
        for name in (_LOG, _TRAJECTORY):
            if (path := self.path / name).exists():
                sync(path)
        self._write(_STATE, {**state, "lengths": self.lengths()})

    def read_state(self) -> dict[str, Any] | None:
        """Return the state, if there is one; cut log and trajectory to its lengths."""
        state = self._read(_STATE)
        lengths = (state or {}).get("lengths", {})
        for name in _GROWING:
            if name in lengths:
                self._cut(name, lengths[name])
        return state

    def lengths(self) -> dict[str, int]:
        """Return the lengths of log and trajectory, bytes."""
        return {
            name: path.stat().st_size if (path := self.path / name).exists() else 0
            for name in _GROWING
        }

    def trajectory_length(self) -> int:
        """Return the length of the trajectory, bytes."""
        return self.lengths()[_TRAJECTORY]

    def cut_trajectory(self, length: int) -> None:
        """Cut the trajectory to a length in bytes."""
        self._cut(_TRAJECTORY, length)

    def _cut(self, name: str, length: int) -> None:
        path = self.path / name
        if path.exists() and path.stat().st_size > length:
            os.truncate(path, length)

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        line = json.dumps(record, ensure_ascii=False) + "\n"
        append_all(self.path / _LOG, line.encode(), wait=False)

    def write_failure(self, atoms: Any, record: Mapping[str, Any]) -> None:
        """Write a structure whose reference calculation failed, and log the failure."""
        from ase.io import write

        self.log(record)
        if (state := self._read(_STATE)) is not None:
            self.write_state(state)
        with atomic_write(self.path / _FAILED) as temporary:
            write(temporary, atoms, format="extxyz")

    def add_to_trajectory(self, atoms: Any) -> None:
        """Add a structure to the trajectory."""
        from ase.io import write

        stream = StringIO()
        write(stream, atoms, format="extxyz")
        append_all(self.path / _TRAJECTORY, stream.getvalue().encode(), wait=False)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        with atomic_write(self.path / name) as temporary:
            temporary.write_text(json.dumps(value), encoding="utf-8")

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        if not path.exists():
            return None
        try:
            return dict(json_file(path))
        except (ValueError, TypeError) as error:
            raise GapfitError(
                f"{path}: damaged ({type(error).__name__}: {error}); start again "
                f"in another folder with {LABELLED} of this one as data.train"
            ) from error
