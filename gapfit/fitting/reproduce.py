"""Files from which a model can be fitted again, and whether its data are still there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gapfit.config.paths import relocated
from gapfit.config.sections import DataConfig
from gapfit.config.toml import dump_toml
from gapfit.data.dataset import read
from gapfit.data.digest import data_digest
from gapfit.errors import GapfitError
from gapfit.fitting.training_data import find_training_data
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_foreign, model_digest

__all__ = ["Reproduction", "reproduction"]

CONFIG, REQUIREMENTS = "fit.toml", "requirements.txt"


@dataclass(frozen=True)
class Reproduction:
    """What it takes to fit a model again.

    Attributes
    ----------
    files : dict of str to str
        Names and texts: ``fit.toml`` with all settings, ``requirements.txt`` with the
        versions of the libraries.
    data : str
        What is wrong with the training data; empty if they are those of the fit.
    remarks : tuple of str
        What was done to the model after its fit.
    """

    files: dict[str, str]
    data: str
    remarks: tuple[str, ...] = ()


def reproduction(model: GAPModel, path: Path, folder: Path) -> Reproduction:
    """Return the files from which a model can be fitted again.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file: data are looked for where `gapfit.refit` looks for them.
    folder : Path
        Where the files will lie; paths in ``fit.toml`` are relative to it.

    Raises
    ------
    GapfitError
        The model was fitted by another program.
    """
    if is_foreign(model):
        raise GapfitError(
            f"{path}: was read from a file of {model.record.program}, which does not say "
            "how it was fitted; only fits of gapfit can be reproduced"
        )
    data, base = find_training_data(model, path, [])
    config = model.config.model_copy(update={"data": data})

    def place(file: str) -> str:
        return os.path.relpath(base / Path(file).expanduser(), folder)

    head = (
        f"# The fit of {path.name}. Digest of its potential (gapfit info):\n"
        f"# {model_digest(model)}\n\n"
    )
    versions = model.record.versions
    pinned = "".join(f"{name}=={version}\n" for name, version in versions.items())
    files = {CONFIG: head + dump_toml(relocated(config, place)), REQUIREMENTS: pinned}
    added = sum(addition.n_frames for addition in model.record.appended)
    remarks = (
        f"{added} structures were appended after the fit (gapfit append): add their files "
        "to data.train, after the others"
    )
    return Reproduction(
        files, _difference(model, data, base), (remarks,) if added else ()
    )


def _difference(model: GAPModel, data: DataConfig, base: Path) -> str:
    """Return why the training data are not those of the fit; empty if they are."""
    files = [base / Path(name).expanduser() for name in data.train]
    if missing := [str(file) for file in files if not file.exists()]:
        return f"missing: {', '.join(missing)}"
    try:
        frames = read(data.train, data, base=base).frames
    except GapfitError as error:
        return f"they cannot be read any more: {error}"
    if model.record.was_fitted_to(frames):
        return ""
    return (
        f"they have changed: {len(frames)} structures with the digest "
        f"{data_digest(frames)}, but {model.record.n_frames} with "
        f"{model.record.data_digest} were fitted"
    )
