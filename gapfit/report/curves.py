"""Figures of curves: learning, dimers, properties, time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.report.contents import Contents, DimerPanel
from gapfit.report.drawing import Drawing, Marks, label_decades, new_figure
from gapfit.report.learning import LearningCurve
from gapfit.report.palette import BLUE, GREEN, GREY, ORANGE

__all__ = [
    "dimer_figure",
    "learning_figure",
    "property_figures",
    "resources_figure",
]

_WIDTH = 11.0
# Largest drawn energy: this many well depths, but at least this energy, eV.
_WELLS, _LEAST_HEIGHT = 2.0, 2.0


def learning_figure(curve: LearningCurve) -> Drawing:
    """Draw errors against the number of structures fitted."""
    quantities = [
        quantity
        for quantity in Quantity
        if all(quantity.reported in errors for errors in curve.rmse)
    ]
    figure = new_figure(_WIDTH, 3.5)
    drawing = Drawing("learning", figure, _learning_text(curve, quantities))
    row = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, quantity in zip(row, quantities, strict=True):
        unit = quantity.error_unit
        styles = (
            ("RMSE", curve.rmse, BLUE, "o-"),
            ("MAE", curve.mae, ORANGE, "s--"),
        )
        x = np.array(curve.n_frames, dtype=float)
        for n, (name, errors, colour, line) in enumerate(styles):
            y = np.array([of_fit[quantity.reported] for of_fit in errors])
            (artist,) = ax.plot(x, y, line, color=colour, ms=5, label=name)
            artist.set_gid(f"marks.{n}.{len(drawing.marks)}")
            text = [
                f"{count} structures\n{name} {error:.3g} {unit}"
                for count, error in zip(curve.n_frames, y.tolist(), strict=True)
            ]
            drawing.marks.append(Marks(ax, x, y, -1, {"t": text}))
        ax.set(xscale="log", yscale="log", xlabel="structures fitted")
        ax.set(title=quantity.reported.capitalize(), ylabel=f"error, {unit}")
        ax.minorticks_off()
        ax.set_xticks(x, [str(n) for n in curve.n_frames])
        low, high = ax.get_ylim()
        # Otherwise flat curves would look steep.
        ax.set_ylim(min(low, high / 2), max(high, 2 * low))
        label_decades(ax.yaxis)
    row[0].legend(loc="best")
    return drawing


def _learning_text(curve: LearningCurve, quantities: Sequence[Quantity]) -> str:
    ends = "; ".join(
        f"{name}: RMSE {curve.rmse[0][name]:.3g} to {curve.rmse[-1][name]:.3g} {unit}"
        for name, unit in ((q.reported, q.error_unit) for q in quantities)
    )
    return (
        f"Learning curve from {curve.n_frames[0]} to {curve.n_frames[-1]} structures. "
        f"{ends}."
    )


def dimer_figure(panels: Sequence[DimerPanel]) -> Drawing:
    """Draw the energy of two atoms against their distance, for each pair of species."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(_WIDTH if columns > 1 else 6.5, 2.9 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    names = ", ".join(panel.name for panel in panels)
    drawing = Drawing(
        "dimers", figure, f"Energy of two atoms against their distance: {names}."
    )
    for ax, panel in zip(grid, panels, strict=False):
        _dimer_panel(ax, panel, drawing)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    for ax in grid[::columns]:
        ax.set_ylabel("energy, eV")
    handles = {
        text: handle
        for ax in grid
        for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), 2 * columns),
    )
    return drawing


def _dimer_panel(ax: Any, panel: DimerPanel, drawing: Drawing) -> None:
    curve = panel.curve
    ax.axhline(0.0, color=GREY, lw=0.8, zorder=1)
    if curve.std is not None:
        low, high = curve.energies - curve.std, curve.energies + curve.std
        ax.fill_between(
            curve.distances, low, high, color=BLUE, alpha=0.22, lw=0, label="± std"
        )
    data = panel.data
    style, name = "-", "model"
    if data is not None and not data.n_dimers:
        style, name = ":", "model, no dimer in the training data"
    ax.plot(curve.distances, curve.energies, style, color=BLUE, label=name)
    if data is not None and data.closest is not None:
        ax.axvspan(
            0,
            data.closest,
            color="#999999",
            alpha=0.16,
            lw=0,
            label="closer than any pair in the training data",
        )
    if panel.baseline is not None:
        x, y = panel.baseline.distances, panel.baseline.energies
        ax.plot(x, y, color=GREEN, ls="--", lw=1.3, label="baseline")
    facts = [
        f"{panel.name} at {d:.3g} Å\n{e:.4g} eV"
        + ("" if curve.std is None else f" ± {curve.std[n]:.2g} eV")
        for n, (d, e) in enumerate(
            zip(curve.distances.tolist(), curve.energies.tolist(), strict=True)
        )
    ]
    labels = [energy for *_, energy in panel.points]
    deepest = min([float(curve.energies.min()), *labels, 0.0])
    lower = curve.energies if curve.std is None else curve.energies - curve.std
    top = max(_WELLS * -deepest, _LEAST_HEIGHT)
    # The band is shown unless it is as wide as that of a model without data.
    bottom = max(min(float(lower.min()), deepest), 2 * deepest - 1) - 0.08 * top
    seen = (curve.energies < top) & (curve.energies > bottom)
    if panel.points:
        x = np.array([d for _, d, _ in panel.points])
        y = np.array([e for *_, e in panel.points])
        inside = y < top
        (line,) = ax.plot(
            x, y, "D", ls="none", color=ORANGE, ms=5, label="training data", zorder=4
        )
        line.set_gid(f"marks.1.{len(drawing.marks)}")
        text = [f"{s}\n{d:.4g} Å, {e:.4g} eV" for s, d, e in panel.points]
        shown = [t for t, keep in zip(text, inside, strict=True) if keep]
        drawing.marks.append(Marks(ax, x[inside], y[inside], -1, {"t": shown}))
    drawing.marks.append(
        Marks(
            ax,
            curve.distances[seen],
            curve.energies[seen],
            -1,
            {"t": [fact for fact, keep in zip(facts, seen, strict=True) if keep]},
        )
    )
    above = [energy for energy in labels if energy >= top]
    if above:
        ax.text(
            0.97,
            0.97,
            f"{len(above)} of the training data above,\nup to {max(above):.3g} eV",
            transform=ax.transAxes,
            ha="right",
            va="top",
            fontsize=9,
        )
    if data is not None:
        ax.set_title(panel.name, loc="left")
        ax.set_title(data.text, loc="right", fontsize=8, fontweight="normal")
    else:
        ax.set_title(panel.name)
    ax.set(xlabel="distance, Å", ylim=(bottom, top))
    ax.set_xlim(curve.distances[0], curve.distances[-1])


