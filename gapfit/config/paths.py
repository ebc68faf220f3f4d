"""The input files that a configuration names."""

from __future__ import annotations

from collections.abc import Callable

from gapfit.config.sections import FitConfig

__all__ = ["IN_MEMORY", "named_files", "relocated"]

#: Stands for data that were given as structures, not as files.
IN_MEMORY = "in memory"


def named_files(config: FitConfig) -> list[str]:
    """Return the data files, the table of the baseline and the lists of sparse points."""
    table = [config.baseline.table] if config.baseline.table else []
    points = [term.points_file for term in config.terms if term.points_file]
    return [*config.data.train, *config.data.test, *table, *points]


def relocated(config: FitConfig, place: Callable[[str], str]) -> FitConfig:
    """Return a configuration with `place` applied to the name of every file."""
    data = {
        "train": [place(file) for file in config.data.train],
        "test": [place(file) for file in config.data.test],
    }
    table = config.baseline.table
    terms = [
        term.model_copy(update={"sparse_file": place(term.points_file)})
        if term.points_file
        else term
        for term in config.terms
    ]
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "baseline": config.baseline.model_copy(
                update={"table": table and place(table)}
            ),
            "terms": terms,
        }
    )
