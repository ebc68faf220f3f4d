"""Figures of single errors: parity, histograms, errors against standard deviations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity
from gapfit.evaluation.evaluate import Metrics
from gapfit.gp.reliability import DIAGRAM_LEVELS
from gapfit.model.provenance import e0_origin
from gapfit.report.contents import TITLES, Contents, EvaluatedData
from gapfit.report.drawing import Drawing, Marks, label_decades, new_figure
from gapfit.report.palette import BLUE, GREY, ORANGE, Palette
from gapfit.report.points import BIN_EDGES, ErrorPoints, Scored, short_source, to_error
from gapfit.report.tables import number

__all__ = ["calibration_figure", "histogram_figure", "parity_figure", "quantities_of"]

_AXES = {
    Quantity.ENERGY: "energy above {e0}, eV/atom",
    Quantity.FORCES: "force component, eV/Å",
    Quantity.VIRIAL: "stress component, GPa",
}
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
_WIDTH = 11.0
# Largest number of standard deviations of each quantity in a figure.
_MOST_SCORED = 1500


def quantities_of(parts: Iterable[EvaluatedData]) -> list[Quantity]:
    """Return the quantities observed in data sets."""
    present = {name for part in parts for name in part.metrics.get("all", {})}
    return [quantity for quantity in Quantity if quantity.reported in present]


def parity_figure(contents: Contents, palette: Palette) -> Drawing | None:
    """Draw prediction against reference for each quantity and each data set."""
    parts = {name: p for name, p in contents.parts.items() if p.collector is not None}
    quantities = quantities_of(parts.values())
    if not quantities:
        return None
    figure = new_figure(_WIDTH, 3.75 * len(parts) + palette.height)
    figure.get_layout_engine().set(hspace=0.05)
    grid = figure.subplots(len(parts), len(quantities), squeeze=False)
    drawing = Drawing("parity", figure, _parity_text(parts, quantities))
    # The caption has the full text.
    origin = e0_origin(contents.model).partition(" (")[0]
    for row, (name, part) in zip(grid, parts.items(), strict=True):
        assert part.collector is not None
        points = part.collector.points
        for ax, quantity in zip(row, quantities, strict=True):
            ax.set(title=f"{TITLES[name]}: {quantity.reported}", box_aspect=1)
            axis = _AXES[quantity].format(e0=origin)
            ax.set(xlabel=f"reference {axis}", ylabel="predicted")
            if quantity in points:
                _parity_panel(ax, quantity, part, points[quantity], palette, drawing)
            else:
                _no_values(ax)
    _legend(drawing, palette)
    return drawing


def _parity_text(
    parts: dict[str, EvaluatedData], quantities: Sequence[Quantity]
) -> str:
    errors = [
        f"{TITLES[name]}, {quantity.reported}: RMSE {error['rmse']:.3g} {error['unit']}"
        for name, part in parts.items()
        for quantity in quantities
        if (error := part.metrics["all"].get(quantity.reported))
    ]
    return f"Predicted against reference values. {'; '.join(errors)}."


def _parity_panel(
    ax: Any,
    quantity: Quantity,
    part: EvaluatedData,
    points: ErrorPoints,
    palette: Palette,
    drawing: Drawing,
) -> None:
    both = np.concatenate([points.reference, points.predicted])
    low, high = both.min(), both.max()
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    ax.plot(limits, limits, color=GREY, lw=1, zorder=1)
    ax.set(xlim=limits, ylim=limits)
    facts = _Facts(part, quantity)
    stds = _stds(part, quantity)
    for entry, which in _by_entry(part, points.frame, palette):
        group = points.take(which)
        error = to_error(quantity) * (group.predicted - group.reference)
        columns = facts.columns(group.frame, group.index, error)
        columns |= {"r": _short(group.reference), "p": _short(group.predicted)}
        if stds:
            places = zip(group.frame.tolist(), group.index.tolist(), strict=True)
            columns["s"] = [stds.get(place) for place in places]
        _scatter(drawing, ax, group.reference, group.predicted, entry, palette, columns)
    errors = part.metrics["all"][quantity.reported]
    unit, n_all = errors["unit"], errors["n"]
    shown = f", {len(points)} shown" if len(points) < n_all else ""
    ax.text(
        0.03,
        0.97,
        f"RMSE {number(errors['rmse'])} {unit}\nMAE {number(errors['mae'])} {unit}\n"
        f"n = {n_all}{shown}",
        transform=ax.transAxes,
        va="top",
        fontsize=9,
        linespacing=1.35,
    )


def _scatter(
    drawing: Drawing,
    ax: Any,
    x: np.ndarray,
    y: np.ndarray,
    entry: int,
    palette: Palette,
    columns: dict[str, Any],
) -> None:
    """Draw points as one group, and keep their data for the page."""
    (line,) = ax.plot(
        x, y, ls="none", ms=5.5, mew=0, alpha=0.7, zorder=2, **palette.style(entry)
    )
    line.set_gid(f"marks.{entry}.{len(drawing.marks)}")
    drawing.marks.append(Marks(ax, x, y, entry, columns))


def _by_entry(
    part: EvaluatedData, frame: np.ndarray, palette: Palette
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield entries of the legend and the indices of their points."""
    assert part.frames is not None
    numbers, inverse = np.unique(frame, return_inverse=True)
    entries = np.array(
        [palette.entry(part.frames[int(n)].config_type) for n in numbers], dtype=int
    )[inverse]
    for entry in np.unique(entries):
        yield int(entry), np.flatnonzero(entries == entry)


