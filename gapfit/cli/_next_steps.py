"""Commands that follow a configuration: tune, and the fit of the file that it writes."""

from __future__ import annotations

import shlex
from pathlib import Path

__all__ = ["TUNED_HEADER", "fit_commands", "tuned_path"]

#: First line of a file that `gapfit tune` wrote.
TUNED_HEADER = "# Written by gapfit tune."


def tuned_path(config: Path) -> Path:
    """Return the file that `gapfit tune` writes for a configuration."""
    return config.with_name(f"{config.stem}-tuned.toml")


def fit_commands(config: Path) -> list[str]:
    """Return the commands from a configuration to a model; one if it is tuned already."""
    with config.open(encoding="utf-8") as file:
        is_tuned = file.readline().rstrip() == TUNED_HEADER
    steps = [("fit", config)]
    if not is_tuned:
        steps = [("tune", config), ("fit", tuned_path(config))]
    return [f"gapfit {command} {shlex.quote(str(path))}" for command, path in steps]
