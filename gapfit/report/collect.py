"""Collection of the contents of a report, at the end of a fit or from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapfit._support.foreign import json_file
from gapfit._support.progress import Progress, silent
from gapfit.config.sections import DataConfig
from gapfit.config.toml import resolved_toml
from gapfit.data.dataset import Dataset, read
from gapfit.errors import GapfitError
from gapfit.evaluation.evaluate import Metrics, evaluate
from gapfit.fitting.training_data import find_training_data
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_foreign, why_no_posterior
from gapfit.model.storage import load
from gapfit.report.contents import TITLES, Contents, EvaluatedData
from gapfit.report.crystals import Crystal, crystals_of, stored_properties
from gapfit.report.dimers import dimer_panels
from gapfit.report.learning import LearningCurve, learning_curve
from gapfit.report.points import Collector
from gapfit.report.stress import stress_results
from gapfit.robustness.files import stored_results

__all__ = ["ReportOptions", "collector", "gather", "of_fit"]

#: Largest number of points of each kind in a figure of training or test data.
MOST_POINTS = 1500


@dataclass(frozen=True)
class ReportOptions:
    """Contents and data of a report.

    Attributes
    ----------
    train, test : sequence of str
        Data files; by default those of the configuration.
    learning_curve, dimers, uncertainty : bool
        Whether the report has these sections.
    prototypes : sequence of str
        Crystals to compute properties of: ``"diamond"``, ``"rocksalt:NaCl"``.
    stress_test : bool
        Whether the potential is stress-tested; results that are there are shown anyway.
    """

    train: Sequence[str] = ()
    test: Sequence[str] = ()
    learning_curve: bool = True
    dimers: bool = True
    uncertainty: bool = True
    prototypes: Sequence[str] = ()
    stress_test: bool = False


def collector(model: GAPModel) -> Collector:
    """Return an observer of `gapfit.evaluate` that keeps errors for a report."""
    seed = model.config.run.seed
    return Collector(model.e0, model.cutoff, most=MOST_POINTS, seed=seed)


def of_fit(
    title: str,
    model: GAPModel,
    base: Path,
    parts: Mapping[str, EvaluatedData],
    metrics: Mapping[str, Any],
    warnings: Sequence[str],
    stress_test: Mapping[str, Any] | None = None,
) -> Contents:
    """Return the contents of the report at the end of a fit.

    Parameters
    ----------
    title : str
        Title of the report.
    model : GAPModel
        The fitted model.
    base : Path
        Folder that relative paths of its configuration refer to.
    parts : mapping of str to EvaluatedData
        Errors on ``"test"`` and ``"train"`` data.
    metrics : mapping
        Contents of ``metrics.json``.
    warnings : sequence of str
        Warnings of the fit and its data.
    stress_test : mapping, optional
        Contents of ``stress_test.json``.
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
        stress_test=stress_test or {},
        warnings=warnings,
        notes=notes,
    )


def gather(
    folder: Path, options: ReportOptions, progress: Progress = silent
) -> Contents:
    """Return the contents of the report of a fit from its folder.

    Parameters
    ----------
    folder : Path
        Folder that ``gapfit fit`` wrote, or a model file.
    options : ReportOptions
        Contents of the report. Those that cannot be made become a note in it.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    GapfitError
        There is no model; a file in `options` cannot be read; a prototype in it is
        unknown.
    """
    path = folder / "model.npz" if folder.is_dir() else folder
    if not path.exists():
        raise GapfitError(
            f"{path}: there is no such model; give the folder that `gapfit fit` wrote, "
            "or a model file"
        )
    model = load(path)
    crystals = crystals_of(options.prototypes, model)
    return _Gatherer(model, path, options, crystals, progress).run()


