"""The files that a configuration names, besides those it writes."""

from __future__ import annotations

from collections.abc import Callable

from gapfit.config import FitConfig

__all__ = ["named_files", "relocated"]


def named_files(config: FitConfig) -> list[str]:
    """Return data files and the table of the baseline."""
    table = [config.baseline.table] if config.baseline.table else []
    return [*config.data.train, *config.data.test, *table]


def relocated(config: FitConfig, place: Callable[[str], str]) -> FitConfig:
    """Return a configuration with `place` applied to the name of every file."""
    data = {
        "train": [place(file) for file in config.data.train],
        "test": [place(file) for file in config.data.test],
    }
    table = config.baseline.table
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "baseline": config.baseline.model_copy(
                update={"table": table and place(table)}
            ),
        }
    )
