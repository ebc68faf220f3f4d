"""Comparison of two results: ratios of what both measured, and which times grew."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _common import Row, aligned
from _runner import DONE, SCHEMA

#: Settings that change how well times are known, not the times.
_HARMLESS = {"repeats"}


class ResultError(Exception):
    """A file holds no result, or results do not belong together."""


@dataclass(frozen=True)
class Ratio:
    """A number of both results: where it stands, and new over old."""

    row: tuple[str, ...]
    heading: str
    judged: bool
    value: float

    def slower(self, threshold: float) -> bool:
        return self.judged and self.value > 1 + threshold


@dataclass(frozen=True)
class Table:
    """The ratios of one table, and the headings of its labels."""

    benchmark: str
    title: str
    labels: tuple[str, ...]
    ratios: list[Ratio]


def read(path: Path) -> Row:
    """Return the result in a file."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ResultError(f"{path} is not JSON: {error}") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ResultError(
            f"{path} is not a result of `python -m tests.benchmarks` (schema {SCHEMA})"
        )
    return result


def refuse_other_instructions(old: Row, new: Row) -> None:
    """Raise unless both results were made with the same instructions."""
    sets = [result["instruction_set"] for result in (old, new)]
    if sets[0] != sets[1]:
        raise ResultError(
            f"the old result is of {sets[0]}-bit vectors, the new one of {sets[1]}-bit "
            "ones: their times say nothing about the code; --force compares them anyway"
        )


def compared(old: Row, new: Row) -> Iterator[Table]:
    """Yield the tables that both results have."""
    before = _measured(old)
    for name, benchmark in _measured(new).items():
        tables = before.get(name, {}).get("tables", {})
        for title, table in benchmark["tables"].items():
            if title in tables:
                yield _ratios(name, title, tables[title], table)


def _measured(result: Row) -> dict[str, Row]:
    return {b["name"]: b for b in result["benchmarks"] if b["status"] == DONE}


def _ratios(name: str, title: str, old: Row, new: Row) -> Table:
    columns = new["columns"]
    labels = [key for key, c in columns.items() if c["role"] == "label"]
    numbers = [key for key in columns if key not in labels]
    rows, ratios = _by_label(old["rows"], labels), []
    for place, row in _by_label(new["rows"], labels).items():
        if place in rows:
            for key in numbers:
                value = _ratio(rows[place].get(key), row.get(key))
                if value is not None:
                    judged = columns[key]["role"] == "time"
                    heading = columns[key]["heading"]
                    ratios.append(Ratio(place[:-1], heading, judged, value))
    return Table(name, title, tuple(columns[k]["heading"] for k in labels), ratios)


def _by_label(rows: list[Row], labels: list[str]) -> dict[tuple[str, ...], Row]:
    """Return rows by their labels and by how many rows before have the same ones."""
    out: dict[tuple[str, ...], Row] = {}
    for row in rows:
        texts = tuple("-" if row.get(k) is None else str(row[k]) for k in labels)
        number = sum(place[:-1] == texts for place in out)
        out[(*texts, str(number))] = row
    return out


def _ratio(old: object, new: object) -> float | None:
    for value in (old, new):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not math.isfinite(value) or value == 0:
            return None
    return new / old


def differences(old: Row, new: Row) -> list[str]:
    """Return what else than the code may explain a ratio, and what is not compared."""
    out = []
    for key in ("mode", "threads"):
        if old[key] != new[key]:
            out.append(f"{key}: {old[key]} before, {new[key]} now")
    for key in ("cpu", "cores", "system", "python", "versions"):
        a, b = old["machine"].get(key), new["machine"].get(key)
        if a != b:
            out.append(f"{key}: {a} before, {b} now")
    before, now = _measured(old), _measured(new)
    for name in before.keys() & now.keys():
        a, b = before[name]["settings"], now[name]["settings"]
        other = {k for k in a | b if a.get(k) != b.get(k)} - _HARMLESS
        out += [f"{name}: {k} {a.get(k)} before, {b.get(k)} now" for k in sorted(other)]
    for here, there, word in ((before, now, "old"), (now, before, "new")):
        if alone := sorted(here.keys() - there.keys()):
            out.append(f"only in the {word} result: {', '.join(alone)}")
    return sorted(out)


def compare(old: Row, new: Row, threshold: float) -> bool:
    """Print all ratios new / old; return whether no time grew by more than the threshold.

    Results without a common time do not pass.
    """
    for result, word in ((old, "old"), (new, "new")):
        facts, state = result["machine"], result["commit"]
        print(
            f"{word}: {state['describe']}{' with changes' * bool(state['dirty'])}, "
            f"{result['date']}, load {facts['load_at_start']} to {facts['load_at_end']}"
        )
    for text in differences(old, new):
        print(f"note: {text}")
    tables = list(compared(old, new))
    for table in tables:
        if table.ratios:
            print(f"\n{table.benchmark}: {table.title}, new / old")
            print(aligned(_cells(table, threshold)))
    judged = [r for table in tables for r in table.ratios if r.judged]
    if not judged:
        print("\nno time is in both results: nothing is compared")
        return False
    slower = [r for r in judged if r.slower(threshold)]
    median = float(np.median([r.value for r in judged]))
    print(
        f"\n{len(judged)} times compared, median ratio {median:.3f}; "
        f"{len(slower)} more than {100 * threshold:g} % slower (marked !)"
    )
    return not slower


def _cells(table: Table, threshold: float) -> list[list[str]]:
    """Return a table of ratios: times that are too slow have a mark."""
    headings = list(dict.fromkeys(r.heading for r in table.ratios))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for r in table.ratios:
        mark = "!" if r.slower(threshold) else " "
        rows.setdefault(r.row, {})[r.heading] = f"{r.value:.3f}{mark}"
    cells = [[*table.labels, *(f"{heading} " for heading in headings)]]
    for labels, found in rows.items():
        cells.append([*labels, *(found.get(h, "- ") for h in headings)])
    return cells
