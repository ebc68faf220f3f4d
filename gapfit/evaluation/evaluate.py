"""Errors of a model against reference data, by kind and config_type."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import DataConfig
from gapfit.data.batching import batches
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import GPA, Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.evaluation.residuals import Residuals
from gapfit.evaluation.scores import (
    UNITS,
    Observer,
    Scores,
    format_scores,
    in_units,
    score,
)
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import Prediction
from gapfit.model.storage import load

__all__ = ["ErrorTally", "Metrics", "evaluate", "format_table", "with_scores"]

#: {config_type or "all": {kind: {"n", "mae", "rmse", "max", "unit"}}}
Metrics = dict[str, dict[str, dict[str, Any]]]

_BATCH_ATOMS = 1024


def evaluate(
    model: GAPModel | str | Path,
    frames: Any,
    *,
    data: DataConfig | None = None,
    uncertainty: bool = True,
    progress: Progress | None = None,
    base: Path | None = None,
    observer: Observer | None = None,
) -> Metrics:
    """Return error statistics of a model on labelled structures.

    Parameters
    ----------
    model : GAPModel, str or Path
        The potential or its file.
    frames : list of ase.Atoms, Dataset, path or list of paths
        Structures with reference labels.
    data : DataConfig, optional
        Names of the labels; detected otherwise.
    uncertainty : bool
        Also compare standard deviations with the errors, where the model has any: on
        structures with at most ``config.calibration.rows`` observations.
    progress : callable, optional
        Called as ``progress("evaluate", done, total)`` in atoms.
    base : Path, optional
        Folder that relative paths refer to.
    observer : Observer, optional
        Takes note of every prediction, and of the standard deviations compared.

    Returns
    -------
    dict
        ``{"all": {"energy": {"n", "mae", "rmse", "max", "unit"}, ...}, config_type:
        ...}`` in meV/atom, eV/Å and GPa (per component); kinds without data are absent.
        ``"uncertainty"`` of each kind are the scores of
        `gapfit.evaluation.scores.ScoreTally`.
    """
    if not isinstance(model, GAPModel):
        model = load(model)
    if not isinstance(frames, Dataset):
        frames = read(frames, data or DataConfig(train=["in memory"]), base=base)
    labelled = frames.frames
    sizes = frame_sizes(labelled)
    done, total = 0, int(sizes.sum())
    errors = ErrorTally()
    if progress:
        progress("evaluate", 0, total)
    for part in batches(sizes, _BATCH_ATOMS):
        batch = labelled[part]
        predictions = model.predict(batch)
        for n, (frame, prediction) in enumerate(zip(batch, predictions, strict=True)):
            for kind, error in _errors(frame, prediction):
                errors.add(frame.config_type, kind, error)
            if observer:
                observer.predicted(part.start + n, frame, prediction)
            done += frame.n_atoms
        if progress:
            progress("evaluate", done, total)
    metrics = errors.metrics()
    if not uncertainty or model.posterior is None:
        return metrics
    n_rows = model.config.calibration.rows
    scores = score(
        model,
        labelled,
        n_rows=n_rows,
        progress=progress or silent,
        observer=observer,
    )
    return with_scores(metrics, scores)


def with_scores(metrics: Metrics, scores: Scores) -> Metrics:
    """Return errors with the scores of their standard deviations as ``uncertainty``."""
    return {
        group: {
            kind: errors | {"uncertainty": scores[group][kind]}
            if kind in scores.get(group, {})
            else errors
            for kind, errors in kinds.items()
        }
        for group, kinds in metrics.items()
    }


class ErrorTally:
    """Statistics of errors by group and kind; single errors are not kept."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, list[float]]] = {"all": {}}

    def add(self, config_type: str, kind: str, error: np.ndarray) -> None:
        """Add errors of one kind of a frame, in the units of `Metrics`."""
        size = np.abs(error)
        added = len(size), float(size.sum()), float(np.sum(size**2))
        for group in {"all", config_type}:
            kinds = self._groups.setdefault(group, {})
            *sums, largest = kinds.get(kind, [0, 0.0, 0.0, 0.0])
            summed = [a + b for a, b in zip(sums, added, strict=True)]
            kinds[kind] = [*summed, max(largest, float(size.max()))]

    def add_residuals(self, residuals: Residuals) -> None:
        """Add the errors of one kind of a frame as `Residuals`."""
        kind, factor = in_units(residuals)
        self.add(residuals.config_type, kind, factor * residuals.error)

    def metrics(self) -> Metrics:
        """Return the statistics of all errors so far."""
        return {
            group: {
                kind: {
                    "n": n,
                    "mae": total / n,
                    "rmse": float(np.sqrt(squares / n)),
                    "max": largest,
                    "unit": unit,
                }
                for kind, unit in UNITS.items()
                if kind in kinds
                for n, total, squares, largest in [kinds[kind]]
            }
            for group, kinds in self._groups.items()
        }


def _errors(frame: Frame, prediction: Prediction) -> Iterable[tuple[str, np.ndarray]]:
    if frame.energy is not None:
        error = (prediction.energy - frame.energy) / frame.n_atoms
        yield "energy", np.array([1000 * error])
    if frame.forces is not None and prediction.forces is not None:
        labelled = np.isfinite(frame.forces)
        if labelled.any():
            yield "forces", (prediction.forces - frame.forces)[labelled]
    if frame.stress is not None and prediction.stress is not None:
        yield "stress", GPA * (prediction.stress - frame.stress)


def format_table(metrics: Metrics, title: str) -> str:
    """Return errors and scores as plain-text tables, one line per config_type."""
    head = f"{title:<24}"
    units = " " * 24
    for kind, unit in UNITS.items():
        head += f" │ {kind + ' (' + unit + ')':<34}"
        units += f" │ {'n':>7}{'MAE':>9}{'RMSE':>9}{'max':>9}"
    lines = [head.rstrip(), units]
    order = ["all", *sorted(group for group in metrics if group != "all")]
    for group in order:
        line = f"{group[:24]:<24}"
        for kind in UNITS:
            row = metrics[group].get(kind)
            line += " │ " + (
                f"{row['n']:>7}{row['mae']:>9.3g}{row['rmse']:>9.3g}{row['max']:>9.3g}"
                if row
                else f"{'-':>7}{'':27}"
            )
        lines.append(line.rstrip())
    scores: Scores = {
        group: {
            kind: row["uncertainty"]
            for kind, row in metrics[group].items()
            if "uncertainty" in row
        }
        for group in order
    }
    if any(scores.values()):
        lines += ["", format_scores(scores, "Uncertainty")]
    return "\n".join(lines)
