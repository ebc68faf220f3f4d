"""Small files of extended XYZ as text, and what a reader makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.files import structures
from gapfit.data.frame import Frame
from gapfit.errors import DataError

LATTICE = 'Lattice="5 0 0 0 5 0 0 0 5"'
PROPERTIES = "Properties=species:S:1:pos:R:3:forces:R:3"
ROWS = "Si 0 0 0 0.1 0 0\nSi 1.3 1.3 1.3 -0.1 0 0\n"


def text(header: str, rows: str = ROWS, count: object = 2) -> str:
    return f"{count}\n{header}\n{rows}"


def good(more: str = "") -> str:
    """Return the header of a crystal with an energy, and more words."""
    return f"{LATTICE} {PROPERTIES} energy=-10.5 {more}".rstrip()


def dataset(folder: Path, content: str | bytes, **config: object) -> Dataset:
    """Return what is read from a file with this content."""
    path = folder / "a.xyz"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, DataConfig(train=["-"], **config))


def frame(folder: Path, content: str | bytes, **config: object) -> Frame:
    return dataset(folder, content, **config).frames[0]


def atoms(folder: Path, content: str | bytes) -> Any:
    """Return the first structure as ase.Atoms."""
    path = folder / "a.xyz"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return next(structures(path, "a.xyz"))[1]


def refused(folder: Path, content: str | bytes, message: str, **config: object) -> None:
    """Check that the content is refused, in few lines that name the file."""
    with pytest.raises(DataError, match=message) as caught:
        dataset(folder, content, **config)
    said = str(caught.value)
    assert "a.xyz" in said
    assert len(said.splitlines()) <= 3
    assert len(said) < 1500
