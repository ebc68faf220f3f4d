"""Formats of files by their contents: those that are read, and those to be converted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gapfit._support.foreign import UnopenedError, file_size
from gapfit.data.packed import SUFFIXES, as_text, opener_of
from gapfit.data.readers.deepmd import is_deepmd
from gapfit.data.readers.table import READERS, TextReader
from gapfit.errors import DataError

__all__ = ["READ", "FileFormat", "file_format"]

#: Formats that are read, for messages.
READ = (
    "extended XYZ, ASE's .traj and .db, OUTCAR, vasprun.xml, ML_AB, .cfg of MLIP, CP2K, "
    "DeePMD, n2p2, LAMMPS dumps and others that ASE reads"
)
_CONVERT = (
    'write it as extended XYZ, in Python with ase.io.write("data.extxyz", frames)'
)

#: Bytes at the beginning that are looked at.
_HEAD = 8192
_XYZ = (".xyz", ".extxyz", ".exyz")
_DATABASES = (".db", ".aselmdb")
_COUNT = re.compile(rb"[ \t]*\d+[ \t\r]*")


def _begins(pattern: bytes) -> Callable[[bytes, str], object]:
    search = re.compile(pattern, re.MULTILINE).match
    return lambda head, name: search(head)


def _is_other_json(head: bytes, name: str) -> bool:
    text = head.lstrip()
    of_ase = re.match(rb'\{\s*"(\d+|ids|nextid)"', text) or b"__ase_objtype__" in text
    return text[:1] in (b"{", b"[") and not of_ase and not name.endswith(".cjson")


def _is_model(head: bytes) -> bool:
    """Return whether a file is a model of gapfit, pacemaker or QUIP."""
    if head.startswith(b"PK"):
        return b"header.json" in head[:64]  # the first member
    text = head.lstrip()
    is_gap = text.startswith(b"<") and re.search(rb"<(?:GAP_params|Potential)\b", text)
    return text.startswith(b"elements:") or bool(is_gap)


#: What other programs write: a test of contents and name, the format, a way to convert it.
_FOREIGN: tuple[tuple[Callable[[bytes, str], object], str, str], ...] = (
    (
        lambda head, name: re.search(rb'^\s*\{\s*"Dataset"', head, re.MULTILINE),
        "a JSON file of FitSNAP",
        "read its Positions, Lattice, Energy, Forces and Stress (see its EnergyStyle, "
        "StressStyle) with Python's json after the comment line, then " + _CONVERT,
    ),
    (
        lambda head, name: _is_other_json(head, name) and b'"@module"' in head,
        "a JSON file of pymatgen",
        "turn its structures into ASE's with pymatgen.io.ase.AseAtomsAdaptor, then "
        + _CONVERT,
    ),
    (_is_other_json, "a JSON file of another program", _CONVERT),
    (
        lambda head, name: (
            re.search(rb"^\s*\d+\s+atoms\b", head, re.MULTILINE) and b"xlo xhi" in head
        ),
        "a data file of LAMMPS",
        'read it with ase.io.read(..., format="lammps-data"), then ' + _CONVERT,
    ),
    (
        lambda head, name: re.search(
            r"(box|coord|energy|force|type|virial)\.raw$", name
        ),
        "a .raw file of DeePMD",
        "name the folder that holds type.raw",
    ),
    (
        lambda head, name: head.startswith(b"\x89HDF") and not name.endswith(".nc"),
        "an HDF5 file",
        _CONVERT,
    ),
    (
        _begins(rb"\x80[\x02-\x05]"),
        "a Python pickle",
        "load it in Python, and " + _CONVERT,
    ),
    (_begins(rb"\x93NUMPY"), "a NumPy array", _CONVERT),
    (
        lambda head, name: _is_model(head),
        "a model",
        "models have no structures: name the files of data instead",
    ),
    (
        lambda head, name: head.startswith(b"PK") and name.endswith(".npz"),
        "a NumPy archive",
        _CONVERT,
    ),
    (_begins(rb"PK\x03\x04"), "a zip archive", "unpack it, and name the files in it"),
    (
        lambda head, name: head[257:262] == b"ustar",
        "a tar archive",
        "unpack it, and name the files in it",
    ),
    (_begins(rb"\x28\xb5\x2f\xfd"), "compressed by zstd", "unpack it"),
    (_begins(rb"7z\xbc\xaf"), "a 7z archive", "unpack it"),
    (_begins(rb"\xff\xfe|\xfe\xff"), "UTF-16 text", "save it as UTF-8"),
)


@dataclass(frozen=True)
class FileFormat:
    """Format of a file, and how to open it.

    Attributes
    ----------
    path : Path
        The file.
    kind : {"xyz", "database", "text", "folder", "other"}
        What reads it: extended XYZ, ASE's databases, `reader`, DeePMD-kit's folders, or
        whatever ASE takes it for.
    n_bytes : int
        Its size.
    opener : callable or None
        Function that opens it decompressed; None if it is not compressed.
    reader : TextReader or None
        Reader of the files of another program.
    """

    path: Path
    kind: str
    n_bytes: int
    opener: Callable[..., Any] | None = None
    reader: TextReader | None = None

    def text(self, file: BinaryIO) -> TextIO:
        """Return its text; bytes that are not UTF-8 become surrogates.

        Parameters
        ----------
        file : BinaryIO
            The file, open at its beginning.
        """
        return as_text(file, self.opener)


def file_format(path: Path, name: str) -> FileFormat:
    """Return the format of a file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in messages.

    Raises
    ------
    DataError
        It is no file, cannot be opened, or has the format of another program; the message
        says how to convert it.
    """
    # Path.is_dir raises an error for names that are too long.
    if os.path.isdir(path) and is_deepmd(path):  # noqa: PTH112
        return FileFormat(path, "folder", 0)
    n_bytes = _size(path, name)
    head = _head(path, name, open)
    opener = opener_of(head)
    if opener is not None:
        head = _head(path, name, opener)
    file = path.name.lower()
    if opener is not None and file.endswith(SUFFIXES):
        file = file.rpartition(".")[0]
    for test, noun, cure in _FOREIGN:
        if test(head, file):
            raise DataError(
                f"{name}: is {noun}, which is not read; {cure} (gapfit reads {READ})"
            )
    reader = next((r for r in READERS if r.knows(head)), None)
    if reader is not None:
        return FileFormat(path, "text", n_bytes, opener, reader)
    kind = "other"
    if file.endswith(_DATABASES) or head.startswith(b"SQLite format 3"):
        kind = "database"
    elif file.endswith(_XYZ) or _looks_like_xyz(head):
        kind = "xyz"
    elif opener is not None and not path.name.endswith(SUFFIXES):
        raise DataError(
            f"{name}: is compressed, and its name does not say so; unpack it, or add the "
            "suffix .gz, .bz2 or .xz"
        )
    return FileFormat(path, kind, n_bytes, opener)


def _size(path: Path, name: str) -> int:
    try:
        return file_size(path)
    except UnopenedError as error:
        raise DataError(f"{name}: {error}; name files that hold structures") from None


def _head(path: Path, name: str, opener: Callable[..., Any]) -> bytes:
    try:
        with opener(path, "rb") as file:
            head: bytes = file.read(_HEAD)
    except PermissionError as error:
        raise DataError(
            f"{name}: cannot be opened ({error.strerror}); make it readable"
        ) from None
    return head.removeprefix(b"\xef\xbb\xbf")


def _looks_like_xyz(head: bytes) -> bool:
    """Return whether a number of atoms, a line and a row with a position come first."""
    lines = head.split(b"\n", 3)
    if len(lines) < 3 or not _COUNT.fullmatch(lines[0]):
        return False
    words = lines[2].split()
    return len(words) >= 4 and sum(map(_is_number, words)) >= 3


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
