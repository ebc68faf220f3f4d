"""Writing of a report: one page, and its figures as PNG."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from gapfit._support.archive import atomic_write, require_writable
from gapfit.data.frame_file import config_types
from gapfit.errors import GapfitError
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

__all__ = [
    "draw",
    "figures_folder",
    "palette_of",
    "remove",
    "require_folder",
    "write",
]

# Names of figure files.
_FIGURES = re.compile(
    r"(parity|histograms|calibration|learning|dimers|resources|(volumes|phonons)-\d+)\.png"
)


def figures_folder(path: Path) -> Path:
    """Return the folder of the figures of a report, named after its page."""
    return path.with_suffix("")


def require_folder(path: Path) -> None:
    """Refuse a page whose figures would go to a folder with other files.

    Parameters
    ----------
    path : Path
        File of the page.

    Raises
    ------
    GapfitError
        The folder of its figures is a file, or has files that no report wrote.
    """
    folder = figures_folder(path)
    advice = "give the page another name with --output"
    if folder.exists() and not folder.is_dir():
        raise GapfitError(
            f"{folder}: is a file where the folder of the figures should be; {advice}"
        )
    if not folder.exists():
        return
    # File managers leave hidden files.
    names = (file.name for file in folder.iterdir() if not file.name.startswith("."))
    others = sorted(name for name in names if not _FIGURES.fullmatch(name))
    if others:
        raise GapfitError(
            f"{folder}: the folder for figures contains {others[0]}, which no report "
            f"wrote; {advice}"
        )
    require_writable(folder / "parity.png")


def remove(path: Path) -> None:
    """Remove a page and its figures, if they exist, but no other files."""
    path.unlink(missing_ok=True)
    folder = figures_folder(path)
    if folder.is_dir():
        _remove_figures(folder, kept=())
        if not any(folder.iterdir()):
            folder.rmdir()


def _remove_figures(folder: Path, kept: Collection[Path]) -> None:
    for file in folder.iterdir():
        if _FIGURES.fullmatch(file.name) and file not in kept:
            file.unlink()


def draw(contents: Contents) -> dict[str, Rendered]:
    """Return all figures of a report by name."""
    with style():
        return {drawing.name: render(drawing) for drawing in _drawings(contents)}


def _drawings(contents: Contents) -> Iterator[Drawing]:
    palette = palette_of(contents)
    for drawing in (
        parity_figure(contents, palette),
        histogram_figure(contents),
        calibration_figure(contents, palette),
        learning_figure(contents.learning) if contents.learning else None,
        dimer_figure(contents.dimers) if contents.dimers else None,
        *property_figures(contents.properties),
        resources_figure(contents),
    ):
        if drawing is not None:
            yield drawing


def palette_of(contents: Contents) -> Palette:
    """Return the colours of all config_types in the data of a report."""
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
        Contents of the report.
    path : Path
        File of the page, which ends in .html; figures go to a folder of the same name
        without the suffix, as ``parity.png`` and so on. Other figures of an earlier
        report are removed.

    Returns
    -------
    list of Path
        The page and the figures.

    Raises
    ------
    GapfitError
        See `require_folder`.
    """
    require_folder(path)
    figures = draw(contents)
    folder = figures_folder(path)
    folder.mkdir(exist_ok=True)
    written = []
    for name, figure in figures.items():
        file = folder / f"{name}.png"
        with atomic_write(file) as temporary:
            temporary.write_bytes(figure.png)
        written.append(file)
    _remove_figures(folder, kept=written)
    with atomic_write(path) as temporary:
        temporary.write_text(page(contents, figures), encoding="utf-8")
    return [path, *written]
