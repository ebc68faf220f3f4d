"""Get a data set or potential by name: files of gapfit are copied, others downloaded."""

from __future__ import annotations

import difflib
import shutil
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

    Files that are there already are kept if their checksums are right.

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
    was_there = path.exists() and not overwrite and _is_right(entry, path)
    if not was_there:
        _remember(path, download(entry.url, path, entry.sha256, progress))
    files = [path] if not entry.members else unpack(path, entry.members, target)
    return LocalCopy(entry, target, tuple(files), was_there)


def _copied(entry: Entry, folder: Path, *, overwrite: bool) -> LocalCopy:
    """Copy files that come with gapfit."""
    source, copied = _shipped(entry), []
    for name in entry.shipped:
        new, path = source / name, folder / name
        if path.exists() and new.read_bytes() == path.read_bytes():
            continue
        if path.exists() and not overwrite:
            raise GapfitError(_differs(path, "the file that comes with gapfit"))
        with atomic_write(path) as temporary:
            shutil.copyfile(new, temporary)
        copied.append(path)
    files = tuple(folder / name for name in entry.shipped)
    return LocalCopy(entry, folder, files, not copied)


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


def _is_right(entry: Entry, path: Path) -> bool:
    """Return whether a file is the one to download; refuse another one.

    Without a recorded checksum it is the one that was downloaded first. A file that was
    never downloaded here was put there by hand, and is taken.
    """
    known = entry.sha256 or _remembered(path)
    actual = checksum(path)
    if not actual.startswith(known):
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
