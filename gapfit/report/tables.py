"""Tables of a report as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Any

import numpy as np

from gapfit.evaluation.evaluate import Metrics
from gapfit.evaluation.scores import UNITS
from gapfit.report.contents import Part
from gapfit.report.points import short_source, to_error

__all__ = [
    "Cell",
    "coverage_table",
    "error_table",
    "largest_table",
    "number",
    "property_table",
    "table",
]

_NUMBERS = ("n", "mae", "rmse", "max")
_HEADS = ("n", "MAE", "RMSE", "max")
_LARGEST = 5
# Letters of a text that may be broken into lines.
_LONG = 36


@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes
    ----------
    text : str
        As it is shown.
    value : float or None
        All its digits; None where there is nothing.
    share : float or None
        Length of a bar behind it, 0 to 1; None without one.
    """

    text: str
    value: float | None = None
    share: float | None = None

    @property
    def html(self) -> str:
        """The cell as HTML."""
        value = "" if self.value is None else f' data-value="{self.value!r}"'
        bar = "" if self.share is None else f' style="--share:{self.share:.2f}"'
        kind = ' class="bar"' if self.share is not None else ""
        return f"<td{kind}{value}{bar}>{escape(self.text)}</td>"


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent.

    Examples
    --------
    >>> number(0.0123456), number(1234.5), number(2e-9), number(0.0)
    ('0.0123', '1234', '< 0.0001', '0')
    """
    if not np.isfinite(value):
        return "-"
    if abs(value) < 1e-4:
        return "0" if value == 0 else "< 0.0001"
    decimals = max(digits - 1 - floor(log10(abs(value))), 0)
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def table(
    head: Sequence[str],
    body: Sequence[Sequence[str | Cell]],
    *,
    above: Sequence[tuple[str, int]] = (),
    caption: str = "",
    strong: int = 0,
) -> str:
    """Return a table as HTML.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    body : sequence of sequence of str or Cell
        Rows: the first entry is their title, texts are to the left, cells to the right.
    above : sequence of (str, int), optional
        Titles of groups of columns, and how many columns each has.
    caption : str
        Title of the table.
    strong : int
        So many rows at the top are emphasised.
    """
    lines = [f"<caption>{escape(caption)}</caption>"] if caption else []
    lines.append("<thead>")
    if above:
        groups = "".join(
            f'<th colspan="{width}" scope="colgroup">{escape(text)}</th>'
            for text, width in above
        )
        lines.append(f'<tr class="groups">{groups}</tr>')
    # Titles stand as what is below them.
    kinds = [
        "" if isinstance(own, Cell) else ' class="text"' for own in (body or [head])[0]
    ]
    titles = "".join(
        f'<th scope="col"{kind}>{escape(text)}</th>'
        for text, kind in zip(head, kinds, strict=True)
    )
    lines.append(f"<tr>{titles}</tr></thead><tbody>")
    for n, (first, *rest) in enumerate(body):
        name = first if isinstance(first, str) else first.text
        cells = "".join(
            own.html if isinstance(own, Cell) else _text(own) for own in rest
        )
        kind = ' class="strong"' if n < strong else ""
        lines.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{cells}</tr>')
    inner = "\n".join([*lines, "</tbody>"])
    return f'<div class="scroll" tabindex="0"><table>{inner}</table></div>'


def _text(text: str) -> str:
    kind = "text long" if len(text) > _LONG else "text"
    return f'<td class="{kind}">{escape(text)}</td>'


def error_table(metrics: Metrics, caption: str) -> str:
    """Return the errors of each kind and config_type."""
    kinds = [kind for kind in UNITS if kind in metrics["all"]]
    groups = ["all", *sorted(name for name in metrics if name != "all")]
    largest = {
        kind: max(
            (
                own[kind]["rmse"]
                for g, own in metrics.items()
                if kind in own and g != "all"
            ),
            default=0.0,
        )
        for kind in kinds
    }
    body: list[list[str | Cell]] = []
    for group in groups:
        row: list[str | Cell] = [group]
        for kind in kinds:
            own = metrics[group].get(kind)
            row += [_error(own, key, largest[kind]) for key in _NUMBERS]
        body.append(row)
    above = [("", 1), *((f"{kind}, {UNITS[kind]}", 4) for kind in kinds)]
    return table(
        ["config_type", *(_HEADS * len(kinds))],
        body,
        above=above,
        caption=caption,
        strong=1,
    )


def _error(own: Mapping[str, Any] | None, key: str, largest: float) -> Cell:
    if own is None:
        return Cell("\N{EN DASH}" if key == "n" else "")
    if key == "n":
        return Cell(str(own["n"]), own["n"])
    share = min(own[key] / largest, 1.0) if key == "rmse" and largest else None
    return Cell(number(own[key]), own[key], share)


def coverage_table(metrics: Metrics, caption: str, groups: Sequence[str]) -> str:
    """Return how well standard deviations and intervals hold the errors of some groups."""
    body: list[list[str | Cell]] = []
    for group in groups:
        for kind in UNITS:
            own = metrics.get(group, {}).get(kind, {}).get("uncertainty")
            if own is None:
                continue
            rank = own.get("rank_atoms") or own["rank"]
            typed = own["by_type"]
            name = kind if group == "all" else f"{group}: {kind}"
            body.append(
                [
                    f"{name}, {UNITS[kind]}",
                    Cell(str(own["n"]), own["n"]),
                    _percent(own["coverage_68"]),
                    _percent(own["coverage_95"]),
                    _percent(own.get("interval_68")),
                    _percent(own.get("interval_95")),
                    _percent(typed["coverage_68"]),
                    _percent(typed["coverage_95"]),
                    Cell(f"{own['rms_z']:.2f}", own["rms_z"]),
                    Cell(
                        f"{own['miscalibration_area']:.3f}", own["miscalibration_area"]
                    ),
                    Cell("\N{EN DASH}" if rank is None else f"{rank:.2f}", rank),
                    Cell(number(own["sharpness"]), own["sharpness"]),
                    Cell(number(own["crps"]), own["crps"]),
                ]
            )
    above = [
        ("", 2),
        ("errors in std, %", 2),
        ("in intervals, %", 2),
        ("by config_type, %", 2),
        ("scores", 5),
    ]
    head = ["", "n", *(("68", "95") * 3), "rms z", "area", "rank", "std", "CRPS"]
    return table(head, body, above=above, caption=caption)


def _percent(share: float | None) -> Cell:
    return Cell("\N{EN DASH}" if share is None else f"{100 * share:.0f}", share)


def largest_table(part: Part, title: str) -> str:
    """Return the structures with the largest error of each kind."""
    assert part.found is not None
    assert part.frames is not None
    body: list[list[str | Cell]] = []
    for kind in UNITS:
        points = part.found.points.get(kind)
        if points is None:
            continue
        error = to_error(kind) * (points.predicted - points.reference)
        seen: set[int] = set()
        for n in np.argsort(-np.abs(error), kind="stable").tolist():
            number_of_frame = int(points.frame[n])
            if number_of_frame in seen:
                continue
            seen.add(number_of_frame)
            frame = part.frames[number_of_frame]
            value = float(error[n])
            body.append(
                [
                    f"{kind}, {UNITS[kind]}",
                    short_source(frame.source),
                    frame.config_type,
                    Cell(str(frame.n_atoms)),
                    Cell(number(value), value),
                ]
            )
            if len(seen) == _LARGEST:
                break
    return table(
        ["", "structure", "config_type", "atoms", "largest error"], body, caption=title
    )


def property_table(found: Mapping[str, Any], caption: str) -> str:
    """Return the properties of a crystal, beside references where there are any."""
    comparison = found.get("comparison", {})
    body: list[list[str | Cell]] = []
    for name, own in found["quantities"].items():
        value, std = own["value"], own.get("std")
        row: list[str | Cell] = [
            name,
            Cell(*_measured(value, std)),
            Cell("" if std is None else number(std, 2), std),
            own["unit"],
        ]
        if comparison:
            other = comparison.get(name)
            row += [
                Cell(f"{other['reference']:g}" if other else "", None),
                Cell(
                    f"{100 * other['relative']:+.1f} %"
                    if other and other["relative"] is not None
                    else "",
                    None,
                ),
            ]
        body.append(row)
    head = ["", "value", "± std", "unit"]
    return table(
        head + (["reference", "deviation"] if comparison else []), body, caption=caption
    )


def _measured(value: float, std: float | None) -> tuple[str, float]:
    """Return a number with the digits that its standard deviation leaves it."""
    if not std or not np.isfinite(std):
        return number(value, 4), value
    decimals = min(max(1 - floor(log10(std)), 0), 6)
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}"), value
