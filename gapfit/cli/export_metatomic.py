"""Write a model as a file for the engines of metatomic.

LAMMPS, i-PI, ASE and other programs with metatomic then give the same predictions as
gapfit, on CPUs and GPUs. Needs the packages of pip install 'gapfit[metatomic]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUT.pt",
        help="file to write, replaced if it exists",
    )
    parser.add_argument(
        "--no-std",
        action="store_true",
        help="without standard deviations of atoms: a smaller file",
    )
    parser.add_argument(
        "--novelty",
        action="store_true",
        help="also the novelty of atoms, as the output gapfit::novelty",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="also energies of N potentials drawn from the posterior",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the file."""
    from gapfit.model.storage import load
    from gapfit.torch import export_metatomic, why_without_deviations

    check_output(args.output, inputs=[args.model])
    model = load(args.model)
    export_metatomic(
        model,
        args.output,
        std=not args.no_std,
        novelty=args.novelty,
        samples=args.samples,
    )
    console.title("Written")
    console.say(f"  {args.output} ({args.output.stat().st_size / 1e6:.1f} MB)")
    reason = None if args.no_std else why_without_deviations(model)
    if reason:
        console.warnings([f"without standard deviations: {reason}"])
    console.title("In ASE")
    console.say("  from metatomic_ase import MetatomicCalculator")
    console.say(f'  atoms.calc = MetatomicCalculator("{args.output}")')
    return 0
