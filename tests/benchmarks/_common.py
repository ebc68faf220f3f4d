"""The common ground of the benchmarks: timing in turns, tables, JSON and the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.linalg.blas import dgemm
from threadpoolctl import ThreadpoolController

from gapfit import _core
from gapfit.threads import use_threads

MICRO = 1e6
# Shortest turn of a call that is timed, s.
_TURN = 0.02
_PACKAGES = ("gapfit", "numpy", "scipy", "ase", "threadpoolctl", "quippy-ase")

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table: key of the rows, heading, and format of the numbers."""

    key: str
    heading: str
    form: str = ".1f"
    role: ClassVar[str] = "value"

    def text(self, row: Row) -> str:
        value = row.get(self.key)
        if value is None:
            return "-"
        return value if isinstance(value, str) else format(value, self.form)


@dataclass(frozen=True)
class Label(Column):
    """A column that tells the rows of a table apart: nothing measured."""

    form: str = ""
    role: ClassVar[str] = "label"


@dataclass(frozen=True)
class Time(Column):
    """A column of times: larger than before is slower than before."""

    role: ClassVar[str] = "time"


@dataclass
class Report:
    """Header and tables of one benchmark, printed as they come, written at the end."""

    name: str
    settings: Row
    tables: dict[str, Row] = field(default_factory=dict)
    machine: Row = field(default_factory=lambda: machine())

    def header(self, text: str) -> None:
        """Print what is measured, and on what."""
        facts = self.machine
        print(f"{self.name}: {text}")
        print(
            f"{facts['cpu']}, {facts['cores']} cores, {facts['vector_bits']}-bit "
            f"vectors, load {facts['load_at_start']:.1f}, {facts['date']}",
            flush=True,
        )

    def table(self, title: str, columns: Sequence[Column], rows: list[Row]) -> None:
        """Print a table and keep it."""
        self.keep(title, columns, rows)
        cells = [[c.heading for c in columns]]
        cells += [[c.text(row) for c in columns] for row in rows]
        print(f"\n{title}\n{aligned(cells)}", flush=True)

    def keep(self, title: str, columns: Sequence[Column], rows: list[Row]) -> None:
        """Keep a table, with the meaning of its columns."""
        facts = {c.key: {"heading": c.heading, "role": c.role} for c in columns}
        self.tables[title] = {"columns": facts, "rows": rows}

    def write(self, path: str | None) -> None:
        """Write everything as JSON, if a file is given."""
        self.machine["load_at_end"] = load()
        print(f"\nload at the end {self.machine['load_at_end']:.1f}")
        if path:
            content = {
                "benchmark": self.name,
                "machine": self.machine,
                "settings": _portable(self.settings),
                "tables": self.tables,
            }
            Path(path).write_text(json.dumps(content, indent=1) + "\n")


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Return lines of cells: the first of each to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        rest = zip(line[1:], widths[1:], strict=True)
        first = line[0].ljust(widths[0])
        lines.append("  ".join([first, *(cell.rjust(w) for cell, w in rest)]))
    return "\n".join(lines)


def _portable(settings: Row) -> Row:
    """Return settings for a file: of paths only the names, which hold elsewhere too."""

    def plain(value: object) -> object:
        if isinstance(value, list):
            return [plain(member) for member in value]
        return value.name if isinstance(value, Path) else value

    return {key: plain(value) for key, value in settings.items() if key != "json"}


def script(options: argparse.ArgumentParser, run: Callable[..., Report]) -> None:
    """Run a benchmark as a script: read its arguments, write its report."""
    args = options.parse_args()
    run(args).write(args.json)


def parser(doc: str, repeats: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    Without a number of repeats there is no option for it.
    """
    out = argparse.ArgumentParser(description=doc.split("\n")[0])
    out.add_argument("--json", metavar="FILE", help="also write the results here")
    if repeats is not None:
        out.add_argument("--repeats", type=_positive, default=repeats, metavar="N")
    return out


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def machine() -> Row:
    """Return what the figures depend on."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "vector_bits": _core.instruction_set,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load_at_start": load(),
    }


def cores() -> int:
    """Return the number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def load() -> float:
    """Return how many processes wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, bytes.

    Not `resource.getrusage` on Linux: there it can start from the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@cache
def _blas() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds.
    return ThreadpoolController()


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Hold gapfit and BLAS to a number of threads."""
    with use_threads(n_threads), _blas().limit(limits=n_threads):
        yield


def medians(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Return the median seconds of each call; they take turns, after one warm-up.

    A turn of a short call is several of them, so that it does not measure how what ran
    before left the caches. Unless another clock is given these are CPU seconds, which
    other processes of the machine change less than they do the time on the wall.
    """
    many = {name: _per_turn(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = clock()
            for _ in range(many[name]):
                call()
            seconds[name].append((clock() - started) / many[name])
    return {name: float(np.median(values)) for name, values in seconds.items()}


def _per_turn(call: Callable[[], object]) -> int:
    """Return how many calls take as long as a turn should; makes two."""
    call()
    started = time.process_time()
    call()
    return min(max(round(_TURN / (time.process_time() - started)), 1), 50)


def dgemm_pair(
    shapes: Sequence[tuple[int, int, int]],
) -> Callable[[], None]:
    """Return a call of the products of a kernel sum, forward and back.

    Parameters
    ----------
    shapes : sequence of (n_centres, n_features, n_sparse)
        One for each central species.
    """
    rng = np.random.default_rng(0)
    operands = []
    for n_centres, n_features, n_sparse in shapes:
        P = np.asfortranarray(rng.random((n_sparse, n_features)))
        q = np.asfortranarray(rng.random((n_features, n_centres)))
        operands.append((P, q, np.zeros_like(P @ q, order="F"), np.zeros_like(q)))

    def call() -> None:
        for P, q, T, g in operands:
            dgemm(1.0, P, q, c=T, overwrite_c=1)
            dgemm(1.0, P, T, c=g, trans_a=1, overwrite_c=1)

    return call


def dgemm_product(n_rows: int, n_features: int, n_columns: int) -> Callable[[], None]:
    """Return a call of one product of the given shape."""
    rng = np.random.default_rng(0)
    A = np.asfortranarray(rng.random((n_rows, n_features)))
    B = np.asfortranarray(rng.random((n_features, n_columns)))
    C = np.zeros((n_rows, n_columns), order="F")

    def call() -> None:
        dgemm(1.0, A, B, c=C, overwrite_c=1)

    return call
