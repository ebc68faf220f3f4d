"""Structures from files (extended XYZ, ASE databases, anything ASE reads) or ase.Atoms.

Extended XYZ is cut into frames here, and ASE parses each frame. This gives the frame and
line of every error, detects where ASE stops silently (a blank line, a truncated frame), and
reads compressed files in one pass.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from gapfit.data.frame import Frame, structure_arrays
from gapfit.errors import DataError

__all__ = ["RawFrame", "load", "require_files", "structures"]

_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
_DATABASES = (".db", ".aselmdb")


@dataclass(frozen=True, eq=False)
class RawFrame:
    """A structure as it was read.

    Attributes
    ----------
    frame : Frame
        The structure without labels; its source reads ``"train.extxyz, frame 12"``,
        frames counted from 0 in each file.
    labels : dict
        All other data of the structure: the results of its calculator, ``info`` and
        ``arrays``; in case of equal names the former replace the latter.
    """

    frame: Frame
    labels: dict[str, Any]


def load(sources: Any, base: Path) -> Iterator[RawFrame]:
    """Yield all structures of all sources.

    Parameters
    ----------
    sources : path, ase.Atoms, or a sequence of either
        Files and structures to read.
    base : Path
        Folder that relative paths refer to.

    Raises
    ------
    DataError
        A file does not exist (all are listed), cannot be read, is empty, or ends in the
        middle of a frame; calculator results belong to another structure.
    """
    single = isinstance(sources, str | Path) or hasattr(sources, "positions")
    sources = (
        list(sources) if isinstance(sources, Iterable) and not single else [sources]
    )
    require_files([s for s in sources if isinstance(s, str | Path)], base)
    for index, source in enumerate(sources):
        if isinstance(source, str | Path):
            path = base / Path(source).expanduser()
            yield from (_raw(a, where) for where, a in structures(path, str(source)))
        elif hasattr(source, "positions"):
            _refuse_stale(source, f"frame {index}")
            yield _raw(source, f"frame {index}")
        else:
            raise DataError(
                f"cannot read data from {type(source).__name__} {str(source)[:60]!r}; "
                "give paths of files or ase.Atoms"
            )
    if not sources:
        raise DataError("there is nothing to read; give at least one file or structure")


def require_files(names: Sequence[str | Path], base: Path) -> None:
    """Raise a DataError that lists all files that do not exist.

    Parameters
    ----------
    names : sequence of path
        The files.
    base : Path
        Folder that relative paths refer to.
    """
    paths = {str(name): base / Path(name).expanduser() for name in names}
    missing = {name: path for name, path in paths.items() if not path.exists()}
    if not missing:
        return
    relative = [name for name in missing if not Path(name).is_absolute()]
    shown = [
        f"{name} ({path.absolute()})" if name in relative else name
        for name, path in missing.items()
    ]
    hint = " (relative paths refer to the folder of the configuration file)"
    elsewhere = base != Path() and bool(relative)
    raise DataError(
        f"no such file: {', '.join(shown)}; correct the path{hint * elsewhere}"
    )


def _raw(atoms: Any, source: str) -> RawFrame:
    results = getattr(atoms.calc, "results", None) or {}
    labels = {**atoms.arrays, **atoms.info, **results}
    del labels["numbers"], labels["positions"]
    return RawFrame(
        structure_arrays(atoms, source),
        {key: value for key, value in labels.items() if value is not None},
    )


def _refuse_stale(atoms: Any, source: str) -> None:
    """Refuse calculator results that belong to another structure."""
    calculator = atoms.calc
    if not getattr(calculator, "results", None) or not hasattr(
        calculator, "check_state"
    ):
        return
    structure = {"positions", "numbers", "cell", "pbc"}
    changed = sorted(structure.intersection(calculator.check_state(atoms)))
    if changed:
        raise DataError(
            f"{source}: {', '.join(changed)} changed after the calculator computed its "
            "results, which belong to another structure; compute them again"
        )


def structures(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the structures of a file: their place for messages, and ase.Atoms.

    Every failure becomes a DataError.
    """
    compressed = path.suffix in _OPENERS
    suffix = Path(path.stem).suffix if compressed else path.suffix
    if suffix in (".xyz", ".extxyz"):
        frames = _read_xyz(path, name)
    elif suffix in _DATABASES:
        frames = _read_database(path)
    else:
        frames = _read_other(path)
    count = 0
    while True:
        source = f"{name}, frame {count}"
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except DataError:
            raise
        except Exception as error:  # every format fails in its own way
            raise DataError(
                f"{source}: cannot be read ({_reason(error)}); "
                "correct the file, or cut it before this frame"
            ) from error
        yield source, atoms
        count += 1
    if count == 0:
        raise DataError(f"{name}: there are no structures in this file; remove it")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is not a chemical symbol or a known name"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _read_database(path: Path) -> Iterator[Any]:
    from ase.db import connect

    with connect(path) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            atoms.info.update(row.data)
            yield atoms


def _read_other(path: Path) -> Iterator[Any]:
    from ase.io import iread

    yield from iread(str(path), index=":", do_not_split_by_at_sign=True)


def _read_xyz(path: Path, name: str) -> Iterator[Any]:
    from ase.io.extxyz import key_val_str_to_dict, read_xyz

    def parse_comment(comment: str) -> dict[str, Any]:
        values = key_val_str_to_dict(comment)
        if "stress" in values:
            # ASE keeps one triangle of a 3x3 stress but all of nine numbers, whose
            # symmetry can then be checked.
            values["stress"] = values["stress"].ravel()
        return values

    with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as stream:
        for text in _xyz_frames(stream, name):
            yield from read_xyz(StringIO(text), slice(0, 1), parse_comment)


def _xyz_frames(stream: TextIO, name: str) -> Iterator[str]:
    """Yield the text of each frame; ``VEC1 ...`` lines may follow the atoms."""
    frame, number = 0, 1
    header = stream.readline()
    while header.strip():
        where = f"{name}, frame {frame} (line {number})"
        lines = [header, *(stream.readline() for _ in range(1 + _count(header, where)))]
        if not lines[-1]:
            present = sum(map(bool, lines)) - 2
            raise DataError(
                f"{where}: the file ends after {max(present, 0)} of "
                f"{len(lines) - 2} atoms; it was truncated: copy or write it again, "
                "or remove this frame"
            )
        header = stream.readline()
        while header.lstrip().startswith("VEC"):
            lines.append(header)
            header = stream.readline()
        yield "".join(lines)
        frame, number = frame + 1, number + len(lines)
    if header and any(line.strip() for line in stream):
        raise DataError(
            f"{name} (line {number}): a blank line followed by more text; most programs "
            "stop reading there; remove the blank line"
        )


def _count(header: str, where: str) -> int:
    try:
        count = int(header)
    except ValueError:
        count = -1
    if count < 0:
        shown = header.strip()[:60]
        raise DataError(
            f"{where}: expected the number of atoms, found {shown!r}; the frame before "
            "has more or fewer lines than it says, or this is not an XYZ file"
        )
    return count
