"""Structures from files (extended XYZ, other programs, anything ASE reads) or ase.Atoms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gapfit.data.extxyz import XyzError
from gapfit.data.extxyz_frames import XyzFrame, xyz_frames
from gapfit.data.formats import READ, FileFormat, file_format
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.readers.deepmd import deepmd_frames
from gapfit.data.readers.options import ReadOptions
from gapfit.data.text_lines import Lines
from gapfit.errors import DataError

__all__ = ["RawFrame", "load", "require_files", "structures"]


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


#: Files that say all themselves.
_PLAIN = ReadOptions()


def load(sources: Any, base: Path, options: ReadOptions = _PLAIN) -> Iterator[RawFrame]:
    """Yield all structures of all sources.

    Parameters
    ----------
    sources : path, ase.Atoms, or a sequence of either
        Files and structures to read.
    base : Path
        Folder that relative paths refer to.
    options : ReadOptions
        Elements and units of files that do not name them.

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
            items = _items(path, str(source), options)
            yield from (_raw(item, where) for where, item in items)
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
    if isinstance(atoms, XyzFrame):
        return RawFrame(atoms.structure, atoms.labels)
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


def structures(
    path: Path, name: str, options: ReadOptions = _PLAIN
) -> Iterator[tuple[str, Any]]:
    """Yield the structures of a file: their place for messages, and ase.Atoms.

    Every failure becomes a DataError.
    """
    for source, item in _items(path, name, options):
        yield source, item.atoms() if isinstance(item, XyzFrame) else item


def _items(path: Path, name: str, options: ReadOptions) -> Iterator[tuple[str, Any]]:
    """Yield places and structures as `XyzFrame` or ase.Atoms."""
    frames, count = _frames(path, name, options), 0
    while True:
        source = f"{name}, frame {count}"
        try:
            item = next(frames)
        except StopIteration:
            break
        except DataError:
            raise
        except Exception as error:  # every format fails in its own way
            raise DataError(
                f"{source}: cannot be read ({_reason(error)}); {_cure(path, count)}"
            ) from error
        yield source, item
        count += 1
    if count == 0:
        raise DataError(f"{name}: there are no structures in this file; remove it")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is not a chemical symbol or a known name"
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _cure(path: Path, count: int) -> str:
    if (
        count
        or path.is_dir()
        or path.suffix in (".xyz", ".extxyz", ".gz", ".bz2", ".xz")
    ):
        return "correct the file, or cut it before this frame"
    return (
        "by its name or contents, ASE takes it for another format or a damaged file; "
        f"correct it, or convert it (gapfit reads {READ})"
    )


def _frames(path: Path, name: str, options: ReadOptions) -> Iterator[Any]:
    file = file_format(path, name)
    if file.kind == "xyz":
        with path.open("rb") as binary, file.text(binary) as stream:
            packed = binary if file.opener else None
            yield from xyz_frames(stream, name, file.n_bytes, packed)
    elif file.kind == "text":
        yield from _read_text(file, name, options)
    elif file.kind == "folder":
        frames = deepmd_frames(path, name, options)
        yield from (_named(frame, name, n) for n, frame in enumerate(frames))
    elif file.kind == "database":
        yield from _read_database(path)
    else:
        yield from _read_other(path, name)


def _read_text(file: FileFormat, name: str, options: ReadOptions) -> Iterator[XyzFrame]:
    """Yield the frames of a file of another program; errors tell frame and line."""
    assert file.reader is not None
    count = 0
    with file.path.open("rb") as binary, file.text(binary) as stream:
        lines = Lines(stream, file.n_bytes, binary if file.opener else None)
        try:
            for frame in file.reader.frames(lines, options, file.path):
                yield _named(frame, name, count)
                count += 1
        except XyzError as error:
            raise DataError(
                f"{name}, frame {count} (line {lines.start + error.line}): {error} (read "
                f"as {file.reader.noun})"
            ) from None


def _named(frame: XyzFrame, name: str, count: int) -> XyzFrame:
    """Return a frame with its place."""
    source = f"{name}, frame {count}"
    return replace(frame, structure=replace(frame.structure, source=source))


def _read_database(path: Path) -> Iterator[Any]:
    from ase.db import connect

    with connect(path, type=None if path.suffix == ".aselmdb" else "db") as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            atoms.info.update(row.data)
            yield atoms


def _read_other(path: Path, name: str) -> Iterator[Any]:
    from ase.io import iread
    from ase.io.formats import UnknownFileTypeError

    if not path.stat().st_size:
        return
    try:
        yield from iread(str(path), index=":", do_not_split_by_at_sign=True)
    except UnknownFileTypeError:
        raise DataError(
            f"{name}: the format is not known by its name or contents; convert it, or "
            f"rename it if its suffix is wrong (gapfit reads {READ})"
        ) from None