def property_figures(properties: Mapping[str, Mapping[str, Any]]) -> Iterator[Drawing]:
    """Yield the figures of properties whose curves were computed."""
    for number, (name, results) in enumerate(properties.items(), 1):
        curves = results.get("curves", {})
        if curves.get("volumes"):
            yield _volumes(f"volumes-{number}", name, curves)
        if curves.get("phonons"):
            yield _phonons(f"phonons-{number}", name, curves["phonons"])


def _volumes(file: str, name: str, curves: Mapping[str, Any]) -> Drawing:
    figure = new_figure(6.0, 3.6)
    ax = figure.subplots()
    x, y = np.array(curves["volumes"]), np.array(curves["energies"])
    ax.plot(x, y, "o-", color=BLUE, ms=4)
    ax.set(xlabel="volume, Å³/atom", ylabel="energy, eV/atom")
    ax.set_title(f"{name}: energy against volume")
    ax.ticklabel_format(useOffset=False)
    text = [
        f"{v:.4g} Å³/atom\n{e:.6g} eV/atom"
        for v, e in zip(x.tolist(), y.tolist(), strict=True)
    ]
    marks = [Marks(ax, x, y, -1, {"t": text})]
    return Drawing(file, figure, f"{name}: energy against volume.", marks)


def _phonons(file: str, name: str, modes: Mapping[str, Any]) -> Drawing:
    figure = new_figure(_WIDTH, 3.8)
    bands, dos = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    x, y = np.array(modes["distances"]), np.array(modes["bands"])
    jumps = 1 + np.flatnonzero(np.diff(x) == 0)
    for part, frequencies in zip(np.split(x, jumps), np.split(y, jumps), strict=True):
        bands.plot(part, frequencies, color=BLUE, lw=1.2)
    bands.axhline(0.0, color=GREY, lw=0.8)
    at = [position for position, _ in modes["labels"]]
    bands.set_xticks(at, [text.replace("G", "Γ") for _, text in modes["labels"]])
    bands.set(ylabel="frequency, THz", xlim=(at[0], at[-1]), title=f"{name}: phonons")
    dos.fill_betweenx(modes["frequencies"], modes["density"], color=BLUE, alpha=0.2)
    dos.plot(modes["density"], modes["frequencies"], color=BLUE, lw=1.2)
    dos.set(xlabel="modes per THz", xlim=(0, None), title="density of states")
    return Drawing(file, figure, f"{name}: phonon bands and density of states.")


def resources_figure(contents: Contents) -> Drawing | None:
    """Draw time and memory of the stages of the fit."""
    times = {name: t for name, t in contents.timings.items() if name != "total"}
    peaks = contents.memory.get("stages", {})
    if not times:
        return None
    stages = list(times)
    figure = new_figure(_WIDTH, 0.9 + 0.28 * len(stages))
    left, right = figure.subplots(1, 2, sharey=True)
    positions = np.arange(len(stages))
    seconds = np.array(list(times.values()))
    left.barh(positions, seconds, color=BLUE, height=0.65)
    largest = seconds.max()
    for position, value in zip(positions, seconds.tolist(), strict=True):
        left.text(
            value + 0.01 * largest, position, f"{value:.3g} s", va="center", fontsize=9
        )
    left.set_yticks(positions, stages)
    left.invert_yaxis()
    left.set(xlabel="time, s", title="Time by stage", xlim=(0, 1.15 * largest))
    megabytes = np.array([peaks.get(name, np.nan) / 1e6 for name in stages])
    right.barh(positions, np.nan_to_num(megabytes), color=ORANGE, height=0.65)
    for position, value in zip(positions, megabytes.tolist(), strict=True):
        if np.isfinite(value):
            right.text(
                value * 1.01, position, f"{value:.0f} MB", va="center", fontsize=9
            )
    right.set(xlabel="memory, MB", title="Peak memory at the end of the stage")
    if np.isfinite(megabytes).any():
        right.set_xlim(0, 1.15 * np.nanmax(megabytes))
    for ax in (left, right):
        ax.grid(visible=False, axis="y")
    text = f"Time of the stages, {seconds.sum():.3g} s in total, and peak memory."
    return Drawing("resources", figure, text)
