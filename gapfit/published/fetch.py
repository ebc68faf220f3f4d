"""Get a data set or potential by name: files of gapfit are copied, others downloaded."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gapfit._support.archive import atomic_write
from gapfit._support.progress import Progress, silent
from gapfit.errors import GapfitError
from gapfit.published.download import checksum, download
from gapfit.published.entry import Entry, entries
from gapfit.published.unpack import unpack

__all__ = ["LocalCopy", "entry_of", "get"]

#: Checksums of what was downloaded, as ``sha256sum --check`` reads them.
_SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class LocalCopy:
    """Files of a data set or potential on this machine.

    Attributes
    ----------
    entry : Entry
        What they are.
    folder : Path
        Where they are.
    files : tuple of Path
        The files.
    was_there : bool
        They were there before, and nothing was copied or downloaded.
    """

    entry: Entry
    folder: Path
    files: tuple[Path, ...]
    was_there: bool

    @property
    def structures(self) -> tuple[Path, ...]:
        """Files of labelled structures."""
        return tuple(path for path in self.files if path.suffix in (".xyz", ".extxyz"))

    @property
    def potentials(self) -> tuple[Path, ...]:
        """Files that `gapfit.quip.load` reads."""
        return tuple(path for path in self.files if path.suffix == ".xml")


def entry_of(name: str) -> Entry:
    """Return the entry of a name.

    Raises
    ------
    GapfitError
        There is none.
    """
    known = {entry.name: entry for entry in entries()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise GapfitError(
        f"there is no data set or potential {name!r}; {hint}`gapfit data list` lists all"
    )


def get(
    name: str | Entry,
    folder: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> LocalCopy:
    """Put the files of a data set or potential into a folder; the network may be used.

    Files that are there already are kept if they are right; others are not replaced unless
    `overwrite` is set.

    Parameters
    ----------
    name : str or Entry
        Which one; see `entries`.
    folder : path, optional
        Where to; ``data/NAME`` by default.
    overwrite : bool
        Replace files of the same name that differ.
    progress : callable
        Called as ``progress("download", done, total)`` in bytes.

    Raises
    ------
    GapfitError
        There is no such name; a file of the same name differs; the download fails or has
        another checksum than recorded; or gapfit was installed without the files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in get("silicon", folder).structures]
    ['train.extxyz', 'test.extxyz']
    """
    entry = name if isinstance(name, Entry) else entry_of(name)
    target = Path("data", entry.name) if folder is None else Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if entry.shipped:
        return _copied(entry, target, overwrite=overwrite)
    path = target / entry.file_name
    was_there = path.exists() and _is_right(entry, path, overwrite=overwrite)
    if not was_there:
        known = entry.sha256 or ("" if overwrite else _remembered(path))
        _remember(path, download(entry.url, path, known, progress))
    files: tuple[Path, ...] = (path,)
    if entry.members:
        files, unpacked = _unpacked(path, entry.members, overwrite=overwrite)
        was_there = was_there and not unpacked
    return LocalCopy(entry, target, files, was_there)


def _copied(entry: Entry, folder: Path, *, overwrite: bool) -> LocalCopy:
    """Copy files that come with gapfit."""
    source = _shipped(entry)
    new = [source / name for name in entry.shipped]
    files, copied = _placed(
        new, folder, "the file that comes with gapfit", overwrite=overwrite
    )
    return LocalCopy(entry, folder, files, not copied)


def _unpacked(
    archive: Path, patterns: Sequence[str], *, overwrite: bool
) -> tuple[tuple[Path, ...], bool]:
    """Put the files of an archive beside it, as `_placed`."""
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=archive.parent) as folder:
        new = unpack(archive, patterns, Path(folder))
        what = f"the file in {archive.name}"
        return _placed(new, archive.parent, what, overwrite=overwrite)


def _placed(
    new: Sequence[Path], folder: Path, what: str, *, overwrite: bool
) -> tuple[tuple[Path, ...], bool]:
    """Copy files to a folder unless others are there; return them, and if any is new."""
    files = tuple(folder / path.name for path in new)
    missing = []
    for path, to in zip(new, files, strict=True):
        if to.exists() and checksum(to) == checksum(path):
            continue
        if to.exists() and not overwrite:
            raise GapfitError(_differs(to, what))
        missing.append((path, to))
    for path, to in missing:
        with atomic_write(to) as temporary:
            shutil.copyfile(path, temporary)
    return files, bool(missing)


def _shipped(entry: Entry) -> Path:
    """Return the folder of a set that comes with gapfit: of a wheel, or the repository."""
    here = Path(__file__)
    for sets in (here.with_name("data"), here.parents[2] / "data"):
        if all((sets / entry.name / name).is_file() for name in entry.shipped):
            return sets / entry.name
    raise GapfitError(
        f"{entry.name}: this installation of gapfit has no data; they are in the folder "
        f"data/{entry.name} of the repository"
    )


def _is_right(entry: Entry, path: Path, *, overwrite: bool) -> bool:
    """Return whether a file is the one to download; refuse another one, or replace it.

    Without a recorded checksum it is the one that was downloaded first. A file that was
    never downloaded here was put there by hand, and is taken.
    """
    known = entry.sha256 or _remembered(path)
    actual = checksum(path)
    if not actual.startswith(known):
        if overwrite:
            return False
        raise GapfitError(_differs(path, "what is to be downloaded"))
    if not known:
        _remember(path, actual)
    return True


def _differs(path: Path, what: str) -> str:
    return (
        f"{path}: exists and differs from {what}; move it away, name another folder with "
        "--output, or replace it with --force"
    )


def _remembered(path: Path) -> str:
    """Return the checksum that a file had when it was downloaded; empty if none is kept."""
    return _sums(path.with_name(_SUMS)).get(path.name, "")


def _remember(path: Path, sha256: str) -> None:
    """Keep the checksum of a downloaded file beside it."""
    sums = path.with_name(_SUMS)
    known = _sums(sums) | {path.name: sha256}
    lines = [f"{value}  {name}\n" for name, value in known.items()]
    with atomic_write(sums) as temporary:
        temporary.write_text("".join(lines), "utf-8")


def _sums(path: Path) -> dict[str, str]:
    """Return the checksums of a file, by name."""
    if not path.exists():
        return {}
    lines = (line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines())
    return {words[1]: words[0] for words in lines if len(words) == 2}
