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


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the file."""
    from gapfit.model.storage import load
    from gapfit.torch import export_metatomic

    check_output(args.output, inputs=[args.model])
    export_metatomic(load(args.model), args.output)
    console.title("Written")
    console.say(f"  {args.output} ({args.output.stat().st_size / 1e6:.1f} MB)")
    console.title("In ASE")
    console.say("  from metatomic_ase import MetatomicCalculator")
    console.say(f'  atoms.calc = MetatomicCalculator("{args.output}")')
    return 0
