"""Temporary store of structures as read, until the labels to use are known."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import IO, Any

from gapfit.data.files import RawFrame
from gapfit.data.frame_file import writing_to

__all__ = ["MOST_ATOMS", "RawSpool"]

#: Atoms in memory at a time, about 10 MB.
MOST_ATOMS = 40_000
# A frame counts as this many more.
_EACH = 50


class RawSpool:
    """Any number of structures, few of them in memory; a context manager.

    The others are pickled to an unnamed file, which no other program can write.

    Parameters
    ----------
    most_atoms : int
        Atoms held at a time.
    """

    def __init__(self, most_atoms: int = MOST_ATOMS) -> None:
        self._most_atoms = most_atoms
        with writing_to(tempfile.gettempdir()):
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._n_stored = self._n_parts = self._size = 0
        self._held: list[RawFrame] = []

    def __enter__(self) -> RawSpool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._n_stored + len(self._held)

    def __iter__(self) -> Iterator[RawFrame]:
        self._file.seek(0)
        for _ in range(self._n_parts):
            yield from pickle.load(self._file)
        yield from self._held

    def add(self, raw: RawFrame) -> None:
        """Append a structure."""
        self._held.append(raw)
        self._size += raw.frame.n_atoms + _EACH
        if self._size > self._most_atoms:
            self._store()

    def _store(self) -> None:
        try:
            part = pickle.dumps(self._held, pickle.HIGHEST_PROTOCOL)
        except Exception:  # a user may attach any object to a structure
            held = [replace(raw, labels=_plain(raw.labels)) for raw in self._held]
            part = pickle.dumps(held, pickle.HIGHEST_PROTOCOL)
        with writing_to(tempfile.gettempdir()):
            self._file.write(part)
            self._file.flush()
        self._n_parts += 1
        self._n_stored += len(self._held)
        self._held, self._size = [], 0


def _plain(labels: dict[str, Any]) -> dict[str, Any]:
    """Return labels with text for values that cannot be pickled, which are not numeric."""
    plain = {}
    for key, value in labels.items():
        try:
            pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception:
            value = str(value)
        plain[key] = value
    return plain
