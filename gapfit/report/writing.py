"""Writes a report: one page, and its figures as PNG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gapfit.archive import atomic_write
from gapfit.frame_file import config_types
from gapfit.report.contents import Contents
from gapfit.report.curves import (
    dimer_figure,
    learning_figure,
    property_figures,
    resources_figure,
)
from gapfit.report.drawing import Drawing, Rendered, render, style
from gapfit.report.page import page
from gapfit.report.palette import Palette
from gapfit.report.parity import calibration_figure, histogram_figure, parity_figure

__all__ = ["draw", "figures_folder", "write"]


def figures_folder(path: Path) -> Path:
    """Return the folder of the figures of a report: named after its page."""
    return path.with_suffix("")


def draw(contents: Contents) -> dict[str, Rendered]:
    """Return all figures of a report by name."""
    with style():
        return {own.name: render(own) for own in _drawings(contents)}


def _drawings(contents: Contents) -> Iterator[Drawing]:
    palette = _palette(contents)
    for made in (
        parity_figure(contents, palette),
        histogram_figure(contents),
        calibration_figure(contents, palette),
        learning_figure(contents.learning) if contents.learning else None,
        dimer_figure(contents.dimers) if contents.dimers else None,
        *property_figures(contents.properties),
        resources_figure(contents),
    ):
        if made is not None:
            yield made


def _palette(contents: Contents) -> Palette:
    counts: Counter[str] = Counter()
    for part in contents.parts.values():
        if part.frames is not None:
            counts.update(config_types(part.frames))
    return Palette.of(counts)


def write(contents: Contents, path: Path) -> list[Path]:
    """Write a report.

    Parameters
    ----------
    contents : Contents
        What it tells.
    path : Path
        Of the page, which ends in .html; figures go to a folder of the same name
        without that, as ``parity.png`` and so on.

    Returns
    -------
    list of Path
        The page and the figures.
    """
    figures = draw(contents)
    folder = figures_folder(path)
    folder.mkdir(exist_ok=True)
    written = []
    for name, figure in figures.items():
        file = folder / f"{name}.png"
        with atomic_write(file) as temporary:
            temporary.write_bytes(figure.png)
        written.append(file)
    with atomic_write(path) as temporary:
        temporary.write_text(page(contents, figures), encoding="utf-8")
    return [path, *written]
