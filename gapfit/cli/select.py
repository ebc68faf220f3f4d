"""Choose structures of an unlabelled pool to label next.

Structures are picked one by one; after each, all scores are updated as if it had been
labelled, so similar structures are not picked twice. They are written in the order in
which they were picked, with gapfit_rank, gapfit_score and gapfit_pool_index in their
info; their other info and arrays are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._outputs import EXTENDED_XYZ, check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.active.select import Selection

__all__ = ["add_arguments", "run"]

#: Picks printed; all are in the files and in JSON.
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument("pool", nargs="+", metavar="POOL", help="structures")
    parser.add_argument(
        "-n", type=int, required=True, metavar="N", help="how many to choose"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT.extxyz",
        help="file for the chosen structures, replaced if it exists",
    )
    parser.add_argument(
        "--indices",
        type=Path,
        metavar="FILE",
        help="file for their numbers in the pool, from 0, one per line",
    )
    parser.add_argument(
        "--by",
        choices=("std", "novelty", "d-optimal"),
        default="std",
        help="uncertainty of forces; distance of environments to the sparse points (the "
        "fastest); or information of the labels about the coefficients (default: std)",
    )
    parser.add_argument(
        "--per",
        choices=("atom", "structure"),
        default="atom",
        help="score of the worst atom (d-optimal: gain by atom), or of the whole "
        "structure (default: atom)",
    )
    parser.add_argument(
        "--labelled",
        nargs="+",
        metavar="FILE",
        help="labelled structures: equal ones in the pool are skipped",
    )
    parser.add_argument(
        "--memory", metavar="SIZE", help='such as "2 GB" (default: run.memory)'
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Choose, print and write."""
    from gapfit.active.select import select

    _check_outputs(args)
    with console.progress() as progress:
        chosen = select(
            args.model,
            args.pool,
            args.n,
            by=args.by,
            per=args.per,
            labelled=args.labelled,
            memory=args.memory,
            progress=progress,
        )
    _print(console, chosen)
    if args.indices:
        _write_indices(args.indices, chosen)
    if args.output:
        _write_structures(args.output, args.pool, chosen)
    written = [path for path in (args.output, args.indices) if path]
    if written:
        console.title("Written")
        console.say("\n".join(f"  {path}" for path in written))
    if args.json:
        console.result(_as_json(chosen))
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    if not (args.output or args.indices or args.json):
        raise GapfitError(
            "nothing would be written; give --output OUT.extxyz, --indices FILE or --json"
        )
    read = [str(args.model), *args.pool, *(args.labelled or [])]
    if args.indices:
        check_output(args.indices, inputs=read)
    if args.output:
        check_output(args.output, EXTENDED_XYZ, inputs=read)


def _print(console: Console, chosen: Selection) -> None:
    n_candidates = chosen.n_pool - chosen.n_labelled - chosen.n_repeated
    console.title("Pool")
    rows = [
        ("structures", str(chosen.n_pool)),
        ("labelled already", str(chosen.n_labelled)),
        ("repeated", str(chosen.n_repeated)),
        ("candidates", str(n_candidates)),
    ]
    if chosen.n_listed < n_candidates:
        rows.append(("shortlisted", str(chosen.n_listed)))
    console.rows([row for row in rows if row[1] != "0"])
    console.title(f"Chosen by {chosen.by}, per {chosen.per}")
    unit = f"score, {chosen.unit}" if chosen.unit else "score"
    lines = list(
        zip(
            chosen.sources,
            chosen.n_atoms.tolist(),
            chosen.scores.tolist(),
            chosen.alone.tolist(),
            strict=True,
        )
    )
    console.table(
        ("structure", "atoms", unit, "alone"),
        [(s, str(n), f"{a:.4g}", f"{b:.4g}") for s, n, a, b in lines[:_SHOWN]],
    )
    if len(lines) > _SHOWN:
        console.say(f"  ... and {len(lines) - _SHOWN} more")
    console.say(f"\n  {len(lines)} structures, {chosen.n_atoms.sum()} atoms")
    console.say(f"  highest score of the remaining structures: {chosen.next_score:.4g}")
    if chosen.n_certain < len(lines):
        console.warnings(
            [
                f"only the {chosen.n_kept} candidates with the highest scores fitted into "
                f"memory: from pick {chosen.n_certain + 1} on, others in the pool may be "
                "better; give more --memory"
            ]
        )


def _as_json(chosen: Selection) -> dict[str, Any]:
    facts = ("by", "per", "unit", "next_score", "n_pool", "n_labelled", "n_repeated")
    return {
        **{name: getattr(chosen, name) for name in facts},
        "n_listed": chosen.n_listed,
        "n_kept": chosen.n_kept,
        "n_certain": chosen.n_certain,
        "chosen": [
            {"index": n, "source": source, "n_atoms": size, "score": score, "alone": a}
            for n, source, size, score, a in zip(
                chosen.indices.tolist(),
                chosen.sources,
                chosen.n_atoms.tolist(),
                chosen.scores.tolist(),
                chosen.alone.tolist(),
                strict=True,
            )
        ],
    }


def _write_indices(path: Path, chosen: Selection) -> None:
    from gapfit._support.archive import atomic_write

    with atomic_write(path) as temporary:
        lines = (f"{n}\n" for n in chosen.indices.tolist())
        temporary.write_text("".join(lines), encoding="utf-8")


def _write_structures(path: Path, pool: list[str], chosen: Selection) -> None:
    """Write the chosen structures with their info and arrays."""
    from ase.io import write

    from gapfit._support.archive import atomic_write

    ranks = {n: rank for rank, n in enumerate(chosen.indices.tolist())}
    picks: dict[int, Any] = {}
    for n, atoms in enumerate(_all(pool)):
        if n in ranks:
            atoms.info["gapfit_rank"] = ranks[n]
            atoms.info["gapfit_score"] = float(chosen.scores[ranks[n]])
            atoms.info["gapfit_pool_index"] = n
            picks[ranks[n]] = atoms
    in_order = [picks[rank] for rank in range(len(picks))]
    with atomic_write(path) as temporary:
        write(temporary, in_order, format="extxyz")


def _all(pool: list[str]) -> Iterator[Any]:
    from gapfit.data.files import structures

    files = (structures(Path(p).expanduser(), p) for p in pool)
    return (atoms for _, atoms in chain.from_iterable(files))
