"""Rendering of figures: PNG, SVG inside a page, and data of their marks."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np

__all__ = [
    "Drawing",
    "Marks",
    "Rendered",
    "label_decades",
    "new_figure",
    "render",
    "style",
]

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": "#222222",
    # Names from data may contain dollar signs.
    "text.parse_math": False,
    "xtick.color": "#555555",
    "xtick.labelcolor": "#222222",
    "xtick.labelsize": 9,
    "ytick.color": "#555555",
    "ytick.labelcolor": "#222222",
    "ytick.labelsize": 9,
}
_PNG_DPI = 160
_MOST_TICKS = 7
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# CSS pixels per point: texts of 9 points are then as large as captions.
_PIXELS = 1.42
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks whose data the page can show.

    Attributes
    ----------
    axes : matplotlib.axes.Axes
        Axes with the marks.
    x, y : (n,) float64
        Positions in data coordinates.
    entry : int
        Entry of the legend; -1 without one.
    facts : mapping of str to list
        Columns of n plain values.
    """

    axes: Any
    x: np.ndarray
    y: np.ndarray
    entry: int
    facts: Mapping[str, Any]


@dataclass(eq=False)
class Drawing:
    """A figure before it is rendered.

    Attributes
    ----------
    name : str
        Name of its files; letters and hyphens.
    figure : matplotlib.figure.Figure
        Figure from `new_figure`. Group n of the marks, of entry k, has the gid
        ``"marks.k.n"``, an entry of the legend ``"legend.k"``.
    text : str
        Description of the figure, for screen readers.
    marks : list of Marks
        Marks whose data the page can show.
    """

    name: str
    figure: Any
    text: str
    marks: list[Marks] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered figure.

    Attributes
    ----------
    name, text : str
        Name and text of the `Drawing`.
    svg : str
        HTML element; all its ids begin with the name.
    png : bytes
        PNG file.
    marks : list of dict
        Plain data: ``x`` and ``y`` in the units of the SVG's viewBox, ``entry``, and the
        facts.
    """

    name: str
    text: str
    svg: str
    png: bytes
    marks: list[dict[str, Any]]


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of reports, independent of the user's matplotlibrc."""
    from matplotlib import style as styles

    with styles.context(["default", _STYLE]), warnings.catch_warnings():
        # Names of config_types may have letters that the font lacks.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ ")
        yield


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches; its display units are those of SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label_decades(axis: Any) -> None:
    """Label a logarithmic axis with plain numbers, as many as fit."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = (float(np.log10(end)) for end in sorted(axis.get_view_interval()))
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        ticks = [10.0**power * step for power in powers for step in steps]
        ticks = [x for x in ticks if low <= np.log10(x) + 1e-9 <= high + 2e-9]
        if len(ticks) <= _MOST_TICKS:
            break
    else:
        ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def _plain(value: float) -> str:
    """Return the text of a tick of a logarithmic axis, without mathematical text."""
    if 1e-4 < value < 1e5:
        return f"{value:g}"
    power = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**power
    shown = "" if abs(factor - 1) < 1e-6 else f"{factor:g}·"
    return f"{shown}10{str(power).translate(_SUPERSCRIPTS)}"


def render(drawing: Drawing) -> Rendered:
    """Return a figure as SVG, PNG and data; call it within `style`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = drawing.figure
    figure.draw_without_rendering()
    # Fix the layout, so that SVG, PNG and marks agree.
    figure.set_layout_engine("none")
    height = 72 * figure.get_figheight()
    marks = []
    for group in drawing.marks:
        points = np.column_stack([group.x, group.y])
        at = group.axes.transData.transform(points)
        marks.append(
            {
                "entry": group.entry,
                "x": np.round(at[:, 0], 1).tolist(),
                "y": np.round(height - at[:, 1], 1).tolist(),
                **group.facts,
            }
        )
    svg, png = io.StringIO(), io.BytesIO()
    # The salt makes ids differ between figures but not between runs.
    with matplotlib.rc_context({"svg.hashsalt": drawing.name}):
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
    # `savefig` would lay out the figure again for each file.
    figure.set_dpi(_PNG_DPI)
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    text = _embedded(svg.getvalue(), drawing)
    return Rendered(drawing.name, drawing.text, text, png.getvalue(), marks)


def _embedded(text: str, drawing: Drawing) -> str:
    """Return an SVG file as a smaller element of a page, with unique ids."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        _prefix(element, f"{drawing.name}-")
        if element.tag == f"{_SVG}g":
            _share_style(element)
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    # A style sheet in the SVG would apply to the whole page.
    width = _PIXELS * 72 * drawing.figure.get_figwidth()
    lines = "stroke-linejoin: round; stroke-linecap: butt"
    root.set("style", f"{lines}; max-width: {width:.0f}px; --least: {width:.0f}px")
    root.set("role", "img")
    root.set("aria-label", drawing.text)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _prefix(element: ElementTree.Element, prefix: str) -> None:
    """Add a prefix to an element's id and to its references."""
    if "id" in element.attrib:
        element.set("id", prefix + element.attrib["id"])
    if _HREF in element.attrib:
        element.set("href", "#" + prefix + element.attrib.pop(_HREF).removeprefix("#"))
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{prefix}"))


def _share_style(group: ElementTree.Element) -> None:
    """Move the common style of markers to their group, and round their positions."""
    uses = group.findall(f"{_SVG}use")
    if len({use.attrib.get("style") for use in uses}) == 1 and len(uses) > 1:
        group.set("style", uses[0].attrib.get("style", ""))
        for use in uses:
            use.attrib.pop("style", None)
    for use in uses:
        for key in ("x", "y"):
            use.set(key, f"{float(use.attrib[key]):.2f}".rstrip("0").rstrip("."))
