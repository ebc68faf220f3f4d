"""Runs of benchmarks, each in a process of its own, and the file of their results."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path

from _common import Row, load, machine
from _registry import FOLDER, Benchmark

SCHEMA = 1
RESULTS = FOLDER / "results"
#: Threads of every benchmark, unless its tables say otherwise.
N_THREADS = 1
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "GAPFIT_NUM_THREADS",
)
DONE, SKIPPED, FAILED = "done", "skipped", "failed"


def header(mode: str) -> Row:
    """Return the facts of a result: the state of the code, the day, and the machine."""
    facts = machine()
    return {
        "schema": SCHEMA,
        "mode": mode,
        "commit": commit(),
        "date": facts["date"],
        "instruction_set": facts["vector_bits"],
        "threads": N_THREADS,
        "machine": facts,
        "benchmarks": [],
    }


def commit() -> Row:
    """Return which commit is checked out, and whether tracked files were changed since."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(
            ["git", *arguments], cwd=FOLDER, capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {
            "short": git("rev-parse", "--short", "HEAD"),
            "describe": git("describe", "--always", "--tags"),
            "dirty": None if changes is None else bool(changes),
        }
    except FileNotFoundError:  # no git here
        return {"short": None, "describe": None, "dirty": None}


def default_output(result: Row) -> Path:
    """Return a new file for a result, by its date and commit."""
    state = result["commit"]
    name = f"{result['date'].split()[0]}-{state['short'] or 'unknown'}"
    name += "-dirty" * bool(state["dirty"])
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (RESULTS / f"{name}.json" for name in names)
    return next(path for path in paths if not path.exists())


def run_all(
    benchmarks: Sequence[Benchmark],
    mode: str,
    data: Path | None,
    result: Row,
    keep: Callable[[Row], None],
) -> None:
    """Run benchmarks one after the other and add them to the result.

    `keep` is called with the result after each, so that a stop loses only the last, and
    once before, so that nothing runs if it cannot be kept.
    """
    keep(result)
    for number, benchmark in enumerate(benchmarks, start=1):
        print(f"\n[{number}/{len(benchmarks)}] {benchmark.name}", flush=True)
        reason = benchmark.obstacle(mode, data)
        if reason:
            print(f"skipped: {reason}")
            row = {"name": benchmark.name, "status": SKIPPED, "reason": reason}
        else:
            row = run(benchmark, benchmark.arguments(mode, data))
        result["benchmarks"].append(row)
        result["machine"]["load_at_end"] = load()
        keep(result)


def run(benchmark: Benchmark, arguments: Sequence[str]) -> Row:
    """Run one benchmark; return its times, settings and tables, or how it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        options = ["--json", str(file)] if benchmark.reports else []
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [sys.executable, str(benchmark.script), *options, *arguments],
            env=os.environ | dict.fromkeys(_VARIABLES, str(N_THREADS)),
        )
        seconds = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row = {"name": benchmark.name, "status": DONE}
        row |= {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}
        if done.returncode:
            reason = f"exit status {done.returncode}"
            print(f"failed: {reason}")
            return row | {"status": FAILED, "reason": reason}
        if not benchmark.reports:
            return row | {"settings": {}, "tables": {}}
        if not file.exists():
            return row | {"status": FAILED, "reason": "no report was written"}
        report = json.loads(file.read_text())
    loads = [report["machine"][key] for key in ("load_at_start", "load_at_end")]
    return row | {
        "load": loads,
        "settings": report["settings"],
        "tables": report["tables"],
    }
