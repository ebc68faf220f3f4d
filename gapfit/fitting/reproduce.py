"""Files from which a model can be fitted again, and whether its data are still there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gapfit.config.paths import IN_MEMORY, relocated
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
        if file == IN_MEMORY:
            return file
        return os.path.relpath(base / Path(file).expanduser(), folder)

    head = (
        f"# The fit of {path.name}. Digest of its potential (gapfit info):\n"
        f"# {model_digest(model)}\n\n"
    )
    files = {
        CONFIG: head + dump_toml(relocated(config, place)),
        REQUIREMENTS: _requirements(model),
    }
    added = sum(addition.n_frames for addition in model.record.appended)
    remark = (
        f"{added} structures were appended after the fit: these files repeat the fit "
        "alone, and gapfit append adds the others again"
    )
    return Reproduction(
        files, _difference(model, data, base), (remark,) if added else ()
    )


def _requirements(model: GAPModel) -> str:
    """Return versions for pip; gapfit's as a comment, for it comes from its source."""
    lines = [
        f"{'# ' if name == 'gapfit' else ''}{name}=={version}\n"
        for name, version in model.record.versions.items()
    ]
    return "".join(lines)


def _difference(model: GAPModel, data: DataConfig, base: Path) -> str:
    """Return why the training data are not those of the fit; empty if they are."""
    if IN_MEMORY in data.train:
        return (
            "the fit had structures in memory, not files: write them to a file, and name "
            "it under data.train"
        )
    files = [base / Path(name).expanduser() for name in data.train]
    if missing := [str(file) for file in files if not file.exists()]:
        return f"missing: {', '.join(missing)}"
    try:
        frames = read(data.train, data, base=base).frames
    except GapfitError as error:
        return f"they cannot be read any more: {error}"
    record = model.record
    fitted, n_frames = record.data_digest, record.n_frames or 0
    if record.appended:
        fitted = record.appended[0].onto
        n_frames -= sum(addition.n_frames for addition in record.appended)
    if (found := data_digest(frames)) == fitted:
        return ""
    return (
        f"they have changed: {len(frames)} structures with the digest {found}, but "
        f"{n_frames} with {fitted} were fitted"
    )
