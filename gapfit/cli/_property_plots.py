"""Plots of the properties of a crystal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gapfit.properties.results import Report

__all__ = ["draw"]

# Largest energy that is drawn, eV.
_HIGHEST = 10.0


def draw(report: Report, folder: Path) -> list[Path]:
    """Write a PNG of each curve that was computed; return their paths."""
    curves, written = report.curves, []
    for name, present, plot in (
        ("eos", curves.volumes is not None, _eos),
        ("dimers", bool(curves.dimers), _dimers),
        ("phonons", curves.phonons is not None, _phonons),
    ):
        if present:
            written.append(folder / f"{name}.png")
            _save(plot(report), written[-1])
    return written


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    from gapfit._support.archive import atomic_write

    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _eos(report: Report) -> Any:
    """Draw energies relative to the lowest, the fitted curve, and the error band."""
    curves = report.curves
    assert curves.volumes is not None
    assert curves.energies is not None
    figure = _figure(5, 4)
    ax = figure.subplots()
    zero = curves.energies.min() if curves.fitted is None else curves.fitted.energy
    heights = 1000 * (curves.energies - zero)
    if curves.energies_std is not None:
        std = 1000 * curves.energies_std
        ax.fill_between(
            curves.volumes, heights - std, heights + std, alpha=0.2, label="± std"
        )
    if curves.fitted is not None:
        fine = np.linspace(curves.volumes.min(), curves.volumes.max(), 200)
        ax.plot(
            fine, 1000 * (curves.fitted.energies(fine) - zero), label="Birch-Murnaghan"
        )
        ax.axvline(curves.fitted.volume, color="0.8", lw=1)
    ax.plot(curves.volumes, heights, "o", color="tab:blue", label="potential")
    ax.ticklabel_format(useOffset=False)
    ax.set(xlabel="volume, Å³/atom", ylabel="energy above the minimum, meV/atom")
    ax.legend()
    return figure


def _dimers(report: Report) -> Any:
    figure = _figure(6, 4)
    ax = figure.subplots()
    lowest = 0.0
    for name, curve in report.curves.dimers.items():
        label = name if curve.data is None else f"{name}: {curve.data.text}"
        alone = curve.data is not None and not curve.data.n_dimers
        style = ":" if alone else "-"
        (line,) = ax.plot(curve.distances, curve.energies, style, label=label)
        if curve.std is not None:
            low, high = curve.energies - curve.std, curve.energies + curve.std
            ax.fill_between(
                curve.distances, low, high, color=line.get_color(), alpha=0.2
            )
        lowest = min(lowest, float(curve.energies.min()))
    ax.axhline(0.0, color="0.6", lw=1)
    ax.set(xlabel="distance, Å", ylabel="energy, eV", ylim=(1.2 * lowest - 1, _HIGHEST))
    ax.legend()
    return figure


def _phonons(report: Report) -> Any:
    figure = _figure(8, 4)
    bands, dos = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    modes = report.curves.phonons
    assert modes is not None
    jumps = 1 + np.flatnonzero(np.diff(modes.distances) == 0)
    for x, frequencies in zip(
        np.split(modes.distances, jumps), np.split(modes.bands, jumps), strict=True
    ):
        bands.plot(x, frequencies, color="tab:blue", lw=1)
    bands.axhline(0.0, color="0.6", lw=1)
    at = np.array([x for x, _ in modes.labels])
    for x in at:
        bands.axvline(x, color="0.8", lw=1)
    bands.set_xticks(at, [name.replace("G", "Γ") for _, name in modes.labels])
    bands.set(ylabel="frequency, THz", xlim=(at[0], at[-1]))
    dos.plot(modes.density, modes.frequencies)
    dos.set(xlabel="modes per THz", xlim=(0, None))
    return figure
