"""What a report tells, apart from how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gapfit.data.frame import Frame
from gapfit.evaluation.evaluate import Metrics
from gapfit.model.gap_model import GAPModel
from gapfit.properties.dimer import DimerCurve
from gapfit.report.learning import LearningCurve
from gapfit.report.points import Collector

__all__ = ["TITLES", "Contents", "DimerPanel", "Part"]

#: Names of the parts of the data for readers, in the order of a report.
TITLES = {"test": "Test data", "train": "Training data"}


@dataclass(frozen=True, eq=False)
class Part:
    """Training or test data, and the errors on them.

    Attributes
    ----------
    files : tuple of str
        Where the data are.
    metrics : Metrics
        Errors as `gapfit.evaluate` gives them.
    frames : sequence of Frame or None
        The structures; None where they are not at hand.
    found : Collector or None
        Single errors; None where there are no structures.
    """

    files: tuple[str, ...]
    metrics: Metrics
    frames: Sequence[Frame] | None = None
    found: Collector | None = None


@dataclass(frozen=True, eq=False)
class DimerPanel:
    """Two atoms: what the model says, what the baseline does, and what the data say.

    Attributes
    ----------
    name : str
        ``"Ge-Te"``.
    curve : DimerCurve
        Of the model.
    baseline : DimerCurve or None
        Of what was not fitted; None without a baseline.
    points : sequence of (str, float, float)
        Source, distance (Å) and energy relative to the isolated atoms (eV) of dimers in
        the training data.
    closest : float or None
        Shortest distance of such atoms in the training data, Å; None where they are far
        apart or not at hand.
    """

    name: str
    curve: DimerCurve
    baseline: DimerCurve | None
    points: Sequence[tuple[str, float, float]] = ()
    closest: float | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """All that a report tells.

    Attributes
    ----------
    title : str
        What the report is called.
    model : GAPModel
        The potential.
    config_toml : str
        Its configuration, every value written out.
    parts : dict of str to Part
        ``"test"`` and ``"train"``, those that there are.
    timings : mapping of str to float
        Seconds by stage of the fit.
    memory : mapping
        As in ``metrics.json``.
    learning : LearningCurve or None
        Errors against the number of structures.
    dimers : sequence of DimerPanel
        By pair of species.
    properties : mapping of str to mapping
        What ``properties.json`` holds, by name.
    warnings : sequence of str
        Of the fit.
    notes : sequence of str
        What the report lacks, and why.
    """

    title: str
    model: GAPModel
    config_toml: str
    parts: dict[str, Part]
    timings: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    learning: LearningCurve | None = None
    dimers: Sequence[DimerPanel] = ()
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
