"""A growing extended XYZ file that several processes may write."""

from __future__ import annotations

import fcntl
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import iread, write


class FrameStore:
    """Finished frames in an extended XYZ file, with a JSON file beside it.

    Parameters
    ----------
    path : Path
        The extended XYZ file; ``<path>.json`` holds settings, versions, failed
        frames and the record of each finished one, ``<path>.lock`` the locks.

    Notes
    -----
    A frame is added under a lock and flushed to disk; a half-written frame that
    a killed run left at the end is cut off before the next one is added.  A
    process claims a frame by locking one byte of the lock file: the system gives
    the claim back when the process ends, however it ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.side = path.with_name(path.name + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        # kept open: closing any descriptor of the file would drop all its locks
        self._lock = path.with_name(path.name + ".lock").open("a")

    def close(self) -> None:
        """Give up all locks."""
        self._lock.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the two files."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, 0)

    def claim(self, frame_id: str) -> bool:
        """Reserve a frame; False while another process computes it."""
        byte = 1 + zlib.crc32(frame_id.encode())
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def release(self, frame_id: str) -> None:
        """Give a reserved frame back."""
        byte = 1 + zlib.crc32(frame_id.encode())
        fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, byte)

    def finished(self) -> set[str]:
        """Return the frame_ids in the file, after cutting off a half frame."""
        with self.locked():
            self._truncate()
            return {atoms.info["frame_id"] for atoms in read_frames(self.path)}

    def meta(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        if not self.side.exists():
            return {"frames": {}, "failed": {}}
        return json.loads(self.side.read_text())

    def update(self, **sections: Any) -> None:
        """Replace sections of the JSON file."""
        with self.locked():
            self._write_meta({**self.meta(), **sections})

    def add(self, atoms: Atoms, record: dict[str, Any]) -> None:
        """Append a finished frame and its record."""
        frame_id = atoms.info["frame_id"]
        text = io.StringIO()
        write(text, atoms, format="extxyz")
        with self.locked():
            self._truncate()
            with self.path.open("ab") as file:
                file.write(text.getvalue().encode())
                file.flush()
                os.fsync(file.fileno())
            meta = self.meta()
            meta["failed"].pop(frame_id, None)
            meta["frames"][frame_id] = record
            self._write_meta(meta)

    def fail(self, frame_id: str, record: dict[str, Any]) -> None:
        """Remember a frame that could not be computed."""
        with self.locked():
            meta = self.meta()
            meta["failed"][frame_id] = record
            self._write_meta(meta)

    def _write_meta(self, meta: dict[str, Any]) -> None:
        temporary = self.side.with_name(self.side.name + ".tmp")
        with temporary.open("w") as file:
            json.dump(meta, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.side)

    def _truncate(self) -> None:
        """Cut off a half-written frame."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        size = whole_frames(data)
        if size < len(data):
            os.truncate(self.path, size)


def read_frames(path: Path) -> list[Atoms]:
    """Return the complete frames of a file that may still be growing."""
    data = path.read_bytes() if path.exists() else b""
    text = data[: whole_frames(data)].decode()
    return list(iread(io.StringIO(text), ":", format="extxyz"))


def whole_frames(data: bytes) -> int:
    r"""Return the number of leading bytes that hold complete frames.

    Examples
    --------
    >>> frame = b"1\nPbc=F\nC 0 0 0\n"
    >>> whole_frames(frame + b"2\nPbc=F\nC 0 0") == len(frame)
    True
    """
    lines = data.splitlines(keepends=True)
    size = start = 0
    while start < len(lines):
        try:
            stop = start + 2 + int(lines[start])
        except ValueError as error:
            raise ValueError(f"line {start + 1} is not a number of atoms") from error
        if stop > len(lines) or not lines[stop - 1].endswith(b"\n"):
            break
        size += sum(len(line) for line in lines[start:stop])
        start = stop
    return size
