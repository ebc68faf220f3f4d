"""Files of an unfinished fit: its initial model, and sums over parts of its data.

Workers on any machine that sees the folder read and write them, and a fit that was killed
continues from them. Every file appears complete or not at all, and holds the name of the
fit that it belongs to: a file of another fit, or of another part of the data, is refused.
"""

from __future__ import annotations

import os
import re
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gapfit._support.archive import (
    atomic_write,
    read_arrays,
    read_header,
    write_archive,
)
from gapfit._support.disk import in_short, writing
from gapfit._support.identity import differences, digest_of
from gapfit._support.leftovers import sweep, target_of
from gapfit._support.locks import locked
from gapfit._support.sealed import read_sealed, write_sealed
from gapfit.data.frame import Frame
from gapfit.data.frame_file import FrameFile, write_frames
from gapfit.errors import GapfitError
from gapfit.execution.merge_tree import Span
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.gap_model import GAPModel
from gapfit.model.storage import load, save

__all__ = ["CheckpointFolder", "remove_checkpoint"]

_FORMAT, _SUMS, _VERSION = "gapfit-checkpoint", "gapfit-sums", 2
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
    fit : str
        Name of the fit that its files belong to: digest of its identity and a random
        number. `begin` and `require` set it.

    Attributes
    ----------
    identity : mapping
        Facts about the fit; empty until `begin` or `require`.
    """

    def __init__(self, path: Path, fit: str = "") -> None:
        self.path = path
        self.fit = fit
        self.identity: Mapping[str, Any] = {}

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
        """Whether a fit was started here and has files that a resumed one can use."""
        return (self.path / _STATE).is_file() and self.start.is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other fits; the lock of a killed process vanishes.

        Where the file system has no locks, other fits are not kept out.

        Raises
        ------
        GapfitError
            Another fit is running here, or the lock cannot be written.
        """
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        busy = GapfitError(
            f"{self.path}: another fit is running here; wait for it, or choose another "
            "folder"
        )
        with locked(self.path.with_name(f".{self.path.name}.lock"), busy):
            sweep(self.path.parent)
            yield

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Make an empty folder for the fit that `identity` describes."""
        self.remove()
        self.fit = digest_of([identity, secrets.token_hex(16)])
        self.identity = identity
        with writing(self.path):
            self.path.mkdir(parents=True)
        # The state comes first: a folder without it is empty.
        state = {"identity": identity, "fit": self.fit}
        write_sealed(self.path / _STATE, _FORMAT, _VERSION, state)

    def require(self, identity: Mapping[str, Any]) -> None:
        """Refuse to continue another fit than the one started here.

        Raises
        ------
        GapfitError
            Lists the differences, or says that the state is damaged.
        """
        state = self._state()
        if lines := differences(state["identity"], identity):
            raise GapfitError(
                f"{self.path} is the checkpoint of another fit:\n  "
                + "\n  ".join(lines)
                + "\nrestore these values to resume it, or start again without --resume"
            )
        self.fit, self.identity = state["fit"], identity

    def _state(self) -> dict[str, Any]:
        return read_sealed(
            self.path / _STATE,
            _FORMAT,
            _VERSION,
            f"move {self.path} elsewhere and start again",
        )

    def write_start(self, model: GAPModel) -> None:
        """Write the model before its fit."""
        save(model, self.start, part_of=self.fit)

    def read_start(self) -> GAPModel:
        """Return the model before its fit.

        Raises
        ------
        GapfitError
            The file is missing, damaged, or belongs to another fit.
        """
        return load(self.start, training_sums=True, part_of=self.fit)

    def write_frames(self, frames: Iterable[Frame]) -> None:
        """Write the frames for the workers."""
        with atomic_write(self.frames) as temporary:
            write_frames(frames, temporary, part_of=self.fit)

    def read_frames(self) -> FrameFile:
        """Open the frames.

        Raises
        ------
        DataError
            The file is missing, damaged, or belongs to another fit.
        """
        return FrameFile.open(self.frames, part_of=self.fit)

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
            with writing(self.path):
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
        except GapfitError as error:
            raise _not_ours(self.path, f"has no {_STATE} of a fit") from error

    def spans(self) -> set[Span]:
        """Return the spans of tasks that have sums."""
        names = _files(self.path) if self.path.is_dir() else {}
        matches = [_SUM.fullmatch(name) for name, is_plain in names.items() if is_plain]
        return {Span(int(match[1]), int(match[2])) for match in matches if match}

    def write(self, span: Span, sums: TrainingSums) -> None:
        """Write the sums over a span of tasks."""
        header = {**self._label(span), "sums": sums.header()}
        write_archive(self._file(span), header, sums.arrays())

    def read(self, span: Span, whitening: Whitening) -> TrainingSums:
        """Return the sums over a span of tasks.

        Raises
        ------
        GapfitError
            The file is missing, damaged, or of another fit or another span.
        """
        path = self._file(span)
        advice = "remove this file, and --resume computes it again"
        try:
            with zipfile.ZipFile(path) as archive:
                header = read_header(archive)
                expected = self._label(span)
                label = {key: header.get(key) for key in expected}
                if lines := differences(expected, label):
                    names = ", ".join(line.partition(":")[0] for line in lines)
                    raise GapfitError(
                        f"{path}: contains other sums than its name says (it differs in "
                        f"{names}): of another fit or other rows; {advice}"
                    )
                arrays = read_arrays(archive, header["arrays"])
            return TrainingSums.from_arrays(whitening, header["sums"], arrays)
        except GapfitError:
            raise
        except Exception as error:  # damage shows in as many ways as there are bytes
            raise GapfitError(
                f"{path}: damaged ({in_short(error)}); {advice}"
            ) from error

    def _label(self, span: Span) -> dict[str, Any]:
        """Return what a file of sums says about itself."""
        return {
            "format": _SUMS,
            "version": _VERSION,
            "fit": self.fit,
            "tasks": list(span),
        }

    def drop(self, span: Span) -> None:
        """Delete the sums over a span of tasks."""
        with writing(self._file(span)):
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
    with writing(folder):
        for path in list(folder.iterdir()):
            path.unlink()
        folder.rmdir()
