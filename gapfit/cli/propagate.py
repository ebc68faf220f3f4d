"""Error bars of averages along a trajectory, by samples of the posterior.

The trajectory is one of MODEL, equilibrated, at constant temperature. It is reweighted to
potentials drawn from the posterior, and their spread is the error of the potential: of the
mean energy, the heat capacity and radial distributions. The statistical error, of a
trajectory that ends, is shown beside it.

  gapfit propagate fit-model/model.npz md.traj --temperature 300 --rdf 6.0

Method (also see the notes that are printed): weights exp(-ΔE/kT) where enough frames are
behind them, otherwise the cumulant expansion of first order.
Imbalzano et al., J. Chem. Phys. 154, 074102 (2021).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import indent

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]

_METHODS = ("auto", "direct", "cumulant")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "trajectory",
        type=Path,
        metavar="TRAJECTORY",
        help="frames in the order of time, in any format that gapfit reads",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="K",
        help="that of the dynamics (default: the mean kinetic temperature, if the file "
        "has momenta)",
    )
    parser.add_argument(
        "--rdf",
        type=float,
        metavar="R",
        help="radial distribution functions up to this distance, Å",
    )
    parser.add_argument(
        "--samples", type=int, default=32, metavar="N", help="potentials to draw (32)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the samples (0)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        metavar="X",
        help="factor of the standard deviation of the coefficients (default: that of the "
        "calibration for forces, at least 1)",
    )
    parser.add_argument(
        "--method",
        choices=_METHODS,
        default="auto",
        help="weights, the cumulant expansion, or weights where they may be used (auto)",
    )
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="first frames to leave out (0)"
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use every Nth frame (1)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT.json",
        help="also write everything here, with the averages of all samples",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Reweight, print and write."""
    from gapfit._support.archive import atomic_write
    from gapfit.cli._console import to_json
    from gapfit.model.storage import load
    from gapfit.propagation import reweight

    if args.output:
        check_output(args.output, (".json",), inputs=[args.model, args.trajectory])
    model = load(args.model)
    with console.progress() as progress:
        found = reweight(
            model,
            args.trajectory,
            temperature=args.temperature,
            samples=args.samples,
            seed=args.seed,
            scale=args.scale,
            rdf=args.rdf,
            method=args.method,
            skip=args.skip,
            every=args.every,
            progress=progress,
        )
    if args.json:
        console.result(found.as_dict())
    console.title(f"Averages of {args.trajectory}")
    console.rows(found.facts())
    console.say()
    console.say(indent(found.table(), "  "))
    console.say(
        "\n  model: error of the potential, by its samples; noise: the part of it"
    )
    console.say(
        "  that is scatter of the reweighting. statistical: of a short trajectory."
    )
    console.warnings(list(found.notes))
    if args.output:
        with atomic_write(args.output) as temporary:
            temporary.write_text(f"{to_json(found.as_dict())}\n", encoding="utf-8")
        console.title("Written")
        console.say(f"  {args.output}")
    return 0
