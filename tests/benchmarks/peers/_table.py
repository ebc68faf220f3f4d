"""The table of a comparison, in Markdown, its fronts, and its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from _common import Column, Label, Row, Time

COLUMNS = (
    Label("set", "set"),
    Label("potential", "potential"),
    Label("size", "functions or points"),
    Time("tune", "tune CPU s"),
    Time("fit", "fit CPU s"),
    Column("memory", "fit GB", ".2f"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".4f"),
    Column("forces_rmse", "F RMSE", ".4f"),
    Time("cost", "µs/atom"),
    Label("engine", "timed in"),
    Label("error_bars", "error bars"),
    Label("front", "front"),
)
#: Errors in the table by sets.
_ERRORS = tuple(column for column in COLUMNS if column.key in ("energy", "forces"))


def with_fronts(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of one set with the errors in which none is better and as fast."""
    marks = {kind: front(rows, kind) for kind in ("energy", "forces")}
    letters = {"energy": "E", "forces": "F"}
    return [
        row | {"front": "".join(letters[k] for k in marks if number in marks[k])}
        for number, row in enumerate(rows)
    ]


def front(rows: Sequence[Row], kind: str) -> list[int]:
    """Return the rows that no other beats in cost and error, fastest first."""
    order = sorted(
        range(len(rows)), key=lambda number: (rows[number]["cost"], rows[number][kind])
    )
    best, out = float("inf"), []
    for number in order:
        if rows[number][kind] < best:
            best = rows[number][kind]
            out.append(number)
    return out


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    head = [column.heading for column in COLUMNS]
    rule = ["---" if isinstance(column, Label) else "--:" for column in COLUMNS]
    cells = [[column.text(row) for column in COLUMNS] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *cells])


def by_set(rows: Sequence[Row]) -> str:
    """Return a table of both errors of each potential, a column for each set.

    Potentials that were not fitted to all sets are left out. The smallest errors of all
    potentials in the table are bold.
    """
    sets = list(dict.fromkeys(row["set"] for row in rows))
    found = {(row["set"], row["potential"]): row for row in rows}
    everywhere = [
        name
        for name in dict.fromkeys(row["potential"] for row in rows)
        if all((one, name) in found for one in sets)
    ]
    lines = [
        ["potential", *(one.removeprefix("mlearn_") for one in sets)],
        ["---", *("--:" for _ in sets)],
    ]
    least = {
        (one, column.key): min(found[one, name][column.key] for name in everywhere)
        for one in sets
        for column in _ERRORS
    }
    for name in everywhere:
        cells = [
            ", ".join(_marked(found[one, name], column, least) for column in _ERRORS)
            for one in sets
        ]
        lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _marked(row: Row, column: Column, least: Mapping[tuple[str, str], float]) -> str:
    text = column.text(row)
    is_least = row[column.key] == least[row["set"], column.key]
    return f"**{text}**" if is_least else text


def plot(rows: Sequence[Row], path: Path) -> str:
    """Draw errors against cost, a column of figures for each set; return what was done."""
    if not rows:
        return "no plot: nothing could run"
    if not find_spec("matplotlib"):
        return "no plot: matplotlib is missing, pip install '.[peers]'"
    import matplotlib
    from matplotlib.figure import Figure

    names = sorted({row["set"] for row in rows})
    figure = Figure(figsize=(5.5 * len(names), 8), layout="constrained")
    grid = figure.subplots(2, len(names), squeeze=False)
    for line, (kind, heading) in enumerate(
        (("energy", "energy MAE, meV/atom"), ("forces", "force MAE, eV/Å"))
    ):
        for axes, name in zip(grid[line], names, strict=True):
            _draw(axes, [row for row in rows if row["set"] == name], kind)
            axes.set(xscale="log", xlabel="µs per atom and step", ylabel=heading)
            axes.set_title(name)
    # Letters stay text: as paths they are nearly all of the file.
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path)
    return f"plot in {path}"


def _draw(axes: object, rows: Sequence[Row], kind: str) -> None:
    leaders = [rows[number] for number in front(rows, kind)]
    axes.step(
        [row["cost"] for row in leaders],
        [row[kind] for row in leaders],
        where="post",
        color="0.7",
    )
    for row in rows:
        colour = "C1" if row["potential"].startswith("gapfit") else "C0"
        axes.plot(row["cost"], row[kind], "o", color=colour)
        axes.annotate(
            row["potential"],
            (row["cost"], row[kind]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
        )
