"""Tables of a report as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Any

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.evaluation.evaluate import Metrics
from gapfit.report.contents import EvaluatedData
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
# Length from which a text may be broken into lines, letters.
_LONG = 36


@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes
    ----------
    text : str
        Displayed text.
    value : float or None
        Number with all digits; None without one.
    share : float or None
        Length of a bar behind the text, 0 to 1; None without one.
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
    """Return a number with significant digits, without an exponent.

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
        Rows: a title, then texts (aligned to the left) and cells (to the right).
    above : sequence of (str, int), optional
        Titles of groups of columns, and their numbers of columns.
    caption : str
        Title of the table.
    strong : int
        Number of rows at the top that are emphasised.
    """
    lines = [f"<caption>{escape(caption)}</caption>"] if caption else []
    lines.append("<thead>")
    if above:
        groups = "".join(
            f'<th colspan="{width}" scope="colgroup">{escape(text)}</th>'
            for text, width in above
        )
        lines.append(f'<tr class="groups">{groups}</tr>')
    # Titles are aligned as the entries below them.
    kinds = [
        "" if isinstance(entry, Cell) else ' class="text"'
        for entry in (body or [head])[0]
    ]
    titles = "".join(
        f'<th scope="col"{kind}>{escape(text)}</th>'
        for text, kind in zip(head, kinds, strict=True)
    )
    lines.append(f"<tr>{titles}</tr></thead><tbody>")
    for n, (first, *entries) in enumerate(body):
        name = first if isinstance(first, str) else first.text
        cells = "".join(
            entry.html if isinstance(entry, Cell) else _text(entry) for entry in entries
        )
        kind = ' class="strong"' if n < strong else ""
        lines.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{cells}</tr>')
    inner = "\n".join([*lines, "</tbody>"])
    return f'<div class="scroll" tabindex="0"><table>{inner}</table></div>'


def _text(text: str) -> str:
    kind = "text long" if len(text) > _LONG else "text"
    return f'<td class="{kind}">{escape(text)}</td>'


def error_table(metrics: Metrics, caption: str) -> str:
    """Return the errors of each quantity and config_type."""
    units = {q.reported: q.error_unit for q in Quantity if q.reported in metrics["all"]}
    groups = ["all", *sorted(name for name in metrics if name != "all")]
    largest = {
        name: max(
            (
                errors[name]["rmse"]
                for g, errors in metrics.items()
                if name in errors and g != "all"
            ),
            default=0.0,
        )
        for name in units
    }
    body: list[list[str | Cell]] = []
    for group in groups:
        row: list[str | Cell] = [group]
        for name in units:
            errors = metrics[group].get(name)
            row += [_error(errors, key, largest[name]) for key in _NUMBERS]
        body.append(row)
    above = [("", 1), *((f"{name}, {unit}", 4) for name, unit in units.items())]
    return table(
        ["config_type", *(_HEADS * len(units))],
        body,
        above=above,
        caption=caption,
        strong=1,
    )


def _error(errors: Mapping[str, Any] | None, key: str, largest: float) -> Cell:
    if errors is None:
        return Cell("\N{EN DASH}" if key == "n" else "")
    if key == "n":
        return Cell(str(errors["n"]), errors["n"])
    share = min(errors[key] / largest, 1.0) if key == "rmse" and largest else None
    return Cell(number(errors[key]), errors[key], share)


def coverage_table(metrics: Metrics, caption: str, groups: Sequence[str]) -> str:
    """Return the shares of errors inside standard deviations and intervals, by group."""
    body: list[list[str | Cell]] = []
    for group in groups:
        for quantity in Quantity:
            name = quantity.reported
            scores = metrics.get(group, {}).get(name, {}).get("uncertainty")
            if scores is None:
                continue
            rank = scores.get("rank_atoms") or scores["rank"]
            typed = scores["by_type"]
            area = scores["miscalibration_area"]
            place = "" if group == "all" else f"{group}: "
            body.append(
                [
                    f"{place}{name}, {quantity.error_unit}",
                    Cell(str(scores["n"]), scores["n"]),
                    _percent(scores["coverage_68"]),
                    _percent(scores["coverage_95"]),
                    _percent(scores.get("interval_68")),
                    _percent(scores.get("interval_95")),
                    _percent(typed["coverage_68"]),
                    _percent(typed["coverage_95"]),
                    Cell(f"{scores['rms_z']:.2f}", scores["rms_z"]),
                    Cell(f"{area:.3f}", area),
                    Cell("\N{EN DASH}" if rank is None else f"{rank:.2f}", rank),
                    Cell(number(scores["sharpness"]), scores["sharpness"]),
                    Cell(number(scores["crps"]), scores["crps"]),
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


def largest_table(part: EvaluatedData, title: str) -> str:
    """Return the structures with the largest error of each quantity."""
    assert part.collector is not None
    assert part.frames is not None
    body: list[list[str | Cell]] = []
    for quantity in Quantity:
        points = part.collector.points.get(quantity)
        if points is None:
            continue
        error = to_error(quantity) * (points.predicted - points.reference)
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
                    f"{quantity.reported}, {quantity.error_unit}",
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


def property_table(results: Mapping[str, Any], caption: str) -> str:
    """Return the properties of a crystal, with references if there are any."""
    comparison = results.get("comparison", {})
    body: list[list[str | Cell]] = []
    for name, quantity in results["quantities"].items():
        value, std = quantity["value"], quantity.get("std")
        row: list[str | Cell] = [
            name,
            Cell(*_measured(value, std)),
            Cell("" if std is None else number(std, 2), std),
            quantity["unit"],
        ]
        if comparison:
            deviation = comparison.get(name)
            row += [
                Cell(f"{deviation['reference']:g}" if deviation else "", None),
                Cell(
                    f"{100 * deviation['relative']:+.1f} %"
                    if deviation and deviation["relative"] is not None
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
    """Return a number rounded to the digits that its standard deviation allows."""
    if not std or not np.isfinite(std):
        return number(value, 4), value
    decimals = min(max(1 - floor(log10(std)), 0), 6)
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}"), value
