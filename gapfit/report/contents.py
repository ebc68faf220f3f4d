"""Contents of a report, independent of their layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gapfit.data.frame import Frame
from gapfit.data.pair_data import PairData
from gapfit.evaluation.evaluate import Metrics
from gapfit.model.gap_model import GAPModel
from gapfit.properties.dimer import DimerCurve
from gapfit.report.learning import LearningCurve
from gapfit.report.points import Collector

__all__ = ["TITLES", "Contents", "DimerPanel", "EvaluatedData"]

#: Titles of the data sets, in the order of a report.
TITLES = {"test": "Test data", "train": "Training data"}


@dataclass(frozen=True, eq=False)
class EvaluatedData:
    """Training or test data, and the errors on them.

    Attributes
    ----------
    files : tuple of str
        Names of the data files.
    metrics : Metrics
        Errors, as returned by `gapfit.evaluate`.
    frames : sequence of Frame or None
        The structures; None if they are not available.
    collector : Collector or None
        Single errors; None without structures.
    """

    files: tuple[str, ...]
    metrics: Metrics
    frames: Sequence[Frame] | None = None
    collector: Collector | None = None


@dataclass(frozen=True, eq=False)
class DimerPanel:
    """Energy of two atoms by the model, by the baseline and in the data.

    Attributes
    ----------
    name : str
        ``"Ge-Te"``.
    curve : DimerCurve
        Curve of the model.
    baseline : DimerCurve or None
        Curve of the baseline; None without one.
    points : sequence of (str, float, float)
        Source, distance (Å) and energy relative to the isolated atoms (eV) of dimers in
        the training data.
    data : PairData or None
        Such pairs in the training data; None where nothing is known of them.
    """

    name: str
    curve: DimerCurve
    baseline: DimerCurve | None
    points: Sequence[tuple[str, float, float]] = ()
    data: PairData | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """All contents of a report.

    Attributes
    ----------
    title : str
        Title of the report.
    model : GAPModel
        The potential.
    config_toml : str
        Its configuration, every value written out.
    parts : dict of str to EvaluatedData
        Available ones of ``"test"`` and ``"train"``.
    timings : mapping of str to float
        Seconds by stage of the fit.
    memory : mapping
        As in ``metrics.json``.
    learning : LearningCurve or None
        Errors against the number of structures.
    dimers : sequence of DimerPanel
        By pair of species.
    properties : mapping of str to mapping
        Contents of each ``properties.json``, by name.
    stress_test : mapping
        Contents of ``stress_test.json``; empty without it.
    warnings : sequence of str
        Warnings of the fit.
    notes : sequence of str
        Missing contents, and the reasons.
    """

    title: str
    model: GAPModel
    config_toml: str
    parts: dict[str, EvaluatedData]
    timings: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    learning: LearningCurve | None = None
    dimers: Sequence[DimerPanel] = ()
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stress_test: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
