"""Fits of more data than memory: peak memory, time, workers, checkpoints, kills.

Usage: python tests/benchmarks/large.py STUDY ... [--train FILE] [--n-sparse 1000]
           [--repeats 3] [--times 1] [--json FILE]
FILE is labelled (default: the silicon set shipped in data/). Studies:

growth       the data once and ten times (with fresh small displacements): peak memory, time
many         100 000 environments, 4000 sparse points: peak memory
workers      one process and two, alternately: wall-clock times and their ratio
kills        SIGKILL at ten random moments, then --resume: the same model ten times?
checkpoints  share of the time that goes into checkpoints
tasks        seconds per atom of one task, per merge and per solve: what the scaling model
             in examples/large/README.md is made of

Every fit is a process of its own, on one thread unless stated; medians of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import ase.io
import numpy as np
from _common import Column, Label, Report, Row, Time, parser, script

import gapfit

SILICON = Path(__file__).resolve().parents[2] / "data/silicon/train.extxyz"
SETTINGS = """
[data]
train = [{train!r}]
check_labels = false
[e0]
method = "least_squares"
[[terms]]
type = "distance_2b"
[[terms]]
r_cut = 5.0
n_sparse = {n_sparse}
[run]
threads = 1
"""
COST = (
    Label("case", "case"),
    Time("cpu", "CPU s"),
    Column("peak_MB", "peak MB", ".0f"),
)
FIT = """
import json, resource, sys, time
import gapfit
started = time.perf_counter()
stages, last = {}, [None, started]
def progress(stage, done, total):
    now = time.perf_counter()
    if stage != last[0]:
        stages[last[0]] = stages.get(last[0], 0.0) + now - last[1]
        last[:] = [stage, now]
