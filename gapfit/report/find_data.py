"""Where the data of a model are, as far as its folder tells."""

from __future__ import annotations

from pathlib import Path

from gapfit.config.paths import relocated
from gapfit.config.sections import DataConfig, FitConfig, RunConfig
from gapfit.config.toml import dump_toml, load_config
from gapfit.errors import ConfigError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_from_quip

__all__ = ["data_of"]


def data_of(model: GAPModel, path: Path, notes: list[str]) -> tuple[DataConfig, Path]:
    """Return the data that a model was fitted to, and the folder of relative paths.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file, beside the fit.toml of its fit or not.
    notes : list of str
        Why that file is not used is added to it.
    """
    folder = path.absolute().parent
    data = model.config.data
    if is_from_quip(model):
        # Its file does not name them: the configuration only has to have some.
        return data.model_copy(update={"train": [], "test": []}), folder
    resolved = folder / "fit.toml"
    if resolved.exists():
        try:
            config = load_config(resolved)
        except ConfigError as error:
            notes.append(f"the configuration beside the model cannot be used: {error}")
        else:
            if _settings(config) == _settings(model.config):
                return config.data, folder
            notes.append(
                f"{resolved} is not the configuration that {path.name} was fitted with: "
                "it is left out; data are those that the model itself names"
            )
    # A fit makes its folder beside the configuration that names the files.
    for base in (folder.parent, folder, Path.cwd()):
        if all((base / Path(name).expanduser()).exists() for name in data.train):
            return data, base
    return data, folder.parent


def _settings(config: FitConfig) -> str:
    """Return what decides a fit, without where files are and who computes."""
    config = relocated(config, lambda _: "")
    data = config.data.model_copy(update={"train": [], "test": []})
    run = RunConfig(seed=config.run.seed)
    return dump_toml(config.model_copy(update={"data": data, "run": run}))
