"""Gathers what a report tells: of a fit that has just ended, or from its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapfit.config import DataConfig
from gapfit.config_file import load_config, resolved_toml
from gapfit.dataset import Dataset, read
from gapfit.errors import ConfigError, GapfitError
from gapfit.evaluation import Metrics, evaluate
from gapfit.frame_file import species_counts
from gapfit.model import GAPModel
from gapfit.preparing import Progress, silent, was_fitted
from gapfit.properties.dimer import dimer_curve
from gapfit.report.contents import TITLES, Contents, DimerPanel, Part
from gapfit.report.learning import LearningCurve, learning_curve
from gapfit.report.points import Collector, short_source
from gapfit.storage import load

__all__ = ["Wanted", "collector", "gather", "of_fit"]

#: Points of each kind that are drawn of the training and of the test data.
MOST_POINTS = 1500
# Pairs of species whose dimers are drawn.
_MOST_PAIRS = 12
# What is computed of a crystal that a report is asked for: what takes seconds.
_PROPERTIES = ("structure", "eos", "elastic")


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
        dimers=_dimers(model, parts.get("train"), notes),
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
        There is no model; a file that was asked for cannot be read; a property that was
        asked for cannot be computed.
    """
    path = place / "model.npz" if place.is_dir() else place
    if not path.exists():
        raise GapfitError(
            f"{path}: there is no such model; give the folder that `gapfit fit` wrote, "
            "or a model file"
        )
    return _Gatherer(load(path), path, wanted, progress).run()


@dataclass
class _Gatherer:
    """What the steps of one report share."""

    model: GAPModel
    path: Path
    wanted: Wanted
    progress: Progress
    notes: list[str] = field(default_factory=list)

    def run(self) -> Contents:
        """Do all steps."""
        model, folder = self.model, self.path.parent
        stored = self._stored()
        data, base = self._named_data()
        parts, sets = {}, {}
        for name in TITLES:
            part, dataset = self._part(name, data, base, stored.get(name))
            if part is not None:
                parts[name] = part
            if dataset is not None:
                sets[name] = dataset
        warnings = list(model.info.get("warnings", []))
        if "test" in sets:
            warnings += [f"test data: {text}" for text in sets["test"].warnings]
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
            dimers=_dimers(model, parts.get("train"), self.notes)
            if self.wanted.dimers
            else (),
            properties=dict(self._properties(folder)),
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
        if any(fit.get(key) != self.model.info.get(key) for key in keys):
            self.notes.append(
                f"{path} is of another fit than {self.path.name}: it is left out, and so "
                "are time and memory"
            )
            return {}
        return dict(found)

    def _named_data(self) -> tuple[DataConfig, Path]:
        """Return where the data are, and the folder that relative paths refer to."""
        data, folder = self.model.config.data, self.path.absolute().parent
        resolved = folder / "fit.toml"
        if resolved.exists():
            try:
                return load_config(resolved).data, folder
            except ConfigError as error:
                self.notes.append(
                    f"the configuration beside the model cannot be used: {error}"
                )
        # A fit makes its folder beside the configuration that names the files.
        for base in (folder.parent, folder, Path.cwd()):
            if all((base / Path(name).expanduser()).exists() for name in data.train):
                return data, base
        return data, folder.parent

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
        if name == "train" and not was_fitted(dataset.frames, self.model.info):
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
        if any(own["sparse_points"] for own in self.model.info.get("appended", [])):
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

    def _properties(self, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield properties that were computed earlier, and those that are asked for."""
        for path in [
            folder / "properties.json",
            *sorted(folder.glob("*/properties.json")),
        ]:
            if not path.exists():
                continue
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                name = f"{_formula(found)} ({path.relative_to(folder)})"
            except (ValueError, KeyError, TypeError) as error:
                self.notes.append(f"{path} cannot be read: {error}")
                continue
            if path.stat().st_mtime < self.path.stat().st_mtime:
                self.notes.append(
                    f"{path} is older than the model: compute it again with `gapfit "
                    "properties`"
                )
            yield name, found
        for text in self.wanted.prototypes:
            yield text, _computed(self.model, text, self.progress)


def _formula(found: Mapping[str, Any]) -> str:
    from ase.formula import Formula

    return str(Formula.from_list(found["crystal"]["symbols"]).reduce()[0])


def _computed(model: GAPModel, text: str, progress: Progress) -> dict[str, Any]:
    """Return the properties of a prototype, named as on the command line."""
    from ase.data import chemical_symbols

    from gapfit.calculator import GAPCalculator
    from gapfit.properties import compute, prototype

    name, _, formula = text.partition(":")
    if not formula and len(model.species) > 1:
        raise GapfitError(
            f"--properties {text}: of what? Give {name}:FORMULA, such as {name}:"
            f"{''.join(chemical_symbols[z] for z in model.species[:2])}"
        )
    formula = formula or chemical_symbols[model.species[0]]
    crystal = prototype(name, formula, GAPCalculator(model, uncertainty=False))
    return compute(model, crystal, only=_PROPERTIES, progress=progress).as_dict()


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


def _dimers(model: GAPModel, train: Part | None, notes: list[str]) -> list[DimerPanel]:
    """Return the curves of all pairs of species, those of common species first."""
    from ase.data import chemical_symbols

    counts: Counter[int] = Counter(dict.fromkeys(model.species, 1))
    points: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
    closest: dict[tuple[int, int], float] = {}
    if train is not None and train.frames is not None and train.found is not None:
        closest = train.found.closest
        counts.update(species_counts(train.frames))
        for own in train.found.dimers:
            source = short_source(train.frames[own.frame].source)
            points.setdefault(own.species, []).append(
                (source, own.distance, own.energy)
            )
    pairs = [(a, b) for a in model.species for b in model.species if a <= b]
    pairs.sort(key=lambda pair: -counts[pair[0]] * counts[pair[1]])
    if len(pairs) > _MOST_PAIRS:
        notes.append(
            f"dimers: {_MOST_PAIRS} of {len(pairs)} pairs of species are shown, those of "
            "the most common species"
        )
    known = model.without_terms() if model.baseline is not None else None
    panels = []
    try:
        for a, b in sorted(pairs[:_MOST_PAIRS]):
            panel = DimerPanel(
                f"{chemical_symbols[a]}-{chemical_symbols[b]}",
                dimer_curve(model, a, b),
                dimer_curve(known, a, b, reach=model.cutoff) if known else None,
                points.get((a, b), ()),
                closest.get((a, b)),
            )
            panels.append(panel)
    except GapfitError as error:
        notes.append(f"dimers: {error}")
    return panels
