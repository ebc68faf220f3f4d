"""Checks of training data without a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import FitConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import Dataset, as_dataset, read
from gapfit.fitting.proposal import data_table, propose
from gapfit.fitting.review import review

__all__ = ["CheckedData", "check"]


@dataclass(frozen=True, eq=False)
class CheckedData:
    """Training data that can be fitted, and what is doubtful about them.

    Attributes
    ----------
    dataset : Dataset
        Frames, and the report on their labels; `gapfit.fit` takes it as frames.
    config : FitConfig
        The configuration for which they were checked.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    warnings : tuple of str
        What a fit would warn of.
    """

    dataset: Dataset
    config: FitConfig
    e0: dict[int, float]
    warnings: tuple[str, ...]


def check(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
) -> CheckedData:
    """Check training data as a fit would, without fitting.

    Parameters
    ----------
    frames, config, base, progress
        As for `gapfit.fit`; without a configuration that of `gapfit.propose` is used.

    Raises
    ------
    ConfigError, DataError
        Mistakes in the configuration, or data that cannot be fitted; all are listed.

    Examples
    --------
    >>> import gapfit
    >>> gapfit.check("train.extxyz").warnings  # doctest: +SKIP
    """
    if base is None:
        base = Path(config).parent if isinstance(config, str | Path) else Path()
    if config is None and isinstance(frames, Dataset):
        dataset, settings = frames, propose(frames.frames).config
    elif config is None and frames is not None:
        data = data_table(frames, {})
        dataset = read(frames, data, base=base)
        settings = propose(dataset.frames, data).config
    else:
        settings = as_config(config, frames)
        dataset = as_dataset(frames, settings, base)
    notes: list[str] = []
    prepared = review(dataset, settings, notes, base=base, progress=progress or silent)
    warnings = dict.fromkeys([*dataset.warnings, *notes])
    return CheckedData(dataset, settings, prepared.e0, tuple(warnings))
