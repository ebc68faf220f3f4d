"""Fits of more data than memory: peak memory, time, workers, checkpoints, kills.

Usage: python tests/benchmarks/large.py STUDY [TRAIN] [--n-sparse 1000] [--repeats 3]
       [--times 1]
TRAIN is any labelled file (default: the silicon set shipped in data/). Studies:

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
from pathlib import Path
from tempfile import TemporaryDirectory

import ase.io
import numpy as np

import gapfit

SILICON = Path(__file__).resolve().parents[2] / "data/silicon/train.extxyz"
SETTINGS = """
[data]
train = [{train!r}]
check_stress = false
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


def fitted(folder: Path, options: dict[str, object]) -> dict[str, float]:
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


def growth(folder: Path, args: argparse.Namespace) -> None:
    found = {}
    for times in (1, 10):
        data = replicated(args.train, times, folder / f"data{times}.extxyz")
        runs = [
            fitted(folder, case(folder, data, args.n_sparse))
            for _ in range(args.repeats)
        ]
        found[times] = {
            key: statistics.median(run[key] for run in runs)
            for key in ("peak_MB", "cpu")
        }
        print(f"data x {times}: {found[times]}", flush=True)
    peak = found[10]["peak_MB"] / found[1]["peak_MB"]
    print(f"ten times the data: peak memory x {peak:.3f}", end=", ")
    print(f"CPU time x {found[10]['cpu'] / found[1]['cpu']:.2f}")


def many(folder: Path, args: argparse.Namespace) -> None:
    n_atoms = sum(map(len, ase.io.iread(args.train)))
    data = replicated(args.train, -(-100_000 // n_atoms), folder / "data.extxyz")
    print(json.dumps(fitted(folder, case(folder, data, 4000)), indent=1))


def workers(folder: Path, args: argparse.Namespace) -> None:
    train = replicated(args.train, args.times, folder / "data.extxyz")
    walls: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(args.repeats):
        for n, runs in walls.items():
            runs.append(fitted(folder, case(folder, train, args.n_sparse, workers=n)))
            shutil.copy(folder / "model.npz", folder / f"model{n}.npz")
    for n, runs in walls.items():
        medians = {
            stage: round(statistics.median(run["stages"][stage] for run in runs), 2)
            for stage in runs[0]["stages"]
        }
        print(n, "workers:", [round(run["wall"], 2) for run in runs], "s", medians)
    one, two = (statistics.median(r["wall"] for r in runs) for runs in walls.values())
    ratios = [a["wall"] / b["wall"] for a, b in zip(walls[1], walls[2], strict=True)]
    print(f"speed-up {one / two:.2f} (pairs: {[round(r, 2) for r in ratios]})")
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


def kills(folder: Path, args: argparse.Namespace) -> None:
    options = case(folder, args.train, args.n_sparse)
    alone = fitted(folder, options)
    shutil.copy(folder / "model.npz", folder / "alone.npz")
    rng = np.random.default_rng()
    for delay in np.sort(rng.uniform(0.5, alone["wall"] + 1, 10)):
        (folder / "model.npz").unlink(missing_ok=True)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        under_way = {**options, "checkpoint": str(folder / "checkpoint")}
        process = subprocess.Popen(command(folder, under_way), env=environment())
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = sorted(p.name for p in (folder / "checkpoint").glob("*"))
        if not (folder / "checkpoint/state.json").exists():
            print(f"killed after {delay:5.1f} s: not begun: {left}")
            continue
        fitted(folder, {**under_way, "resume": True})
        relative = difference(folder / "model.npz", folder / "alone.npz")
        print(f"killed after {delay:5.1f} s, {left}: relative difference {relative:g}")


def checkpoints(folder: Path, args: argparse.Namespace) -> None:
    options = case(folder, args.train, args.n_sparse)
    rows: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(args.repeats):
        for on, found in rows.items():
            extra = {"checkpoint": str(folder / "checkpoint")} if on else {}
            found.append(fitted(folder, {**options, **extra})["cpu"])
    off, on = (statistics.median(found) for found in rows.values())
    share = 100 * (on / off - 1)
    print(f"CPU without {off:.2f} s, with checkpoints {on:.2f} s: {share:.1f} %")


def tasks(folder: Path, args: argparse.Namespace) -> None:
    """Print the costs of which a fit on many workers is made."""
    from gapfit.execution.checkpoint import CheckpointFolder
    from gapfit.execution.merge_tree import Span

    n_atoms = sum(map(len, ase.io.iread(args.train)))
    for n_sparse in (500, 1000, 2000):
        figures = fitted(folder, case(folder, args.train, n_sparse))
        model = gapfit.load(folder / "model.npz", training_sums=True)
        assert model.training_sums is not None
        files = CheckpointFolder(folder)
        started = time.perf_counter()
        files.write(Span(0, 1), model.training_sums)
        written = time.perf_counter()
        part = files.read(Span(0, 1), model.training_sums.whitening)
        part.merge(files.read(Span(0, 1), model.training_sums.whitening))
        merged = time.perf_counter()
        print(
            f"M = {n_sparse}: rows {1e3 * figures['stages']['rows'] / n_atoms:.3f} ms per "
            f"atom, write {written - started:.3f} s, read and add "
            f"{(merged - written) / 2:.3f} s, solve {figures['stages']['solve']:.2f} s"
        )


def main() -> None:
    studies = {
        f.__name__: f for f in (growth, many, workers, kills, checkpoints, tasks)
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=studies)
    parser.add_argument("train", type=Path, nargs="?", default=SILICON)
    parser.add_argument("--n-sparse", type=int, default=1000)
    parser.add_argument(
        "--times", type=int, default=1, help="copies of TRAIN (workers)"
    )
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with TemporaryDirectory() as name:
        studies[args.study](Path(name), args)


if __name__ == "__main__":
    main()
