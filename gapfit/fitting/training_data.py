"""Training data of a model, located relative to its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gapfit.config.paths import relocated
from gapfit.config.sections import DataConfig, FitConfig, RunConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import read
from gapfit.data.digest import data_digest
from gapfit.data.frame import Frame
from gapfit.errors import ConfigError, GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_foreign

__all__ = ["find_training_data", "same_training_frames"]


def find_training_data(
    model: GAPModel, path: Path, notes: list[str]
) -> tuple[DataConfig, Path]:
    """Return the data that a model was fitted to, and the folder of relative paths.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file, next to the fit.toml of its fit or not.
    notes : list of str
        The reason why that file is not used is added to it.
    """
    folder = path.absolute().parent
    data = model.config.data
    if is_foreign(model):
        # Its file does not name data; the configuration must have these keys.
        return data.model_copy(update={"train": [], "test": []}), folder
    resolved = folder / "fit.toml"
    if resolved.exists():
        try:
            config = load_config(resolved)
        except ConfigError as error:
            notes.append(f"the configuration next to the model is not used: {error}")
        else:
            if _settings(config) == _settings(model.config):
                return config.data, folder
            notes.append(
                f"{resolved} is not the configuration that {path.name} was fitted with: "
                "it is not used; data are those that the model itself names"
            )
    # A fit makes its folder next to the configuration that names the files.
    for base in (folder.parent, folder):
        if all((base / Path(name).expanduser()).exists() for name in data.train):
            return data, base
    return data, folder.parent


def same_training_frames(model: GAPModel, path: Path) -> Sequence[Frame] | None:
    """Return the training frames of a model; None if they are missing or changed.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file.
    """
    data, base = find_training_data(model, path, [])
    if not all((base / Path(name).expanduser()).exists() for name in data.train):
        return None
    try:
        frames = read(data.train, data, base=base).frames
    except GapfitError:
        return None
    return frames if data_digest(frames) == model.record.data_digest else None


def _settings(config: FitConfig) -> dict[str, Any]:
    """Return the settings that decide a fit, without paths and executors, as plain data.

    Two are the same whatever the order of their config_types.
    """
    config = relocated(config, lambda _: "")
    data = config.data.model_copy(update={"train": [], "test": []})
    run = RunConfig(seed=config.run.seed)
    deciding = config.model_copy(update={"data": data, "run": run})
    return deciding.model_dump(mode="json")
