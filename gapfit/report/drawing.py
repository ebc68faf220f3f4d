"""From a figure to PNG, to SVG inside a page, and to what the page tells of its marks."""

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
    # Names from data may hold dollars.
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
# Pixels of CSS for a point of a figure: texts of 9 points are as large as captions.
_PIXELS = 1.42
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks that a page can tell of.

    Attributes
    ----------
    axes : matplotlib.axes.Axes
        Where they are.
    x, y : (n,) float64
        Where in its data coordinates.
    entry : int
        Of the legend; -1 without one.
    facts : mapping of str to list
        Columns of `n` plain values.
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
        Of its files; letters and hyphens.
    figure : matplotlib.figure.Figure
        Made by `new_figure`. The group of marks number n of entry k has the gid
        ``"marks.k.n"``, an entry of the legend ``"legend.k"``.
    text : str
        What it shows, for those who cannot see it.
    marks : list of Marks
        What the page tells of.
    """

    name: str
    figure: Any
    text: str
    marks: list[Marks] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Rendered:
    """A figure as files hold it.

    Attributes
    ----------
    name, text : str
        Those of the `Drawing`.
    svg : str
        An element of HTML; all its ids begin with the name.
    png : bytes
        The same.
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
    """Draw in the style of reports, whatever the user's own matplotlibrc says."""
    from matplotlib import style as styles

    with styles.context(["default", _STYLE]), warnings.catch_warnings():
        # Names of config_types may have letters that the font lacks.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ ")
        yield


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of some size in inches; units of display are those of SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label_decades(axis: Any) -> None:
    """Label a logarithmic axis in plain numbers, and no more than there is room for."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = (float(np.log10(end)) for end in sorted(axis.get_view_interval()))
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        found = [(power, step) for power in powers for step in steps]
        ticks = [10.0**power * step for power, step in found]
        ticks = [x for x in ticks if low <= np.log10(x) + 1e-9 <= high + 2e-9]
        if len(ticks) <= _MOST_TICKS:
            break
    else:
        ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def _plain(value: float) -> str:
    """Return a tick of a logarithmic axis; matplotlib's own are mathematical text."""
    if 1e-4 < value < 1e5:
        return f"{value:g}"
    power = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**power
    shown = "" if abs(factor - 1) < 1e-6 else f"{factor:g}·"
    return f"{shown}10{str(power).translate(_SUPERSCRIPTS)}"


def render(drawing: Drawing) -> Rendered:
    """Return a figure as SVG, PNG and data; to be called within `style`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = drawing.figure
    figure.draw_without_rendering()
    # From here on nothing moves, so that all of them agree.
    figure.set_layout_engine("none")
    height = 72 * figure.get_figheight()
    marks = []
    for own in drawing.marks:
        at = own.axes.transData.transform(np.column_stack([own.x, own.y]))
        marks.append(
            {
                "entry": own.entry,
                "x": np.round(at[:, 0], 1).tolist(),
                "y": np.round(height - at[:, 1], 1).tolist(),
                **own.facts,
            }
        )
    svg, png = io.StringIO(), io.BytesIO()
    # The salt makes ids differ between figures and not between runs.
    with matplotlib.rc_context({"svg.hashsalt": drawing.name}):
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
    # `savefig` would draw all of it once more for each file.
    figure.set_dpi(_PNG_DPI)
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    text = _embedded(svg.getvalue(), drawing)
    return Rendered(drawing.name, drawing.text, text, png.getvalue(), marks)


def _embedded(text: str, drawing: Drawing) -> str:
    """Return an SVG file as an element of a page, smaller and with ids of its own."""
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
    # A style sheet for everything would be that of the whole page.
    width = _PIXELS * 72 * drawing.figure.get_figwidth()
    lines = "stroke-linejoin: round; stroke-linecap: butt"
    root.set("style", f"{lines}; max-width: {width:.0f}px; --least: {width:.0f}px")
    root.set("role", "img")
    root.set("aria-label", drawing.text)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _prefix(element: ElementTree.Element, prefix: str) -> None:
    """Make ids, and what refers to them, those of one figure."""
    if "id" in element.attrib:
        element.set("id", prefix + element.attrib["id"])
    if _HREF in element.attrib:
        element.set("href", "#" + prefix + element.attrib.pop(_HREF).removeprefix("#"))
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{prefix}"))


def _share_style(group: ElementTree.Element) -> None:
    """Move what all markers of a group repeat to the group, and round their places."""
    uses = group.findall(f"{_SVG}use")
    if len({use.attrib.get("style") for use in uses}) == 1 and len(uses) > 1:
        group.set("style", uses[0].attrib.get("style", ""))
        for use in uses:
            use.attrib.pop("style", None)
    for use in uses:
        for key in ("x", "y"):
            use.set(key, f"{float(use.attrib[key]):.2f}".rstrip("0").rstrip("."))