if __name__ == "__main__":
    options = json.loads(sys.argv[3])
    model = gapfit.fit(config=options.pop("config"), progress=progress, **options)
    wall = time.perf_counter() - started
    stages[last[0]] = stages.get(last[0], 0.0) + time.perf_counter() - last[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    model.save(sys.argv[1])
    stages.pop(None)
    with open(sys.argv[2], "w") as file:
        json.dump({"wall": wall, "peak_MB": peak / 1024, "worker_MB": workers / 1024,
                   "cpu": time.process_time(), "stages": stages}, file)
"""


def environment() -> dict[str, str]:
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **one}


def case(folder: Path, train: Path, n_sparse: int, **run: object) -> dict[str, object]:
    """Write the configuration of a fit; return what `fitted` takes."""
    config = folder / "fit.toml"
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in run.items())
    text = SETTINGS.format(train=str(train.resolve()), n_sparse=n_sparse) + lines
    config.write_text(text)
    return {"config": str(config)}


def command(folder: Path, options: dict[str, object]) -> list[str]:
    script = folder / "fit_case.py"
    script.write_text(FIT)
    out = [str(folder / "model.npz"), str(folder / "figures.json")]
    return [sys.executable, str(script), *out, json.dumps(options)]


def fitted(folder: Path, options: dict[str, object]) -> Row:
    """Fit in a process of its own and return its figures."""
    subprocess.run(command(folder, options), check=True, env=environment())
    return json.loads((folder / "figures.json").read_text())


def replicated(train: Path, times: int, out: Path) -> Path:
    """Write a data set `times` over, the copies displaced by 1e-3 Å, labels kept."""
    frames, rng = ase.io.read(train, ":"), np.random.default_rng(0)
    with out.open("w") as file:
        for n in range(times):
            for frame in frames:
                calc = frame.calc
                copy = frame.copy()
                copy.positions += (
                    1e-3 * (n > 0) * rng.normal(size=frame.positions.shape)
                )
                copy.calc = calc
                ase.io.write(file, copy, format="extxyz")
    return out


def growth(folder: Path, args: argparse.Namespace, report: Report) -> None:
    rows: list[Row] = []
    for times in (1, 10):
        data = replicated(args.train, times, folder / f"data{times}.extxyz")
        options = case(folder, data, args.n_sparse)
        runs = [fitted(folder, options) for _ in range(args.repeats)]
        rows.append({"case": f"data x {times}"} | medians(runs, ("cpu", "peak_MB")))
    ratios = {key: rows[1][key] / rows[0][key] for key in ("cpu", "peak_MB")}
    report.table("Growth", COST, rows)
    print(
        f"ten times the data: peak memory x {ratios['peak_MB']:.3f}, "
        f"CPU time x {ratios['cpu']:.2f}"
    )


def many(folder: Path, args: argparse.Namespace, report: Report) -> None:
    n_atoms = sum(map(len, ase.io.iread(args.train)))
    data = replicated(args.train, -(-100_000 // n_atoms), folder / "data.extxyz")
    figures = fitted(folder, case(folder, data, 4000))
    row = {"case": "100 000 environments, M = 4000"} | figures
    report.table("Many environments", COST, [row])


def medians(runs: list[Row], keys: Iterable[str]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in keys}


def workers(folder: Path, args: argparse.Namespace, report: Report) -> None:
    train = replicated(args.train, args.times, folder / "data.extxyz")
    runs: dict[int, list[Row]] = {1: [], 2: []}
    for _ in range(args.repeats):
        for n, found in runs.items():
            found.append(fitted(folder, case(folder, train, args.n_sparse, workers=n)))
            shutil.copy(folder / "model.npz", folder / f"model{n}.npz")
    rows = [
        {"workers": n}
        | medians(found, ("wall",))
        | medians([run["stages"] for run in found], found[0]["stages"])
        for n, found in runs.items()
    ]
    one = rows[0]["wall"]
    columns = [
        Label("workers", "workers"),
        Time("wall", "wall s", ".2f"),
        Column("speedup", "speed-up", ".2f"),
        *(Column(name, name, ".2f") for name in runs[1][0]["stages"]),
    ]
    rows = [row | {"speedup": one / row["wall"]} for row in rows]
    report.table("Workers", columns, rows)
    ratios = [a["wall"] / b["wall"] for a, b in zip(runs[1], runs[2], strict=True)]
    print(f"speed-up of each pair: {[round(ratio, 2) for ratio in ratios]}")
    relative = difference(folder / "model1.npz", folder / "model2.npz")
    print(f"largest relative difference of coefficients {relative:g}")


def difference(one: Path, other: Path) -> float:
    """Return the largest relative difference of coefficients of two models."""
    models = gapfit.load(one), gapfit.load(other)
    return max(
        float(np.abs(a.coefficients[b] - c.coefficients[b]).max())
        / float(np.abs(a.coefficients[b]).max())
        for a, c in zip(models[0].terms, models[1].terms, strict=True)
        for b in a.coefficients
    )


def kills(folder: Path, args: argparse.Namespace, report: Report) -> None:
    options = case(folder, args.train, args.n_sparse)
    alone = fitted(folder, options)
    shutil.copy(folder / "model.npz", folder / "alone.npz")
    rng = np.random.default_rng()
    delays = np.sort(rng.uniform(0.5, alone["wall"] + 1, 10))
    rows = [
        {"number": n} | killed(folder, options, float(delay))
        for n, delay in enumerate(delays, start=1)
    ]
    columns = (
        Label("number", "number"),
        Column("delay", "killed after s"),
        Column("files", "files left", "d"),
        Column("difference", "relative difference", "g"),
    )
    report.table("Killed and resumed", columns, rows)


def killed(folder: Path, options: dict[str, object], delay: float) -> Row:
    """Kill a fit after some seconds and resume it, unless it had not begun."""
    (folder / "model.npz").unlink(missing_ok=True)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    under_way = {**options, "checkpoint": str(folder / "checkpoint")}
    process = subprocess.Popen(command(folder, under_way), env=environment())
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    row: Row = {"delay": delay, "files": len(list((folder / "checkpoint").glob("*")))}
    if (folder / "checkpoint/state.json").exists():
        fitted(folder, {**under_way, "resume": True})
        row["difference"] = difference(folder / "model.npz", folder / "alone.npz")
    return row


def checkpoints(folder: Path, args: argparse.Namespace, report: Report) -> None:
    options = case(folder, args.train, args.n_sparse)
    runs: dict[str, list[Row]] = {"without checkpoints": [], "with checkpoints": []}
    for _ in range(args.repeats):
        for name, found in runs.items():
            kept = {"checkpoint": str(folder / "checkpoint")}
            extra = kept if name.startswith("with ") else {}
            found.append(fitted(folder, {**options, **extra}))
    rows = [
        {"case": name} | medians(found, ("cpu", "peak_MB"))
        for name, found in runs.items()
    ]
    report.table("Checkpoints", COST, rows)
    print(
        f"checkpoints: {100 * (rows[1]['cpu'] / rows[0]['cpu'] - 1):.1f} % of the time"
    )


def tasks(folder: Path, args: argparse.Namespace, report: Report) -> None:
    """Measure the costs of which a fit on many workers is made."""
    from gapfit.execution.checkpoint import CheckpointFolder
    from gapfit.execution.merge_tree import Span

    n_atoms = sum(map(len, ase.io.iread(args.train)))
    rows: list[Row] = []
    for n_sparse in (500, 1000, 2000):
        stages = fitted(folder, case(folder, args.train, n_sparse))["stages"]
        sums = gapfit.load(folder / "model.npz", training_sums=True).training_sums
        assert sums is not None
        files = CheckpointFolder(folder)
        started = time.perf_counter()
        files.write(Span(0, 1), sums)
        written = time.perf_counter()
        part = files.read(Span(0, 1), sums.whitening)
        part.merge(files.read(Span(0, 1), sums.whitening))
        merged = time.perf_counter()
        row = {"n_sparse": n_sparse, "rows": 1e3 * stages["rows"] / n_atoms}
        row |= {"write": written - started, "read": (merged - written) / 2}
        rows.append(row | {"solve": stages["solve"]})
    columns = (
        Label("n_sparse", "M"),
        Time("rows", "rows ms/atom", ".3f"),
        Time("write", "write s", ".3f"),
        Time("read", "read and add s", ".3f"),
        Time("solve", "solve s", ".2f"),
    )
    report.table("Tasks", columns, rows)


STUDIES = {f.__name__: f for f in (growth, many, workers, kills, checkpoints, tasks)}


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=3)
    options.add_argument("studies", nargs="+", choices=STUDIES, metavar="STUDY")
    options.add_argument("--train", type=Path, default=SILICON, metavar="FILE")
    options.add_argument("--n-sparse", type=int, default=1000)
    options.add_argument(
        "--times", type=int, default=1, help="copies of FILE (workers)"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("large", vars(args))
    report.header("fits in processes of their own, one thread each")
    # Killed processes leave no core files.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for study in args.studies:
        with TemporaryDirectory() as name:
            STUDIES[study](Path(name), args, report)
    return report


if __name__ == "__main__":
    script(arguments(), run)
