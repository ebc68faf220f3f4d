"""Fits whose CPU time counts, and fits of the examples for benchmarks that need a model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gapfit
from gapfit.config.sections import FitConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import Dataset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = ROOT / "data"


@dataclass(frozen=True)
class TimedFit:
    """A model, the CPU seconds of its fit, and those of each stage of the fit."""

    model: gapfit.GAPModel
    cpu: float
    stages: dict[str, float]


def timed_fit(
    data: Dataset | None, settings: Any, base: Path | None = None
) -> TimedFit:
    """Fit with the given settings; a stage lasts from its first report to its last."""
    reports: dict[str, list[float]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        now = time.process_time()
        reports.setdefault(stage, [now, now])[1] = now

    started = time.process_time()
    model = gapfit.fit(data, settings, progress=progress, base=base)
    cpu = time.process_time() - started
    return TimedFit(
        model, cpu, {k: last - first for k, (first, last) in reports.items()}
    )


def example(name: str, n_sparse: int | None = None) -> FitConfig:
    """Return the settings of an example, with another number of SOAP sparse points."""
    config = load_config(EXAMPLES / name / "fit.toml")
    if n_sparse is None:
        return config
    terms = [
        term.model_copy(update={"n_sparse": n_sparse}) if term.type == "soap" else term
        for term in config.terms
    ]
    return config.model_copy(update={"terms": terms})


def silicon_model(path: Path | None) -> gapfit.GAPModel:
    """Return the model of a file; without one, the fit of the silicon example."""
    if path is not None:
        return gapfit.load(path)
    return gapfit.fit(config=example("silicon"), base=EXAMPLES / "silicon")
