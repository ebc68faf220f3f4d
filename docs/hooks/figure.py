"""The figure of the home page: accuracy against cost of potentials for silicon.

``python docs/hooks/figure.py > docs/images/accuracy-cost.svg`` draws it from the newest
comparison with other potentials in ``tests/benchmarks/results``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["families", "figure", "newest"]

_RESULTS = Path(__file__).resolve().parents[2] / "tests" / "benchmarks" / "results"
_SET = "mlearn_Si"

_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 452, 16, 262
#: Ranges of the axes: µs per atom, and eV/Å.
_COSTS, _ERRORS = (5.0, 500.0), (0.04, 0.14)
_TICKS = (5, 10, 20, 50, 100, 200, 500)
_OURS, _THEIRS = "#1d4ed8", "#b45309"
#: Names of potentials begin with that of their family; other variants are left out.
_FAMILIES = {
    "gapfit": ("gapfit fast", "gapfit default", "gapfit accurate"),
    "SNAP": ("SNAP", "qSNAP"),
    "POD": ("POD small", "POD example", "POD large"),
    "linear ACE": ("linear ACE small", "linear ACE medium"),
    "polymlp": ("polymlp small", "polymlp large"),
}
#: Families with others on the right.
_NAMED_ON_THE_LEFT = ("linear ACE",)


@dataclass(frozen=True)
class Family:
    """Potentials of one kind, from fast to accurate.

    Attributes
    ----------
    name : str
        The kind.
    points : list of (float, float)
        µs per atom, and mean absolute error of forces, eV/Å.
    """

    name: str
    points: list[tuple[float, float]]


def newest(name: str) -> list[dict[str, Any]]:
    """Return the rows of a set in the newest comparison that has it."""
    results = [
        json.loads(file.read_text("utf-8")) for file in _RESULTS.glob("peers-*.json")
    ]
    for result in sorted(results, key=lambda one: one["machine"]["date"], reverse=True):
        rows = [row for row in result["tables"]["Peers"]["rows"] if row["set"] == name]
        if rows:
            return rows
    raise ValueError(f"{_RESULTS}: no comparison has the set {name}")


def families() -> list[Family]:
    """Return the potentials of the newest comparison."""
    found = {row["potential"]: row for row in newest(_SET)}
    return [
        Family(name, [(found[one]["cost"], found[one]["forces"]) for one in members])
        for name, members in _FAMILIES.items()
    ]


def figure() -> str:
    """Return the figure as SVG."""
    title = "Error of forces against the time of a prediction, silicon"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="14" fill="#1f2937" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"/>',
        *_axes(),
        *(line for family in families() for line in _curve(family)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _axes() -> list[str]:
    lines = []
    for cost in _TICKS:
        x = _x(cost)
        lines += [
            f'<path d="M{x:.1f} {_TOP}V{_BOTTOM}" stroke="#e5e7eb"/>',
            _text(x, _BOTTOM + 20, f"{cost}"),
        ]
    for error in (0.04, 0.06, 0.08, 0.1, 0.12, 0.14):
        y = _y(error)
        lines += [
            f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#e5e7eb"/>',
            _text(_LEFT - 6, y + 5, f"{error:g}", "end"),
        ]
    middle = (_TOP + _BOTTOM) / 2
    return [
        *lines,
        f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" stroke="#6b7280" fill="none"/>',
        _text((_LEFT + _RIGHT) / 2, _HEIGHT - 12, "energy and forces, µs per atom"),
        f'<g transform="rotate(-90 16 {middle:g})">'
        f"{_text(16, middle, 'error of forces (MAE), eV/Å')}</g>",
    ]


def _curve(family: Family) -> list[str]:
    colour = _OURS if family.name == "gapfit" else _THEIRS
    places = [(_x(cost), _y(error)) for cost, error in sorted(family.points)]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    (x, y), anchor, step = max(places), "start", 10
    if family.name in _NAMED_ON_THE_LEFT:
        (x, y), anchor, step = min(places), "end", -10
    return [
        f'<g fill="{colour}">',
        f'<path d="M{line}" stroke="{colour}" fill="none"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in places),
        _text(x + step, y + 5, family.name, anchor, weight="bold"),
        "</g>",
    ]


def _text(
    x: float, y: float, text: str, anchor: str = "middle", weight: str = "normal"
) -> str:
    escaped = re.sub("[<>&]", lambda match: f"&#{ord(match[0])};", text)
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escaped}</text>'
    )


def _x(cost: float) -> float:
    low, high = map(math.log10, _COSTS)
    return _LEFT + (math.log10(cost) - low) / (high - low) * (_RIGHT - _LEFT)


def _y(error: float) -> float:
    low, high = _ERRORS
    return _BOTTOM - (error - low) / (high - low) * (_BOTTOM - _TOP)


if __name__ == "__main__":
    print(figure(), end="")
