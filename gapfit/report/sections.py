"""The sections of a report: text, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from gapfit._support.resources import in_words
from gapfit.citations import papers
from gapfit.config.sections import TermConfig
from gapfit.config.term_base import members
from gapfit.data.frame_file import config_types, frame_sizes, species_counts
from gapfit.data.observations import Quantity
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import (
    e0_origin,
    fit_config,
    is_foreign,
    why_no_posterior,
)
from gapfit.model.record import FitRecord
from gapfit.model.terms import FittedTerm
from gapfit.report.contents import TITLES, Contents, EvaluatedData
from gapfit.report.drawing import Rendered
from gapfit.report.stress import stress_section
from gapfit.report.tables import (
    Cell,
    coverage_table,
    error_table,
    largest_table,
    number,
    property_table,
    table,
)

__all__ = ["Sections", "term_name"]


def term_name(config: TermConfig) -> str:
    """Return the name of a type of term for readers."""
    return config.title or config.type


class Sections:
    """The sections of a page: id, title and HTML; empty sections are omitted."""

    def __init__(self, contents: Contents, figures: Mapping[str, Rendered]) -> None:
        self.contents = contents
        self.figures = figures

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        for name, title, make in (
            ("warnings", "Warnings", self._warnings),
            ("fitted", "What was fitted", self._fitted),
            ("errors", "Errors", self._errors),
            ("parity", "Parity", self._parity),
            ("distribution", "Size of errors", self._distribution),
            ("uncertainty", "Uncertainty", self._uncertainty),
            ("learning", "Learning curve", self._learning),
            ("dimers", "Dimers", self._dimers),
            ("properties", "Properties", self._properties),
            ("stress-test", "Stress test", self._stress_test),
            ("resources", "Time and memory", self._resources),
            ("configuration", "Configuration", self._configuration),
            ("citations", "Versions and citations", self._citations),
        ):
            html = "\n".join(make())
            if html:
                yield name, title, html

    def _figure(self, name: str, caption: str, hint: str = "") -> Iterator[str]:
        """Yield a figure with its caption; nothing if it was not drawn."""
        figure = self.figures.get(name)
        if figure is None:
            return
        interactive = ' tabindex="0"' if figure.marks else ""
        hints = f' <span class="hint">{escape(hint)}</span>' if hint else ""
        yield (
            f'<figure id="figure-{name}" data-figure="{name}"{interactive}>'
            f'<div class="scroll">{figure.svg}</div>'
            f"<figcaption>{escape(caption)}{hints}</figcaption></figure>"
        )

    def _warnings(self) -> Iterator[str]:
        for title, texts in (
            ("About the fit and its data", self.contents.warnings),
            ("About this report", self.contents.notes),
        ):
            if texts:
                items = "".join(f"<li>{escape(text)}</li>" for text in texts)
                yield f'<div class="warning"><h3>{title}</h3><ul>{items}</ul></div>'
        if self.contents.warnings:
            yield (
                '<p class="note">About the fit and its data: files are named as in the '
                "configuration, relative to its folder.</p>"
            )

    def _fitted(self) -> Iterator[str]:
        model = self.contents.model
        yield from _origin(model)
        rows: list[list[str | Cell]] = []
        # Training data before test data.
        for name, part in reversed(self.contents.parts.items()):
            rows.append([TITLES[name], *_data_cells(part)])
        if rows:
            head = ["data", "structures", "atoms", "elements", "config_types", "files"]
            yield table(head, rows)
        yield table(
            [
                "term",
                "cutoff, Å",
                members(t.config for t in model.terms),
                "features",
                "delta, eV",
                "settings",
            ],
            list(map(_term_row, model.terms, fit_config(model)["terms"])),
        )
        if is_foreign(model):
            return
        sigma = model.config.sigma
        default = "all others" if sigma.config_types else "all"
        sigmas: list[list[str | Cell]] = [[default, *_sigmas(sigma)]]
        for name, group in sorted(sigma.config_types.items()):
            sigmas.append([name, *_sigmas(group)])
        head = ["sigma", "energy, eV/atom", "forces, eV/Å", "virial, eV/atom"]
        yield table(head, sigmas)

    def _errors(self) -> Iterator[str]:
        for name, part in self.contents.parts.items():
            yield error_table(part.metrics, TITLES[name])
        if self.contents.parts:
            yield (
                '<p class="note">Errors are prediction minus reference, stresses and '
                "forces by component; bars compare the RMSE of config_types.</p>"
            )

    def _parity(self) -> Iterator[str]:
        yield from self._figure(
            "parity",
            f"Predicted against reference values. {_counted_from(self.contents.model)} "
            "If there are many points, the largest errors and a random sample of the "
            "others are shown; the numbers in the panels include all.",
            "Point at a mark to see its structure; click on the legend to hide a "
            "config_type; drag a rectangle to enlarge, double-click to go back; arrow "
            "keys go through the errors by size.",
        )

    def _distribution(self) -> Iterator[str]:
        yield from self._figure(
            "histograms",
            "Size of all errors; vertical lines are the RMSE. Errors that are zero by "
            "symmetry are not shown.",
        )
        for name, part in self.contents.parts.items():
            if part.collector is not None:
                title = f"Largest errors, {TITLES[name].lower()}"
                inner = largest_table(part, "")
                opened = " open" if name == "test" else ""
                yield f"<details{opened}><summary>{title}</summary>{inner}</details>"

    def _uncertainty(self) -> Iterator[str]:
        part = self.contents.parts.get("test")
        if part is None:
            return
        model = self.contents.model
        if model.posterior is None:
            reason = escape(why_no_posterior(model))
            yield f'<p class="note">There are no error bars: {reason}.</p>'
        metrics = part.metrics
        if not any("uncertainty" in scores for scores in metrics["all"].values()):
            return
        yield coverage_table(metrics, "Test data", ["all"])
        yield from self._figure(
            "calibration",
            "Above: share of errors inside central intervals of a normal distribution "
            "against their probability; on the diagonal, standard deviations are as large "
            "as errors. Below: errors against standard deviations of the observations.",
            "Point at a mark to see its structure; click on the legend to hide a "
            "config_type.",
        )
        if model.calibration and (local := model.calibration.local):
            texts = ", ".join(
                f"{least:.3g} to {most:.3g} times for {symbol}"
                for symbol, (least, most) in local.ranges().items()
            )
            yield (
                '<p class="note">The standard deviation of a force depends on the '
                f"environment of its atom, too: {texts} what is usual.</p>"
            )
        groups = sorted(name for name in metrics if name != "all")
        inner = coverage_table(metrics, "", groups)
        yield f"<details><summary>By config_type</summary>{inner}</details>"
        yield (
            '<p class="note">In std: share of errors within 1 and 1.96 standard '
            "deviations. In intervals: within conformal intervals of these probabilities. "
            "By config_type: with a scale of each config_type. rms z: root mean square of "
            "error over std. area: mean distance from the diagonal. rank: rank correlation "
            "of |error| and std (forces: their lengths by atom). std: root mean square. "
            "CRPS: mean continuous ranked probability score.</p>"
        )

    def _learning(self) -> Iterator[str]:
        curve = self.contents.learning
        if curve is None:
            return
        judged = (
            f"{curve.n_judged} test structures"
            if curve.judged == "test"
            else f"{curve.n_judged} training structures in none of the subsets; the last "
            "point leaves each of them out of the fit to all data in turn"
        )
        yield from self._figure(
            "learning",
            f"Errors of fits to nested random subsets of the training data, on {judged}. "
            "All fits have the sparse points, e0 and sigmas of the full "
            "model, which depend on all data: a fit to a subset alone may be worse.",
        )
        units = {
            q.reported: q.error_unit for q in Quantity if q.reported in curve.rmse[0]
        }
        yield table(
            [
                "structures fitted",
                *(f"{name.capitalize()} RMSE, {unit}" for name, unit in units.items()),
            ],
            [
                [str(n), *(Cell(number(rmse[name]), rmse[name]) for name in units)]
                for n, rmse in zip(curve.n_frames, curve.rmse, strict=True)
            ],
        )

    def _dimers(self) -> Iterator[str]:
        panels = self.contents.dimers
        texts = ["Energy of two atoms, relative to the single atoms of the model."]
        if any(panel.points for panel in panels):
            origin = e0_origin(self.contents.model)
            texts.append(f"Energies of training data are relative to {origin}.")
        if any(panel.curve.std is not None for panel in panels):
            texts.append(
                "The band is plus and minus one standard deviation of the function."
            )
        data = [panel.data for panel in panels if panel.data is not None]
        if any(pair.closest is not None for pair in data):
            texts.append("In the grey area the model extrapolates.")
        if not all(pair.n_dimers for pair in data):
            texts.append(
                "A dotted curve extrapolates all the way, from pairs in larger "
                "structures: there is no such dimer in the training data."
            )
        yield from self._figure("dimers", " ".join(texts))

    def _properties(self) -> Iterator[str]:
        properties = self.contents.properties.items()
        for number_of, (name, results) in enumerate(properties, 1):
            yield f"<h3>{escape(name)}</h3>"
            yield property_table(results, "")
            texts = results.get("warnings", [])
            if texts:
                items = "".join(f"<li>{escape(text)}</li>" for text in texts)
                yield f'<div class="warning"><ul>{items}</ul></div>'
            yield from self._figure(
                f"volumes-{number_of}", f"{name}: energy against volume."
            )
            yield from self._figure(
                f"phonons-{number_of}",
                f"{name}: phonon bands and density of states; imaginary frequencies are "
                "negative.",
            )

    def _stress_test(self) -> Iterator[str]:
        yield from stress_section(self.contents.stress_test)

    def _resources(self) -> Iterator[str]:
        peak = self.contents.memory.get("peak_bytes")
        planned = self.contents.memory.get("planned_bytes")
        total = self.contents.timings.get("total")
        parts = [
            f"{number(total)} s in total" if total else "",
            f"peak memory {in_words(peak)}" if peak else "",
            f"planned {in_words(planned)}" if planned else "",
        ]
        yield from self._figure(
            "resources",
            f"Stages of the fit: {', '.join(filter(None, parts))}. Memory is the "
            "peak of the process up to the end of the stage.",
        )

    def _configuration(self) -> Iterator[str]:
        if is_foreign(self.contents.model):
            return
        yield (
            "<p>Every value as it was used, as input of <code>gapfit fit</code>.</p>"
            "<details><summary>fit.toml</summary>"
            f"<pre>{escape(self.contents.config_toml)}</pre></details>"
        )

    def _citations(self) -> Iterator[str]:
        from ase.data import chemical_symbols

        model, record = self.contents.model, self.contents.model.record
        e0 = ", ".join(f"{chemical_symbols[z]} {e:.6f}" for z, e in model.e0.items())
        versions = ", ".join(f"{k} {v}" for k, v in record.versions.items())
        rows: list[list[str | Cell]] = [["e0, eV", f"{e0} ({e0_origin(model)})"]]
        if is_foreign(model):
            rows.append(["read with", versions])
        else:
            rows += [["fitted with", versions or "?"], *_fit_rows(record)]
        yield table(["", ""], rows)
        yield "<h3>Please cite gapfit, and for</h3>"
        items = []
        for purpose, paper in papers(model):
            text = escape(paper.text)
            if paper.doi:
                shown = escape(f"doi:{paper.doi}")
                link = f'<a href="https://doi.org/{escape(paper.doi)}">{shown}</a>'
                text = text.replace(shown, link)
            items.append(f"<li><b>{escape(purpose)}</b>: {text}</li>")
        yield f'<ul class="papers">{"".join(items)}</ul>'


def _counted_from(model: GAPModel) -> str:
    """Return the sentence about the zero of energies."""
    origin = e0_origin(model)
    if origin == "isolated atoms":
        return "Energies are relative to the isolated atoms."
    return f"Energies are relative to {origin}."


def _fit_rows(record: FitRecord) -> list[list[str | Cell]]:
    likelihood = record.log_marginal_likelihood
    return [
        ["SHA-256 of the training data", record.data_digest or "?"],
        ["log marginal likelihood", "?" if likelihood is None else f"{likelihood:.8g}"],
        ["jitter of K_mm", ", ".join(f"{x:g}" for x in record.jitter or ())],
    ]


def _data_cells(part: EvaluatedData) -> list[str | Cell]:
    from ase.data import chemical_symbols

    listed = ", ".join(part.files)
    if part.frames is None:
        none = Cell("\N{EN DASH}")
        return [none, none, "not available", none, listed]
    elements = ", ".join(
        f"{chemical_symbols[z]} {n}" for z, n in species_counts(part.frames).items()
    )
    n_atoms = int(frame_sizes(part.frames).sum())
    return [
        Cell(str(len(part.frames)), len(part.frames)),
        Cell(str(n_atoms), n_atoms),
        elements,
        Cell(str(len(set(config_types(part.frames))))),
        listed,
    ]


def _origin(model: GAPModel) -> Iterator[str]:
    """Yield the origin of a model of another program."""
    record = model.record
    if record.quip is not None:
        origin = record.quip
        head, row = [f"read from {origin.program}"], [origin.file]
        if origin.gap_version is not None:
            head += ["label", "gap_version"]
            row += [origin.label, str(origin.gap_version)]
        yield table(head, [row])
    elif record.pacemaker is not None:
        yield table(["read from pacemaker"], [[record.pacemaker.file]])
    else:
        return
    yield (
        f'<p class="note">Files of {record.program} do not name the data, the sigmas '
        "and the solver of a fit.</p>"
    )


def _term_row(term: FittedTerm, known: Mapping[str, Any]) -> list[str | Cell]:
    config = term.config
    settings = [
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key in config.shown
        if (value := known.get(key)) is not None
    ]
    n_features = term.descriptor.n_features
    return [
        term_name(config),
        Cell(f"{term.descriptor.cutoff:g}"),
        Cell(str(term.n_sparse), term.n_sparse),
        Cell(str(n_features), n_features),
        Cell(f"{config.delta:g}", config.delta),
        ", ".join(settings),
    ]


def _sigmas(group: Any) -> list[Cell]:
    values = [getattr(group, quantity) for quantity in Quantity]
    return [Cell("" if x is None else f"{x:g}", x) for x in values]
