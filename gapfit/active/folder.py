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

from gapfit._support.archive import atomic_write, sync
from gapfit._support.disk import writing
from gapfit._support.identity import differences, digest_of
from gapfit._support.leftovers import target_of
from gapfit._support.sealed import read_sealed, write_sealed
from gapfit._support.whole_writes import append_all
from gapfit.active.attachments import attached, loaded, remove_others
from gapfit.active.label_file import LabelFile
from gapfit.config.learn import LABELLED
from gapfit.errors import GapfitError
from gapfit.execution.checkpoint import CheckpointFolder

__all__ = ["LearningFolder"]

_FORMAT, _PROGRESS, _VERSION = "gapfit-learning", "gapfit-learning-state", 3
_IDENTITY, _STATE = "learning.json", "state.json"
_LOG, _TRAJECTORY, _FAILED = "log.jsonl", "trajectory.extxyz", "failed.extxyz"
_GROWING = (_LOG, _TRAJECTORY)


#: Tables that may change before a learning run is resumed: the model is fitted again.
FIT_TABLES = ("baseline", "calibration", "e0", "prediction", "sigma", "solver", "terms")


def _of_the_run(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that stay as they are throughout a run."""
    return {name: value for name, value in identity.items() if name not in FIT_TABLES}


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

    @property
    def is_begun(self) -> bool:
        """Whether learning was begun here."""
        return (self.path / _IDENTITY).exists()

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
        if self.is_begun:
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
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._write(_IDENTITY, _FORMAT, {"identity": identity})

    def require(self, identity: Mapping[str, Any]) -> None:
        """Refuse to resume with settings other than those of the folder.

        Parameters
        ----------
        identity : mapping
            The settings. Tables of the fit may differ: the model is then removed, and has
            to be fitted again.

        Raises
        ------
        GapfitError
            The settings differ (they are listed), or cannot be read.
        """
        begun = self._read(_IDENTITY, _FORMAT) or {}
        old = dict(begun.get("identity", {}))
        if changes := differences(_of_the_run(old), _of_the_run(identity)):
            raise GapfitError(
                f"{self.path} is the folder of another learning run:\n  "
                + "\n  ".join(changes)
                + "\nrestore these to resume it, or choose another folder"
            )
        if changes := differences(old, identity):
            self.log({"event": "settings", "changes": changes})
            if (state := self._read(_STATE, _PROGRESS)) is not None:
                self.write_state(state)
            self.model.unlink(missing_ok=True)
            self._write(_IDENTITY, _FORMAT, {"identity": identity})

    def labels(self) -> LabelFile:
        """Return the labelled structures."""
        return LabelFile(self.path / LABELLED)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state; it names the lengths of log and trajectory.

        Parameters
        ----------
        state : mapping
            Plain data; values that are bytes go to files of their own.
        """
        for name in (_LOG, _TRAJECTORY):
            if (path := self.path / name).exists():
                sync(path)
        plain = attached(state, self.path)
        progress = {**plain, "lengths": self.lengths(), "part_of": self._name()}
        self._write(_STATE, _PROGRESS, progress)
        remove_others(plain, self.path)

    def read_state(self) -> dict[str, Any] | None:
        """Return the state, if there is one; cut log and trajectory to its lengths."""
        state = self._read(_STATE, _PROGRESS)
        if state is None:
            return None
        if state["part_of"] != self._name():
            raise GapfitError(
                f"{self.path / _STATE}: belongs to another learning run than "
                f"{_IDENTITY}; restore the file, or {self._advice}"
            )
        whole: dict[str, Any] = loaded(state, self.path, self._advice)
        for name in _GROWING:
            self._cut(name, state["lengths"][name])
        return whole

    def _name(self) -> str:
        """Return the digest of the settings, which names this learning run."""
        begun = self._read(_IDENTITY, _FORMAT) or {}
        return digest_of(_of_the_run(begun.get("identity", {})))

    @property
    def _advice(self) -> str:
        return (
            f"start again in another folder with {LABELLED} of this one as data.train"
        )

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
            with writing(path):
                os.truncate(path, length)

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        line = json.dumps(record, ensure_ascii=False) + "\n"
        append_all(self.path / _LOG, line.encode(), wait=False)

    def write_failure(self, atoms: Any, record: Mapping[str, Any]) -> None:
        """Write a structure whose reference calculation failed, and log the failure."""
        from ase.io import write

        self.log(record)
        if (state := self._read(_STATE, _PROGRESS)) is not None:
            self.write_state(state)
        with atomic_write(self.path / _FAILED) as temporary:
            write(temporary, atoms, format="extxyz")

    def add_to_trajectory(self, atoms: Any) -> None:
        """Add a structure to the trajectory."""
        from ase.io import write

        stream = StringIO()
        write(stream, atoms, format="extxyz")
        append_all(self.path / _TRAJECTORY, stream.getvalue().encode(), wait=False)

    def _write(self, name: str, kind: str, value: Mapping[str, Any]) -> None:
        write_sealed(self.path / name, kind, _VERSION, value)

    def _read(self, name: str, kind: str) -> dict[str, Any] | None:
        path = self.path / name
        return (
            read_sealed(path, kind, _VERSION, self._advice) if path.exists() else None
        )
