"""The figure of the home page: accuracy against cost, from a table of the documentation.

``python docs/hooks/figure.py > docs/images/accuracy-cost.svg`` writes it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["figure", "programs"]

_PAGE = Path(__file__).resolve().parents[1] / "coming-from-gap-fit.md"

_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 452, 16, 262
_MOST_ERROR, _FIRST_DECADE, _LAST_DECADE = 0.15, 0, 4
_COLOURS = {"gap_fit": "#b45309", "gapfit": "#1d4ed8"}


@dataclass(frozen=True)
class Program:
    """Results of a program in the table.

    Attributes
    ----------
    name : str
        The program.
    cost : float
        Energy and forces of one structure, µs/atom.
    error : float
        Root mean square error of forces, eV/Å.
    fit : str
        Time and memory of the fit.
    """

    name: str
    cost: float
    error: float
    fit: str


def programs() -> list[Program]:
    """Return the programs that the table compares."""
    rows = {
        cells[0]: cells[1:]
        for line in _PAGE.read_text("utf-8").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("| ").split("|")]) == 3
    }
    return [
        Program(
            name,
            float(rows["energy and forces, µs/atom"][n]),
            float(rows["RMSE of forces, eV/Å"][n]),
            f"{rows['time of the fit'][n]}, {rows['memory of the fit'][n]}",
        )
        for n, name in enumerate(("gap_fit", "gapfit"))
    ]


def figure() -> str:
    """Return the figure as SVG."""
    title = "Error of forces against the time of a prediction"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="14" fill="#1f2937" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"/>',
        *_axes(),
        *(line for program in programs() for line in _point(program)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _axes() -> list[str]:
    lines = []
    for decade in range(_FIRST_DECADE, _LAST_DECADE + 1):
        x = _x(10.0**decade)
        lines += [
            f'<path d="M{x:.1f} {_TOP}V{_BOTTOM}" stroke="#e5e7eb"/>',
            _text(x, _BOTTOM + 20, f"{10**decade}"),
        ]
    for error in (0.0, 0.05, 0.1, 0.15):
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
        f"{_text(16, middle, 'error of forces (RMSE), eV/Å')}</g>",
    ]


def _point(program: Program) -> list[str]:
    x, y = _x(program.cost), _y(program.error)
    colour = _COLOURS[program.name]
    name = "gap_fit and QUIP" if program.name == "gap_fit" else program.name
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{colour}"/>',
        f'<g fill="{colour}">',
        _text(x, y + 26, name, weight="bold"),
        _text(x, y + 44, f"fit: {program.fit}"),
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
    share = (math.log10(cost) - _FIRST_DECADE) / (_LAST_DECADE - _FIRST_DECADE)
    return _LEFT + share * (_RIGHT - _LEFT)


def _y(error: float) -> float:
    return _BOTTOM - error / _MOST_ERROR * (_BOTTOM - _TOP)


if __name__ == "__main__":
    print(figure(), end="")