def _stds(part: EvaluatedData, quantity: Quantity) -> dict[tuple[int, int], float]:
    """Return standard deviations by frame and index, where available."""
    assert part.collector is not None
    scored = part.collector.standard_deviations.get(quantity)
    if scored is None:
        return {}
    places = zip(scored.frame.tolist(), scored.index.tolist(), strict=True)
    return dict(zip(places, _short(scored.std, 3), strict=True))


class _Facts:
    """Descriptions of errors: quantity, structure and atom."""

    def __init__(self, part: EvaluatedData, quantity: Quantity) -> None:
        assert part.frames is not None
        self.frames = part.frames
        self.quantity = quantity

    def columns(
        self, frame: np.ndarray, index: np.ndarray, error: np.ndarray
    ) -> dict[str, Any]:
        """Return the columns of errors."""
        from ase.data import chemical_symbols

        frames: dict[int, Frame] = {n: self.frames[n] for n in set(frame.tolist())}
        places = list(zip(frame.tolist(), index.tolist(), strict=True))
        out: dict[str, Any] = {
            "k": self.quantity.reported,
            "f": [short_source(frames[n].source) for n in frame.tolist()],
            "c": [frames[n].config_type for n in frame.tolist()],
            "e": _short(error, 4),
        }
        if self.quantity is Quantity.FORCES:
            out["i"] = [
                f"atom {at // 3} ({chemical_symbols[frames[n].numbers[at // 3]]}), "
                f"{'xyz'[at % 3]}"
                for n, at in places
            ]
        elif self.quantity is Quantity.VIRIAL:
            out["i"] = [_VOIGT[at] for _, at in places]
        return out


def _short(values: np.ndarray, digits: int = 6) -> list[float]:
    """Return numbers rounded to significant digits."""
    return [float(f"{x:.{digits}g}") for x in values.tolist()]


def _no_values(ax: Any) -> None:
    ax.text(0.5, 0.5, "no reference values", ha="center", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])


def _legend(drawing: Drawing, palette: Palette) -> None:
    """Put the legend of the config_types below a figure."""
    from matplotlib.lines import Line2D

    entries = sorted({marks.entry for marks in drawing.marks})
    styles: list[dict[str, Any]] = [dict(palette.style(entry)) for entry in entries]
    handles = [Line2D([], [], ls="none", ms=7, mew=0, **style) for style in styles]
    # Texts are set later: matplotlib omits labels that begin with _.
    legend = drawing.figure.legend(
        handles,
        [f"{n}" for n in range(len(handles))],
        loc="outside lower center",
        ncols=min(palette.n_columns, len(handles)),
        handletextpad=0.2,
        columnspacing=1.4,
    )
    for entry, handle, text in zip(
        entries, legend.legend_handles, legend.get_texts(), strict=True
    ):
        text.set_text(palette.labels[entry])
        handle.set_gid(f"legend.{entry}.mark")
        text.set_gid(f"legend.{entry}.text")


def histogram_figure(contents: Contents) -> Drawing | None:
    """Draw histograms of the size of all errors of each quantity."""
    parts = {name: p for name, p in contents.parts.items() if p.collector is not None}
    quantities = quantities_of(parts.values())
    if not quantities:
        return None
    figure = new_figure(_WIDTH, 3.2)
    row = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, quantity in zip(row, quantities, strict=True):
        _histogram(ax, quantity, parts)
    row[0].set_ylabel("errors in a decade, %")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return Drawing(
        "histograms",
        figure,
        "Histograms of the size of errors on a logarithmic axis; vertical lines: RMSE.",
    )


def _histogram(ax: Any, quantity: Quantity, parts: Mapping[str, EvaluatedData]) -> None:
    styles = {"test": (ORANGE, "-", 0.25), "train": (BLUE, "--", 0.12)}
    ends = []
    for name, part in parts.items():
        assert part.collector is not None
        counts = part.collector.histograms.get(quantity)
        if counts is None:
            continue
        colour, line, alpha = styles[name]
        density, edges = _density(counts)
        ax.stairs(density, 10**edges, color=colour, fill=True, alpha=alpha)
        ax.stairs(density, 10**edges, color=colour, ls=line, lw=1.5, label=TITLES[name])
        rmse = part.metrics["all"][quantity.reported]["rmse"]
        ax.axvline(rmse, color=colour, ls=line, lw=1)
        # Errors that are zero by symmetry are only rounding errors.
        seen = np.flatnonzero((density > 0) & (edges[1:] > np.log10(rmse + 1e-7) - 5))
        if len(seen):
            ends += [edges[seen[0]], edges[seen[-1] + 1]]
    low, high = (min(ends), max(ends)) if ends else (-3.0, 0.0)
    ax.set(xscale="log", xlim=(10**low, 10**high), ylim=(0, None))
    title = quantity.reported.capitalize()
    ax.set(xlabel=f"|error|, {quantity.error_unit}", title=title)
    label_decades(ax.xaxis)


