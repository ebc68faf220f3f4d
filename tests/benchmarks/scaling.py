"""Time of predictions against atoms, sparse points, species and threads; peak memory.

Usage: python tests/benchmarks/scaling.py [--json FILE] [--repeats N] [--large]
Silicon with n_max 8, l_max 6 unless said otherwise; CPU time of one thread, except where
threads are compared. Stages are times on the wall, which only an idle machine repeats.
With --large, about 100 000 atoms in a fresh process: time and peak memory of the whole
process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    cores,
    medians,
    parser,
    peak_memory,
    script,
    threads,
)
from _models import (
    Predict,
    frames_with,
    mixture,
    random_model,
    silicon,
    silicon_frames,
)

import gapfit
from gapfit import GAPModel

_CELLS = (2, 3, 4, 5, 8, 10)
_THREADED_CELLS = (2, 4, 8)
_SPARSE = (200, 500, 1000, 2000, 4000, 9000)
_SPECIES = ((32,), (32, 51, 52), (14, 32, 50, 51, 52))
_LARGE_CELLS = 23
MIB = 1024**2
_BASIS = {"n_max": 8, "l_max": 6}

_TIME = Time("per_atom", "µs/atom")
_NEIGHBOURS = Time("neighbours", "nbr list")


def silicon_model(n_sparse: int = 1000) -> GAPModel:
    return random_model(silicon_frames(n_sparse), n_sparse, **_BASIS)


def timed(predictions: dict[str, Predict], repeats: int) -> list[Row]:
    """Return times per atom of predictions that take turns."""
    calls = dict(predictions)
    lists = {f"{name} list": p.neighbour_list for name, p in predictions.items()}
    seconds = medians(calls | lists, repeats)
    rows = []
    for name, prediction in predictions.items():
        scale = MICRO / len(prediction.atoms)
        stages = scale * prediction.stages()
        rows.append(
            {
                "n_atoms": len(prediction.atoms),
                "per_atom": scale * seconds[name],
                "neighbours": scale * seconds[f"{name} list"],
                "descriptors": stages[0],
                "kernel": stages[1],
                "adjoint": stages[2],
                "rest": scale * (seconds[name] - seconds[f"{name} list"]) - sum(stages),
            }
        )
    return rows


def relative(rows: list[Row], reference: int) -> list[Row]:
    """Add times relative to one of the rows."""
    for row in rows:
        row["relative"] = row["per_atom"] / rows[reference]["per_atom"]
    return rows


def against_atoms(report: Report, repeats: int, max_atoms: int) -> None:
    model = silicon_model()
    cells = [n for n in _CELLS if 8 * n**3 <= max_atoms]
    rows = timed({str(n): Predict(model, silicon(n)) for n in cells}, repeats)
    stages = [Column(k, k) for k in ("descriptors", "kernel", "adjoint", "rest")]
    report.table(
        "Atoms (M = 1000)",
        [
            Label("n_atoms", "atoms"),
            _TIME,
            _NEIGHBOURS,
            *stages,
            Column("relative", f"/ {8 * cells[0] ** 3} atoms", ".2f"),
        ],
        relative(rows, 0),
    )


def against_sparse(report: Report, repeats: int, max_sparse: int) -> None:
    atoms = silicon(4)
    sparse = [n for n in _SPARSE if n <= max_sparse]
    models = {n: silicon_model(n) for n in sparse}
    rows = timed({str(n): Predict(m, atoms) for n, m in models.items()}, repeats)
    for row, n_sparse in zip(rows, sparse, strict=True):
        row["n_sparse"] = n_sparse
        row["per_point"] = 1e3 * row["kernel"] / n_sparse
    report.table(
        "Sparse points (512 atoms)",
        [
            Label("n_sparse", "M"),
            _TIME,
            Column("kernel", "kernel"),
            Column("per_point", "kernel ns/point"),
            Column("relative", f"/ M = {sparse[0]}", ".2f"),
        ],
        relative(rows, 0),
    )


def against_species(report: Report, repeats: int) -> None:
    predictions = {}
    for species in _SPECIES:
        frames = frames_with(mixture(3, species, rattle=0.0), 1000)
        model = random_model(frames, 1000, n_max=6, l_max=4)
        predictions[str(len(species))] = Predict(model, mixture(3, species))
    rows = timed(predictions, repeats)
    for row, species, own in zip(rows, _SPECIES, predictions.values(), strict=True):
        row["n_species"] = len(species)
        row["n_features"] = own.model.terms[0].descriptor.n_features
        row["other"] = row["per_atom"] - row["kernel"]
    report.table(
        "Species (rocksalt lattice, 216 atoms, n 6 l 4, M = 1000 for each species)",
        [
            Label("n_species", "species"),
            Label("n_features", "F"),
            _TIME,
            Column("kernel", "kernel"),
            Column("other", "without kernel"),
            Column("relative", "/ 1 species", ".2f"),
        ],
        relative(rows, 0),
    )


def against_threads(report: Report, repeats: int, max_atoms: int) -> None:
    model, rows = silicon_model(), []
    for cells in _THREADED_CELLS:
        if 8 * cells**3 <= max_atoms:
            rows += threaded(Predict(model, silicon(cells)), repeats)
    report.table(
        "Threads (M = 1000)",
        [
            Label("n_atoms", "atoms"),
            Label("threads", "threads"),
            _TIME,
            Column("speedup", "speed-up", ".2f"),
            Column("efficiency", "per thread", ".2f"),
        ],
        rows,
    )


def threaded(prediction: Predict, repeats: int) -> list[Row]:
    """Return times of one prediction with 1, 2, 4, ... threads in turns."""

    def with_threads(n: int) -> None:
        with threads(n):
            prediction()

    largest = cores()
    counts = sorted({2**n for n in range(10) if 2**n <= largest} | {largest})
    calls = {str(n): lambda n=n: with_threads(n) for n in counts}
    seconds = medians(calls, repeats, time.perf_counter)
    return [
        {
            "n_atoms": len(prediction.atoms),
            "threads": n,
            "per_atom": MICRO * seconds[str(n)] / len(prediction.atoms),
            "speedup": seconds["1"] / seconds[str(n)],
            "efficiency": seconds["1"] / seconds[str(n)] / n,
        }
        for n in counts
    ]


def large(report: Report, cells: int) -> None:
    """Predict many atoms in a fresh process with all cores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        silicon_model().save(path)
        command = [sys.executable, __file__, "--worker", str(path), str(cells)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    report.table(
        f"Large cell (M = 1000, {cores()} threads)",
        [
            Label("n_atoms", "atoms"),
            Column("seconds", "seconds"),
            _TIME,
            Column("before_mb", "MB before"),
            Column("peak_mb", "peak MB"),
            Column("kb_per_atom", "growth kB/atom", ".2f"),
        ],
        [json.loads(done.stdout)],
    )


def worker(path: str, cells: int) -> None:
    """Print time and memory of one prediction as JSON."""
    model, atoms = gapfit.load(path), silicon(cells)
    with threads(cores()):
        model.predict(silicon(2))  # loads what is loaded with the first call
        before = peak_memory() / MIB
        started = time.perf_counter()
        model.predict(atoms)
        seconds = time.perf_counter() - started
    row = {
        "n_atoms": len(atoms),
        "seconds": seconds,
        "per_atom": MICRO * seconds / len(atoms),
        "before_mb": before,
        "peak_mb": peak_memory() / MIB,
    }
    row["kb_per_atom"] = 1024 * (row["peak_mb"] - before) / len(atoms)
    print(json.dumps(row))


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=9)
    options.add_argument("--large", action="store_true", help="about 100 000 atoms too")
    options.add_argument("--large-cells", type=int, default=_LARGE_CELLS)
    options.add_argument("--max-atoms", type=int, default=8000)
    options.add_argument("--max-sparse", type=int, default=9000)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("scaling", vars(args))
    report.header(
        "prediction of energy, forces and stress with its neighbour list; medians of "
        f"{args.repeats} repeats, those of a table in turns"
    )
    with threads(1):
        against_atoms(report, args.repeats, args.max_atoms)
        against_sparse(report, args.repeats, args.max_sparse)
        against_species(report, args.repeats)
    against_threads(report, args.repeats, args.max_atoms)
    if args.large:
        large(report, args.large_cells)
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], int(sys.argv[3]))
    else:
        script(arguments(), run)
