"""Gathers what a report tells: of a fit that has just ended, or from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import DataConfig
from gapfit.config.toml import resolved_toml
from gapfit.data.dataset import Dataset, read
from gapfit.errors import GapfitError
from gapfit.evaluation.evaluate import Metrics, evaluate
from gapfit.fitting.training_data import find_training_data
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_from_quip, why_no_posterior
from gapfit.model.storage import load
from gapfit.report.contents import TITLES, Contents, Part
from gapfit.report.crystals import Crystal, crystals_of, stored_properties
from gapfit.report.dimers import dimer_panels
from gapfit.report.learning import LearningCurve, learning_curve
from gapfit.report.points import Collector

__all__ = ["Wanted", "collector", "gather", "of_fit"]

#: Points of each kind that are drawn of the training and of the test data.
MOST_POINTS = 1500


@dataclass(frozen=True)
class Wanted:
    """What a report is to hold, and where its data are.

    Attributes
    ----------
    train, test : sequence of str
        Files in place of those that the configuration names.
    learning_curve, dimers, uncertainty : bool
        Whether they are part of it.
    prototypes : sequence of str
        Crystals to compute properties of: ``"diamond"``, ``"rocksalt:NaCl"``.
    """

    train: Sequence[str] = ()
    test: Sequence[str] = ()
    learning_curve: bool = True
    dimers: bool = True
    uncertainty: bool = True
    prototypes: Sequence[str] = ()


def collector(model: GAPModel) -> Collector:
    """Return an observer of `gapfit.evaluate` that keeps what a report shows."""
    seed = model.config.run.seed
    return Collector(model.e0, model.cutoff, most=MOST_POINTS, seed=seed)


def of_fit(
    title: str,
    model: GAPModel,
    base: Path,
    parts: Mapping[str, Part],
    metrics: Mapping[str, Any],
    warnings: Sequence[str],
) -> Contents:
    """Return the report of a fit whose errors have just been computed.

    Parameters
    ----------
    title : str
        What the report is called.
    model : GAPModel
        The fit.
    base : Path
        Folder that relative paths of its configuration refer to.
    parts : mapping of str to Part
        ``"test"`` and ``"train"``.
    metrics : mapping
        What goes to ``metrics.json``.
    warnings : sequence of str
        Of the fit and its data.
    """
    notes: list[str] = []
    return Contents(
        title=title,
        model=model,
        config_toml=resolved_toml(model.config, base),
        parts=_ordered(parts),
        timings=metrics["timings"],
        memory=metrics["memory"],
        dimers=dimer_panels(model, parts.get("train"), notes),
        warnings=warnings,
        notes=notes,
    )


def gather(place: Path, wanted: Wanted, progress: Progress = silent) -> Contents:
    """Return the report of a fit from its folder.

    Parameters
    ----------
    place : Path
        Folder that ``gapfit fit`` wrote, or a model file.
    wanted : Wanted
        What it is to hold. What cannot be made is a note in the report.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    GapfitError
        There is no model; a file that was asked for cannot be read; a crystal that was
        asked for is none.
    """
    path = place / "model.npz" if place.is_dir() else place
    if not path.exists():
        raise GapfitError(
            f"{path}: there is no such model; give the folder that `gapfit fit` wrote, "
            "or a model file"
        )
    model = load(path)
    crystals = crystals_of(wanted.prototypes, model)
    return _Gatherer(model, path, wanted, crystals, progress).run()


@dataclass
class _Gatherer:
    """What the steps of one report share."""

    model: GAPModel
    path: Path
    wanted: Wanted
    crystals: Sequence[Crystal]
    progress: Progress
    notes: list[str] = field(default_factory=list)

    def run(self) -> Contents:
        """Do all steps."""
        model = self.model
        stored = {} if is_from_quip(model) else self._stored()
        data, base = find_training_data(model, self.path, self.notes)
        parts, sets = {}, {}
        for name in TITLES:
            part, dataset = self._part(name, data, base, stored.get(name))
            if part is not None:
                parts[name] = part
            if dataset is not None:
                sets[name] = dataset
        warnings = list(model.record.warnings)
        if "test" in sets:
            warnings += [f"test data: {text}" for text in sets["test"].warnings]
        if self.wanted.uncertainty and model.posterior is None:
            self.notes.append(f"uncertainty is missing: {why_no_posterior(model)}")
        train = parts.get("train")
        return Contents(
            title=self._title(),
            model=model,
            config_toml=resolved_toml(
                model.config.model_copy(update={"data": data}), base
            ),
            parts=parts,
            timings=stored.get("timings", {}),
            memory=stored.get("memory", {}),
            learning=self._learning(sets),
            dimers=dimer_panels(model, train, self.notes) if self.wanted.dimers else (),
            properties=self._properties(),
            warnings=list(dict.fromkeys(warnings)),
            notes=self.notes,
        )

    def _title(self) -> str:
        own = self.path.absolute()
        return own.parent.name if own.name == "model.npz" else own.name

    def _stored(self) -> dict[str, Any]:
        """Return ``metrics.json`` if it is that of the model."""
        path = self.path.parent / "metrics.json"
        if not path.exists():
            self.notes.append(f"{path} is missing: no time and memory of the fit")
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            fit = found["fit"]
        except (ValueError, KeyError, TypeError) as error:
            self.notes.append(
                f"{path} cannot be read ({type(error).__name__}: {error}): no time and "
                "memory of the fit"
            )
            return {}
        keys = ("data_digest", "log_marginal_likelihood")
        if any(fit.get(key) != getattr(self.model.record, key) for key in keys):
            self.notes.append(
                f"{path} is of another fit than {self.path.name}: it is left out, and so "
                "are time and memory"
            )
            return {}
        return dict(found)

    def _part(
        self, name: str, data: DataConfig, base: Path, stored: Metrics | None
    ) -> tuple[Part | None, Dataset | None]:
        """Return the errors on one part of the data, and the data; None without them.

        Training data are not returned if they are others than those of the fit.
        """
        given = getattr(self.wanted, name)
        files = tuple(given or getattr(data, name))
        if not files:
            return None, None
        title = TITLES[name].lower()
        try:
            dataset = read(files, data, base=Path() if given else base)
            part = self._evaluated(name, files, dataset)
        except GapfitError as error:
            if given:
                raise
            kept = "; the errors are those of metrics.json" if stored else ""
            self.notes.append(f"{title}: {error}{kept}; name the files by --{name}")
            return (Part(files, stored) if stored else None), None
        if stored and not given and _differ(part.metrics, stored):
            self.notes.append(
                f"{title}: errors are not those in metrics.json: the files have changed "
                "since the fit"
            )
        if name == "train" and is_from_quip(self.model):
            self.notes.append(
                "whether the model was fitted to the training data given is not known: "
                "there is no learning curve"
            )
            return part, None
        if name == "train" and not self.model.record.was_fitted_to(dataset.frames):
            self.notes.append(
                f"the training data ({', '.join(files)}) are not those that the model was "
                "fitted to: what is said of them holds for the present files, and there "
                "is no learning curve; name the data of the fit by --train"
            )
            return part, None
        return part, dataset

    def _evaluated(self, name: str, files: tuple[str, ...], dataset: Dataset) -> Part:
        """Return the errors on some data."""
        found = collector(self.model)
        metrics = evaluate(
            self.model,
            dataset,
            # Fitted structures are predicted too well to judge by.
            uncertainty=self.wanted.uncertainty and name == "test",
            progress=self.progress,
            observer=found,
        )
        return Part(files, metrics, dataset.frames, found)

    def _learning(self, sets: Mapping[str, Dataset]) -> LearningCurve | None:
        if not self.wanted.learning_curve or "train" not in sets:
            return None
        if any(addition.sparse_points for addition in self.model.record.appended):
            self.notes.append(
                "sparse points were appended, of which the earlier data know nothing: "
                "there is no learning curve"
            )
            return None
        test = sets.get("test")
        curve = learning_curve(
            self.model,
            sets["train"].frames,
            test.frames if test else None,
            progress=self.progress,
        )
        if curve is None:
            self.notes.append("too few structures for a learning curve")
        return curve

    def _properties(self) -> dict[str, dict[str, Any]]:
        """Return properties that were computed earlier, and those that are asked for."""
        found = stored_properties(self.path, self.notes)
        for crystal in self.crystals:
            try:
                found[crystal.text] = crystal.properties(self.model, self.progress)
            except GapfitError as error:
                self.notes.append(f"--properties {crystal.text}: {error}")
        return found


def _ordered(parts: Mapping[str, Part]) -> dict[str, Part]:
    return {name: parts[name] for name in TITLES if name in parts}


def _differ(metrics: Metrics, stored: Metrics) -> bool:
    """Return whether errors are others than those of rounding."""
    if metrics.keys() != stored.keys():
        return True
    pairs = [
        (own, stored[group].get(kind, {}))
        for group, kinds in metrics.items()
        for kind, own in kinds.items()
    ]
    return any(
        own["n"] != other.get("n")
        or abs(own["rmse"] - other["rmse"]) > 1e-6 * own["rmse"] + 1e-9
        for own, other in pairs
    )
