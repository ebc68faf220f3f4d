"""Model files with other contents."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path


def rewritten(source: Path, target: Path, **changes) -> Path:
    """Copy a model file with some members replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = changes.get(name.split(".")[0].replace("/", "_"), old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def header_of(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("header.json"))
