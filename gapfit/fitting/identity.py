"""Identity of a fit: what it and another one must share to give the same model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gapfit._support.foreign import MB, ForeignError, file_size
from gapfit.config.sections import FitConfig
from gapfit.data.dataset import Dataset
from gapfit.data.digest import data_digest

__all__ = ["fit_identity"]


def fit_identity(dataset: Dataset, config: FitConfig, base: Path) -> dict[str, Any]:
    """Return the facts that decide which model a fit gives, as plain data.

    Parameters
    ----------
    dataset : Dataset
        Training data.
    config : FitConfig
        Configuration of the fit.
    base : Path
        Folder that relative paths in it refer to.
    """
    from importlib.metadata import version

    files = [config.baseline.table, *(term.points_file for term in config.terms)]
    settings = config.model_dump(mode="json", exclude={"data"})
    for name in ("executor", "workers", "scheduler", "threads", "memory", "device"):
        settings["run"].pop(name)
    return {
        "gapfit": version("gapfit"),
        "frames": len(dataset.frames),
        "SHA-256 of the data": data_digest(dataset.frames),
        "SHA-256 of": {name: _file_digest(base, name) for name in files if name},
        **settings,
    }


def _file_digest(base: Path, name: str) -> str | None:
    """Return a SHA-256 of a file; None for one that cannot be read (reported later)."""
    path, digest = base / Path(name).expanduser(), hashlib.sha256()
    try:
        file_size(path)
        with path.open("rb") as file:
            while piece := file.read(MB):
                digest.update(piece)
    except (OSError, ForeignError):
        return None
    return digest.hexdigest()
