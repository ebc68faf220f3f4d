"""All benchmarks by one command: results in one file, ratios to an earlier one.

    python -m tests.benchmarks --quick
    python -m tests.benchmarks --only predict fit --compare OLD.json
    python -m tests.benchmarks --compare OLD.json NEW.json

Exits with 1 if a benchmark failed, one named by --only could not run, or a time grew by
more than the threshold; with 2 if results cannot be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# Scripts of this folder import each other by their names.
sys.path.insert(0, str(Path(__file__).parent))

import _compare
from _common import Row
from _registry import BENCHMARKS, FULL, QUICK, Benchmark
from _runner import DONE, FAILED, SKIPPED, default_output, header, run_all


def arguments() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = options.add_mutually_exclusive_group()
    modes.add_argument(
        "--quick",
        dest="mode",
        action="store_const",
        const=QUICK,
        help="the short ones, 170 s of CPU (default)",
    )
    modes.add_argument(
        "--full",
        dest="mode",
        action="store_const",
        const=FULL,
        help="all, with settings of docs/benchmarks.md: hours",
    )
    options.set_defaults(mode=QUICK)
    names = [benchmark.name for benchmark in BENCHMARKS]
    options.add_argument("--only", nargs="+", choices=names, metavar="NAME")
    options.add_argument(
        "--data", type=Path, metavar="FOLDER", help="published sets, each in a folder"
    )
    options.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="an earlier result; of two files, nothing is run",
    )
    options.add_argument(
        "--threshold", type=float, default=5.0, metavar="PERCENT", help="default: 5"
    )
    options.add_argument(
        "--force", action="store_true", help="compare different instruction sets"
    )
    options.add_argument(
        "--output", type=Path, metavar="FILE", help="default: results/DATE-COMMIT.json"
    )
    options.add_argument("--list", action="store_true", help="show all and run none")
    return options


def main(arguments_given: list[str] | None = None) -> int:
    """Run or compare; return the exit status."""
    options = arguments()
    args = options.parse_args(arguments_given)
    if len(args.compare or ()) > 2:
        options.error("--compare takes one file or two")
    chosen = [b for b in BENCHMARKS if not args.only or b.name in args.only]
    if args.list:
        print(listing(chosen, args.data))
        return 0
    try:
        if len(args.compare or ()) == 2:
            old, new = map(_compare.read, args.compare)
            return 0 if compared(old, new, args) else 1
        old = _compare.read(args.compare[0]) if args.compare else None
        result = header(args.mode)
        if old and not args.force:
            # Before anything is run for nothing.
            _compare.refuse_other_instructions(old, result)
        passed = measured(result, chosen, args)
        if old:
            print()
            passed &= compared(old, result, args)
    except _compare.ResultError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if passed else 1


def measured(result: Row, chosen: list[Benchmark], args: argparse.Namespace) -> bool:
    """Run benchmarks, write the result; return whether all ran that had to."""
    output = args.output or default_output(result)

    def keep(result: Row) -> None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    run_all(chosen, args.mode, args.data, result, keep)
    rows = [
        [
            row["name"],
            row["status"],
            f"{row.get('seconds', 0):.0f} s",
            row.get("reason", ""),
        ]
        for row in result["benchmarks"]
    ]
    print("\n" + "\n".join(f"{n:16}{s:9}{t:>7}  {r}".rstrip() for n, s, t, r in rows))
    print(f"written to {output}")
    allowed = {DONE} if args.only else {DONE, SKIPPED}
    return all(row["status"] in allowed for row in result["benchmarks"])


def compared(old: Row, new: Row, args: argparse.Namespace) -> bool:
    """Print ratios; return whether nothing is slower and nothing failed."""
    if not args.force:
        _compare.refuse_other_instructions(old, new)
    failed = [b["name"] for b in new["benchmarks"] if b["status"] == FAILED]
    if failed:
        print(f"failed in the new result: {', '.join(failed)}")
    return _compare.compare(old, new, args.threshold / 100) and not failed


def listing(chosen: list[Benchmark], data: Path | None) -> str:
    """Return a table of benchmarks: needs, and whether they would run here."""
    cells = [["name", "--quick", "--full", "needs"]]
    for benchmark in chosen:
        needs = [need.name for need in benchmark.needs]
        needs += [f"set {name}" for name in benchmark.sets]
        obstacle = benchmark.obstacle(FULL, data)
        cells.append(
            [
                benchmark.name,
                "-" if benchmark.quick is None else "runs",
                f"not here: {obstacle}" if obstacle else "runs",
                ", ".join(needs) or "nothing",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


if __name__ == "__main__":
    sys.exit(main())
