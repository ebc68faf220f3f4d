"""Errors of a model against reference data, by quantity and config_type."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.html import html_table
from gapfit._support.progress import Progress, silent
from gapfit.config.paths import IN_MEMORY
from gapfit.config.sections import DataConfig
from gapfit.data.batching import batches
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import GPA, Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.observations import Quantity
from gapfit.data.places import TOTAL, abbreviation, group_name
from gapfit.evaluation.residuals import Residuals
from gapfit.evaluation.scores import (
    Observer,
    Scores,
    error_factor,
    format_scores,
    score,
)
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import Prediction
from gapfit.model.storage import load

__all__ = ["ErrorTally", "Metrics", "evaluate", "format_table", "with_scores"]


class Metrics(dict[str, dict[str, dict[str, Any]]]):
    """Errors by group and quantity: a dictionary that notebooks show as a table.

    ``{config_type or "all": {reported quantity: {"n", "mae", "rmse", "max", "unit"}}}``
    """

    def _repr_html_(self) -> str:
        shown = [q for q in Quantity if any(q.reported in row for row in self.values())]
        columns = [f"{q.reported}, {q.error_unit}" for q in shown]
        rows = [
            (group, *(_both(self[group].get(q.reported)) for q in shown))
            for group in [TOTAL, *sorted(self.keys() - {TOTAL})]
        ]
        return html_table("Errors: MAE / RMSE", rows, ("", *columns))


def _both(row: dict[str, Any] | None) -> str:
    return f"{_number(row['mae'])} / {_number(row['rmse'])}" if row else "-"


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
        ...}`` in meV/atom, eV/Å and GPa (per component); what has no data is absent.
        ``"uncertainty"`` of each quantity are the scores of
        `gapfit.evaluation.scores.ScoreTally`. A config_type of the name ``all`` is
        ``"all (config_type)"``.
    """
    if not isinstance(model, GAPModel):
        model = load(model)
    if not isinstance(frames, Dataset):
        frames = read(frames, data or DataConfig(train=[IN_MEMORY]), base=base)
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
            for quantity, error in _errors(frame, prediction):
                errors.add(frame.config_type, quantity, error)
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
    return Metrics(
        (
            group,
            {
                name: errors | {"uncertainty": scores[group][name]}
                if name in scores.get(group, {})
                else errors
                for name, errors in errors_of.items()
            },
        )
        for group, errors_of in metrics.items()
    )


class ErrorTally:
    """Statistics of errors by group and quantity; single errors are not kept."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[Quantity, list[float]]] = {TOTAL: {}}

    def add(self, config_type: str, quantity: Quantity, error: np.ndarray) -> None:
        """Add errors of a quantity of a frame, in `Quantity.error_unit`."""
        size = np.abs(error)
        added = len(size), float(size.sum()), float(np.sum(size**2))
        for group in (TOTAL, group_name(config_type)):
            sums_of = self._groups.setdefault(group, {})
            *sums, largest = sums_of.get(quantity, [0, 0.0, 0.0, 0.0])
            summed = [a + b for a, b in zip(sums, added, strict=True)]
            sums_of[quantity] = [*summed, max(largest, float(size.max()))]

    def add_residuals(self, residuals: Residuals) -> None:
        """Add the errors of a quantity of a frame as `Residuals`."""
        error = error_factor(residuals) * residuals.error
        self.add(residuals.config_type, residuals.quantity, error)

    def metrics(self) -> Metrics:
        """Return the statistics of all errors so far."""
        return Metrics(
            (
                group,
                {
                    quantity.reported: {
                        "n": n,
                        "mae": total / n,
                        "rmse": float(np.sqrt(squares / n)),
                        "max": largest,
                        "unit": quantity.error_unit,
                    }
                    for quantity in Quantity
                    if quantity in sums_of
                    for n, total, squares, largest in [sums_of[quantity]]
                },
            )
            for group, sums_of in self._groups.items()
        )


def _errors(
    frame: Frame, prediction: Prediction
) -> Iterable[tuple[Quantity, np.ndarray]]:
    if frame.energy is not None:
        error = (prediction.energy - frame.energy) / frame.n_atoms
        yield Quantity.ENERGY, np.array([1000 * error])
    if frame.forces is not None and prediction.forces is not None:
        labelled = np.isfinite(frame.forces)
        if labelled.any():
            yield Quantity.FORCES, (prediction.forces - frame.forces)[labelled]
    if frame.stress is not None and prediction.stress is not None:
        yield Quantity.VIRIAL, GPA * (prediction.stress - frame.stress)


#: Columns of the names in tables.
_NAME = 22


def _number(value: float) -> str:
    """Return three digits, or what leaves a space in a column of 8.

    Examples
    --------
    >>> _number(0.04567), _number(1.234e-7), _number(2345.6)
    ('0.0457', '1.2e-07', '2346')
    """
    text = f"{value:.3g}"
    if len(text) < 8:
        return text
    return f"{value:.0f}" if 1 < value < 1e7 else f"{value:.2g}"


def format_table(metrics: Metrics, title: str) -> str:
    """Return errors and scores as plain-text tables of at most 100 columns.

    There is a line for each config_type; largest errors are in the metrics and the report.
    """
    names = [TOTAL, *sorted(group for group in metrics if group != TOTAL)]
    title = abbreviation(title, _NAME)
    units = [f"{q.reported} ({q.error_unit})" for q in Quantity]
    lines = [
        f"{title:<{_NAME}}" + "".join(f" │ {unit:<22}" for unit in units),
        " " * _NAME + f" │ {'n':>6}{'MAE':>8}{'RMSE':>8}" * len(units),
    ]
    for group in names:
        line = f"{abbreviation(group, _NAME):<{_NAME}}"
        for quantity in Quantity:
            row = metrics[group].get(quantity.reported)
            line += " │ " + (
                f"{row['n']:>6}{_number(row['mae']):>8}{_number(row['rmse']):>8}"
                if row
                else f"{'-':>6}{'':16}"
            )
        lines.append(line)
    lines = [line.rstrip() for line in lines]
    scores: Scores = {
        group: {
            name: row["uncertainty"]
            for name, row in metrics[group].items()
            if "uncertainty" in row
        }
        for group in names
    }
    if any(scores.values()):
        lines += ["", format_scores(scores, "Uncertainty")]
    return "\n".join(lines)
