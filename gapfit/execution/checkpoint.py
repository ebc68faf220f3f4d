"""Files of an unfinished fit: its initial model, and sums over parts of its data.

Workers on any machine that sees the folder read and write them, and a fit that was killed
continues from them. Every file appears complete or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gapfit._support.archive import (
    atomic_write,
    read_arrays,
    read_header,
    target_of,
    write_archive,
)
from gapfit._support.foreign import json_file
from gapfit._support.identity import differences
from gapfit.errors import GapfitError
from gapfit.execution.merge_tree import Span
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening

__all__ = ["CheckpointFolder", "remove_checkpoint"]

_FORMAT = "gapfit-checkpoint"
_STATE, _START, _FRAMES = "state.json", "start.npz", "frames.bin"
_SUM = re.compile(r"sum-(\d{6,})-(\d{6,})\.npz")
# Number of unexpected files that an error names.
_SHOWN = 3


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
        """The frames: without the baseline, with automatic sigmas."""
        return self.path / _FRAMES

    @property
    def exists(self) -> bool:
        """Whether a fit was started here."""
        return (self.path / _STATE).is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other fits; the lock of a killed process vanishes.

        Where the file system has no locks, other fits are not kept out.

        Raises
        ------
        GapfitError
            Another fit is running here.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        # If it is a link, the file that it points to must not be emptied.
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise GapfitError(
                    f"{self.path}: another fit is running here; wait for it, or choose "
                    "another folder"
                ) from None
            except OSError:
                pass  # a file system without locks
            yield
            lock.unlink(missing_ok=True)

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Make an empty folder for the fit that `identity` describes."""
        self.remove()
        self.path.mkdir(parents=True)
        # The state comes first: a folder without it is empty.
        with atomic_write(self.path / _STATE) as temporary:
            state = {"format": _FORMAT, "identity": identity}
            temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")

    def require(self, identity: Mapping[str, Any]) -> None:
        """Refuse to continue another fit than the one started here.

        Raises
        ------
        GapfitError
            Lists the differences, or says that no fit was started.
        """
        if not self.exists:
            raise GapfitError(
                f"{self.path}: there is no unfinished fit to resume; start it without "
                "--resume"
            )
        try:
            begun = self._state()["identity"]
        except (ValueError, KeyError, TypeError) as error:
            raise GapfitError(
                f"{self.path / _STATE}: damaged or not written by gapfit "
                f"({type(error).__name__}: {error}); move {self.path} elsewhere and start "
                "again without --resume"
            ) from error
        if lines := differences(begun, identity):
            raise GapfitError(
                f"{self.path} is the checkpoint of another fit:\n  "
                + "\n  ".join(lines)
                + "\nrestore these values to resume it, or start again without --resume"
            )

    def _state(self) -> dict[str, Any]:
        state = json_file(self.path / _STATE)
        if state["format"] != _FORMAT:
            raise ValueError(f"format {state['format']!r}")
        return dict(state)

    def remove(self) -> None:
        """Delete the folder with the files of a fit, if there is one.

        It gets a hidden name first. If the process is killed meanwhile, nothing remains
        that looks like a fit; the next call deletes the remainder.

        Raises
        ------
        GapfitError
            It contains files that no fit wrote. Then nothing is deleted.
        """
        hidden = self.path.with_name(f".{self.path.name}.removed")
        has_remainder = os.path.lexists(hidden)
        if has_remainder:
            _require_files_of_fit(hidden)
        if os.path.lexists(self.path):
            _require_files_of_fit(self.path)
            self._require_begun()
            if has_remainder:
                _delete(hidden)
            self.path.rename(hidden)
            has_remainder = True
        if has_remainder:
            _delete(hidden)

    def _require_begun(self) -> None:
        """Refuse a folder whose state is not that of a fit; there may be no file yet."""
        if all(target_of(entry.name) == _STATE for entry in self.path.iterdir()):
            return
        try:
            self._state()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _not_ours(self.path, f"has no {_STATE} of a fit") from error

    def spans(self) -> set[Span]:
        """Return the spans of tasks that have sums."""
        names = _files(self.path) if self.path.is_dir() else {}
        matches = [_SUM.fullmatch(name) for name, is_plain in names.items() if is_plain]
        return {Span(int(match[1]), int(match[2])) for match in matches if match}

    def write(self, span: Span, sums: TrainingSums) -> None:
        """Write the sums over a span of tasks."""
        header = {"format": _FORMAT, "sums": sums.header()}
        write_archive(self._file(span), header, sums.arrays())

    def read(self, span: Span, whitening: Whitening) -> TrainingSums:
        """Return the sums over a span of tasks."""
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
        """Delete the sums over a span of tasks."""
        self._file(span).unlink(missing_ok=True)

    def _file(self, span: Span) -> Path:
        return self.path / f"sum-{span.first:06d}-{span.stop:06d}.npz"


def remove_checkpoint(path: Path | str) -> None:
    """Delete the checkpoint of a fit whose model is saved, if there is one.

    Parameters
    ----------
    path : path
        The folder that `gapfit.fit` was given as `checkpoint`.

    Raises
    ------
    GapfitError
        Another fit is running there, or the folder contains files that no fit wrote. Then
        nothing is deleted.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.fit("train.extxyz", settings, checkpoint="work")  # doctest: +SKIP
    >>> model.save("model.npz")  # doctest: +SKIP
    >>> gapfit.remove_checkpoint("work")  # doctest: +SKIP
    """
    folder = CheckpointFolder(Path(path).absolute())
    if folder.path.parent.is_dir():
        with folder.held():
            folder.remove()


def _require_files_of_fit(folder: Path) -> None:
    """Refuse a folder with any other files than those a fit writes."""
    if folder.is_symlink():
        raise _not_ours(folder, "is a symbolic link")
    if not folder.is_dir():
        raise _not_ours(folder, "is not a folder")
    others = sorted(
        name
        for name, is_plain in _files(folder).items()
        if not (is_plain and _is_of_fit(name))
    )
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        shown = ", ".join(others[:_SHOWN])
        raise _not_ours(folder, f"contains {shown}{more}, which no fit wrote")


def _files(folder: Path) -> dict[str, bool]:
    """Return the names in a folder, and which are plain files: no links, no folders."""
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}


def _is_of_fit(name: str) -> bool:
    name = target_of(name) or name
    return name in (_STATE, _START, _FRAMES) or _SUM.fullmatch(name) is not None


def _not_ours(folder: Path, reason: str) -> GapfitError:
    return GapfitError(
        f"{folder}: not deleted as the checkpoint of a fit: it {reason}; move it "
        "elsewhere"
    )


def _delete(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    folder.rmdir()