def _density(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares per decade, %, in bins that widen for few errors, and edges."""
    total = counts.sum()
    width = 2 if total > 2000 else 5 if total > 100 else 10
    edges = BIN_EDGES[::width]
    share = counts.reshape(-1, width).sum(axis=1) / total
    return 100 * share / np.diff(edges), edges


def calibration_figure(contents: Contents, palette: Palette) -> Drawing | None:
    """Draw shares of errors inside intervals, and errors against standard deviations."""
    part = contents.parts.get("test")
    if part is None or part.collector is None:
        return None
    stds = part.collector.standard_deviations
    quantities = [quantity for quantity in quantities_of([part]) if quantity in stds]
    if not quantities:
        return None
    rng = np.random.default_rng(contents.model.config.run.seed)
    figure = new_figure(_WIDTH, 7.7 + palette.height)
    figure.get_layout_engine().set(hspace=0.05)
    above, below = figure.subplots(2, len(quantities), squeeze=False)
    drawing = Drawing(
        "calibration",
        figure,
        "Upper row: share of test errors inside central intervals against their "
        "probability. Lower row: size of errors against their standard deviations.",
    )
    for ax, quantity in zip(above, quantities, strict=True):
        _reliability(ax, quantity, part.metrics)
    above[0].set_ylabel("share of errors inside")
    above[0].legend(loc="best")
    for ax, quantity in zip(below, quantities, strict=True):
        _against_std(ax, quantity, part, stds[quantity], palette, drawing, rng)
    below[0].set_ylabel("|error|")
    # Panels with few errors lack some lines.
    lines = max(
        (ax.get_legend_handles_labels() for ax in below),
        key=lambda handles_labels: len(handles_labels[0]),
    )
    # Below the panels, since points may be anywhere inside.
    below[len(below) // 2].legend(
        *lines, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=len(lines[0])
    )
    _legend(drawing, palette)
    return drawing


def _reliability(ax: Any, quantity: Quantity, metrics: Metrics) -> None:
    scores = metrics["all"][quantity.reported]["uncertainty"]
    ax.plot([0, 1], [0, 1], color=GREY, lw=1)
    ax.plot(
        DIAGRAM_LEVELS, scores["diagram"], "o-", color=BLUE, ms=4, label="one scale"
    )
    ax.plot(
        DIAGRAM_LEVELS,
        scores["by_type"]["diagram"],
        "s--",
        color=ORANGE,
        ms=3.5,
        label="scale of each config_type",
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1, xlabel="probability of the interval")
    ax.set_title(f"{quantity.reported.capitalize()}, {scores['n']} errors")


def _against_std(
    ax: Any,
    quantity: Quantity,
    part: EvaluatedData,
    scored: Scored,
    palette: Palette,
    drawing: Drawing,
    rng: np.random.Generator,
) -> None:
    size, std = np.abs(scored.error), scored.std
    shown = np.flatnonzero(size > 0)
    if len(shown) > _MOST_SCORED:
        shown = np.sort(rng.choice(shown, _MOST_SCORED, replace=False))
    ax.set(xscale="log", yscale="log", box_aspect=1)
    ax.set(xlabel=f"std, {quantity.error_unit}")
    ax.set_title(f"{quantity.reported.capitalize()}, error against std")
    if not len(shown):
        _no_values(ax)
        return
    facts = _Facts(part, quantity)
    for entry, which in _by_entry(part, scored.frame[shown], palette):
        n = shown[which]
        columns = facts.columns(scored.frame[n], scored.index[n], scored.error[n])
        columns["s"] = _short(std[n], 3)
        _scatter(drawing, ax, std[n], size[n], entry, palette, columns)
    ends = np.array([std[shown].min() / 1.5, std[shown].max() * 1.5])
    ax.plot(ends, ends, color="#222222", lw=1, label="|error| = std", zorder=3)
    ax.plot(ends, 2 * ends, color="#222222", lw=1, ls=":", label="2 std", zorder=3)
    if len(size) >= 40:
        groups = np.array_split(np.argsort(std), min(10, len(size) // 20))
        mean = [[np.sqrt(np.mean(x[n] ** 2)) for n in groups] for x in (std, size)]
        ax.plot(*mean, "k_-", ms=9, mew=1.6, lw=0.8, label="RMS error by std", zorder=4)
    # The axis does not extend to errors that are tiny by chance.
    low = max(size[shown].min(), 1e-3 * ends[0])
    ax.set(xlim=ends, ylim=(low / 1.5, max(size[shown].max() * 1.5, ends[1])))
    label_decades(ax.xaxis)
    label_decades(ax.yaxis)