@dataclass
class _Gatherer:
    """One report, with the inputs and notes that its steps share."""

    model: GAPModel
    path: Path
    options: ReportOptions
    crystals: Sequence[Crystal]
    progress: Progress
    notes: list[str] = field(default_factory=list)

    def run(self) -> Contents:
        """Do all steps and return the contents."""
        model = self.model
        stored = {} if is_foreign(model) else self._stored()
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
        if self.options.uncertainty and model.posterior is None:
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
            dimers=dimer_panels(model, train, self.notes)
            if self.options.dimers
            else (),
            properties=self._properties(),
            stress_test=self._stress_test(train),
            warnings=list(dict.fromkeys(warnings)),
            notes=self.notes,
        )

    def _title(self) -> str:
        path = self.path.absolute()
        return path.parent.name if path.name == "model.npz" else path.name

    def _stored(self) -> dict[str, Any]:
        """Return ``metrics.json`` if it belongs to the model."""
        path = self.path.parent / "metrics.json"
        if not path.exists():
            self.notes.append(f"{path} is missing: no time and memory of the fit")
            return {}
        try:
            stored = json_file(path)
            fit = stored["fit"]
        except (ValueError, KeyError, TypeError) as error:
            self.notes.append(
                f"{path} cannot be read ({type(error).__name__}: {error}): no time and "
                "memory of the fit"
            )
            return {}
        keys = ("data_digest", "log_marginal_likelihood")
        if any(fit.get(key) != getattr(self.model.record, key) for key in keys):
            self.notes.append(
                f"{path} belongs to another fit than {self.path.name}: it is ignored, and "
                "time and memory are missing"
            )
            return {}
        return dict(stored)

    def _part(
        self, name: str, data: DataConfig, base: Path, stored: Metrics | None
    ) -> tuple[EvaluatedData | None, Dataset | None]:
        """Return the errors on training or test data, and the data; None without data.

        Training data other than those of the fit are not returned.
        """
        listed = getattr(self.options, name)
        files = tuple(listed or getattr(data, name))
        if not files:
            return None, None
        title = TITLES[name].lower()
        try:
            dataset = read(files, data, base=Path() if listed else base)
            part = self._evaluated(name, files, dataset)
        except GapfitError as error:
            if listed:
                raise
            source = "; the errors are those of metrics.json" if stored else ""
            self.notes.append(f"{title}: {error}{source}; give the files with --{name}")
            return (EvaluatedData(files, stored) if stored else None), None
        if stored and not listed and _differ(part.metrics, stored):
            self.notes.append(
                f"{title}: errors differ from those in metrics.json: the files have "
                "changed since the fit"
            )
        if name == "train" and is_foreign(self.model):
            self.notes.append(
                "it is unknown whether the model was fitted to these training data: there "
                "is no learning curve"
            )
            return part, None
        if name == "train" and not self.model.record.was_fitted_to(dataset.frames):
            self.notes.append(
                f"the training data ({', '.join(files)}) are not those that the model was "
                "fitted to: errors are those of the given files, and there is no learning "
                "curve; give the data of the fit with --train"
            )
            return part, None
        return part, dataset

    def _evaluated(
        self, name: str, files: tuple[str, ...], dataset: Dataset
    ) -> EvaluatedData:
        """Return the errors on a data set."""
        observer = collector(self.model)
        metrics = evaluate(
            self.model,
            dataset,
            # Errors of fitted structures are too small to judge error bars.
            uncertainty=self.options.uncertainty and name == "test",
            progress=self.progress,
            observer=observer,
        )
        return EvaluatedData(files, metrics, dataset.frames, observer)

    def _learning(self, sets: Mapping[str, Dataset]) -> LearningCurve | None:
        if not self.options.learning_curve or "train" not in sets:
            return None
        if any(addition.sparse_points for addition in self.model.record.appended):
            self.notes.append(
                "sparse points were appended, which the earlier data were not fitted "
                "with: there is no learning curve"
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
        """Return properties that were computed earlier, and those of `options`."""
        properties = stored_properties(self.path, self.notes)
        for crystal in self.crystals:
            try:
                properties[crystal.text] = crystal.properties(self.model, self.progress)
            except GapfitError as error:
                self.notes.append(f"--properties {crystal.text}: {error}")
        return properties

    def _stress_test(self, train: EvaluatedData | None) -> Mapping[str, Any]:
        """Return the results beside the model, after a new test if that is asked for."""
        if self.options.stress_test:
            frames = train.frames if train is not None else None
            stress_results(self.model, self.path, frames, self.notes, self.progress)
        return stored_results(self.model, self.path, self.notes)


def _ordered(parts: Mapping[str, EvaluatedData]) -> dict[str, EvaluatedData]:
    return {name: parts[name] for name in TITLES if name in parts}


def _differ(metrics: Metrics, stored: Metrics) -> bool:
    """Return whether errors differ by more than rounding."""
    if metrics.keys() != stored.keys():
        return True
    pairs = [
        (new, stored[group].get(kind, {}))
        for group, kinds in metrics.items()
        for kind, new in kinds.items()
    ]
    return any(
        new["n"] != old.get("n")
        or abs(new["rmse"] - old["rmse"]) > 1e-6 * new["rmse"] + 1e-9
        for new, old in pairs
    )
