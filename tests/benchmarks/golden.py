"""The golden record: do commands and models of small systems still give the same?

Fits small versions of the shipped systems, runs most commands on them, and keeps every
array, masked text and exported file. Made before a change and compared after it:

    python tests/benchmarks/golden.py --record /tmp/before
    python tests/benchmarks/golden.py --compare /tmp/before

Everything runs with one thread, so the same machine gives the same bits; digests of
these, in results/golden.json, hold only for the environment that stands in it
(``--check``). Exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

DIGESTS = Path(__file__).with_name("results") / "golden.json"
#: Environment of the script and of all commands.
PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GAPFIT_NUM_THREADS": "1",
    "COLUMNS": "100",
    "NO_COLOR": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}


def main() -> int:
    """Record, compare or check; return the exit status."""
    options = _options()
    if not PINNED.items() <= os.environ.items():
        # BLAS reads its number of threads when it is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **PINNED})
    # Imports numpy, so not before that.
    from _golden_record import Record, write_digests

    start = time.perf_counter()
    before = Record.read(options.compare) if options.compare else None
    record, failures = _made(options.cases)
    print(
        f"{len(record.items)} items in {time.perf_counter() - start:.0f} s", flush=True
    )
    if failures:
        print(f"failed: {', '.join(failures)}; nothing is written")
    elif options.record:
        record.save(options.record)
        print(f"recorded in {options.record}")
    if options.write and not failures:
        DIGESTS.parent.mkdir(exist_ok=True)
        write_digests(record.summary(), DIGESTS)
        print(f"digests written to {DIGESTS}")
    same = not failures
    if before:
        same &= _compare(before, record, options)
    if options.check:
        same &= _check(record)
    return 0 if same else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="keep everything")
    parser.add_argument("--compare", type=Path, metavar="FOLDER", help="with a record")
    parser.add_argument("--check", action="store_true", help=f"with {DIGESTS.name}")
    parser.add_argument("--write", action="store_true", help=f"write {DIGESTS.name}")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="X",
        help="relative to the largest value of an array: smaller differences pass",
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        metavar="NAME",
        help="run and compare only these; most use the models of systems and variants",
    )
    parser.add_argument("--quiet", action="store_true", help="no line for equal items")
    options = parser.parse_args()
    if not (options.record or options.compare or options.check or options.write):
        parser.error("give one of --record, --compare, --check and --write")
    if options.cases and (options.record or options.check or options.write):
        parser.error("--cases goes with --compare only")
    return options


def _made(chosen):
    """Run cases, all if none is chosen; return the record and the names of failed ones."""
    from _golden_cases import CASES, Session
    from _golden_config import ROOT
    from _golden_record import Record

    names = [case.__name__ for case in CASES]
    if unknown := set(chosen or names) - set(names):
        sys.exit(f"{', '.join(sorted(unknown))}: the cases are {', '.join(names)}")
    failures = []
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        record = Record({"<work>": folder, "<repository>": str(ROOT)})
        for case in CASES:
            if chosen and case.__name__ not in chosen:
                continue
            start = time.perf_counter()
            try:
                case(Session(Path(folder), record))
            except Exception:  # the other cases may still tell something
                failures.append(case.__name__)
                traceback.print_exc()
            print(f"{case.__name__:20}{time.perf_counter() - start:6.1f} s", flush=True)
    return record, failures


def _compare(before, record, options) -> bool:
    """Print how each item differs from the record; return whether all pass."""
    from _golden_record import difference, digests_of

    old, new = before.items, record.items
    if options.cases:
        made = {name.split("/")[0] for name in new}
        old = {name: old[name] for name in old if name.split("/")[0] in made}
    counts = {"equal": 0, "within the tolerance": 0, "different": 0}
    for name in [*old, *(name for name in new if name not in old)]:
        passes, text = difference(old.get(name), new.get(name), options.tolerance)
        outcome = "equal" if text == "equal" else "within the tolerance"
        counts[outcome if passes else "different"] += 1
        if not (options.quiet and text == "equal"):
            print(f"{name}: {text}")
    _print_renamed(digests_of(old), digests_of(new))
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return not counts["different"]


def _print_renamed(old: dict[str, str], new: dict[str, str]) -> None:
    """Print which items that are gone have the content of new ones."""
    added = {value: name for name, value in new.items() if name not in old}
    for name, value in old.items():
        if name not in new and value in added:
            print(f"{name}: now {added[value]}, content equal")


def _check(record) -> bool:
    """Print which digests differ from the committed ones; return whether none does."""
    from _golden_record import environment

    recorded = json.loads(DIGESTS.read_text(encoding="utf-8"))
    here = environment()
    for fact, value in recorded["environment"].items():
        if here.get(fact) != value:
            print(f"note: {fact} is {here.get(fact)}, digests are of {value}")
    old, new = recorded["digests"], record.summary()
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    for name in changed:
        print(f"{name}: differs from {DIGESTS.name}")
    print(f"{len(changed)} of {len({**old, **new})} digests differ from {DIGESTS.name}")
    return not changed


if __name__ == "__main__":
    sys.exit(main())
