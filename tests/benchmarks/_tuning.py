"""Settings of fits on published sets: presets, and sigmas from few sparse points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gapfit.config.sections import FitConfig, TermConfig
from gapfit.data.dataset import Dataset
from gapfit.fitting.presets import Preset, preset_terms
from gapfit.fitting.trials import Tuning
from gapfit.fitting.tune import tune


def preset_tables(
    preset: Preset, r_cut: float, n_sparse: int, n_species: int, n_labels: int = 0
) -> list[dict[str, Any]]:
    """Return the terms of a preset as tables of a configuration."""
    return tables(preset_terms(preset, r_cut, n_sparse, n_species, n_labels))


def tables(terms: Iterable[TermConfig]) -> list[dict[str, Any]]:
    """Return terms as tables of a configuration."""
    return [term.model_dump(exclude_unset=True) | {"type": term.type} for term in terms]


def with_points(settings: dict[str, Any], n_sparse: int) -> dict[str, Any]:
    """Return settings with another number of sparse points of SOAP."""
    terms = [
        term | {"n_sparse": n_sparse} if term.get("type", "soap") == "soap" else term
        for term in settings["terms"]
    ]
    return settings | {"terms": terms}


def tuned(
    train: Dataset, settings: dict[str, Any], n_sparse: int = 0
) -> tuple[Tuning, FitConfig]:
    """Return the trials of sigmas and deltas, and the configuration with the best.

    Parameters
    ----------
    train : Dataset
        The data.
    settings : dict
        Configuration.
    n_sparse : int
        Points of SOAP to tune with, which may be fewer than those of the fit: the cost of
        the trials grows with their cube. 0: those of the fit.
    """
    if not n_sparse:
        result = tune(train, settings)
        return result, result.config
    result = tune(train, with_points(settings, n_sparse))
    terms = [
        new.model_copy(update={"n_sparse": old["n_sparse"]})
        if "n_sparse" in old
        else new
        for old, new in zip(settings["terms"], result.config.terms, strict=True)
    ]
    return result, result.config.model_copy(update={"terms": terms})
