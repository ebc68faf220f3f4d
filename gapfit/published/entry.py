"""What is known of a published data set or potential, and the registry of them."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from gapfit._support.paper import Paper

__all__ = ["Entry", "entries"]

_REGISTRY = Path(__file__).with_name("registry.toml")


@dataclass(frozen=True)
class Entry:
    """A data set, a potential, or both, by name.

    Attributes
    ----------
    name : str
        What `get` takes.
    title : str
        What it holds.
    species : str
        Its chemical symbols, with blanks between them.
    licence : str
        Its licence, or where to read it.
    doi : str
        DOI of the files; empty if there is none.
    paper : Paper or None
        The publication to cite.
    shipped : tuple of str
        Names of files that come with gapfit; without them there is a download.
    url : str
        Address of the download; a file, or an archive (zip, tar).
    sha256 : str
        Beginning of the checksum of the download, at least twelve digits in hexadecimal;
        empty if none is recorded.
    checksum_from : str
        Who recorded it.
    members : tuple of str
        Patterns of the files of an archive that are unpacked; empty for a plain file.
    """

    name: str
    title: str
    species: str
    licence: str
    doi: str = ""
    paper: Paper | None = None
    shipped: tuple[str, ...] = ()
    url: str = ""
    sha256: str = ""
    checksum_from: str = ""
    members: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of the downloaded file."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def checksum(self) -> str:
        """What is known of the checksum, in words."""
        if self.shipped:
            return "comes with gapfit"
        if not self.sha256:
            return "not recorded: that of the first download is kept and compared later"
        return f"SHA-256 {self.sha256}..., from {self.checksum_from}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@cache
def entries() -> tuple[Entry, ...]:
    """Return all data sets and potentials that `get` knows, those of gapfit first.

    Examples
    --------
    >>> [entry.name for entry in entries()][:3]
    ['silicon', 'carbon', 'tungsten']
    """
    tables = tomllib.loads(_REGISTRY.read_text("utf-8"))
    return tuple(_entry(name, table) for name, table in tables.items())


def _entry(name: str, table: dict[str, Any]) -> Entry:
    lists = {key: tuple(table.get(key, ())) for key in ("shipped", "members")}
    paper = Paper(*table["paper"]) if "paper" in table else None
    return Entry(**{"name": name, **table, **lists, "paper": paper})
