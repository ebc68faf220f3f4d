"""Write a model as a file for pair_style gapfit of LAMMPS.

LAMMPS then gives the same predictions as gapfit. `gapfit lammps build` builds the plugin
that reads the file.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT.gapfit",
        help="file to write, replaced if it exists",
    )
    parser.add_argument(
        "--no-std",
        action="store_true",
        help="without standard deviations of atoms: a smaller file",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the file; print the commands of LAMMPS that use it."""
    from gapfit.lammps.commands import has_overlays, lammps_commands
    from gapfit.lammps.export import export_lammps, why_without_deviations
    from gapfit.model.extrapolation import ALARM, has_grades
    from gapfit.model.storage import load

    # The lines that are printed below are what its warning asks for.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    check_output(args.output, inputs=[args.model])
    model = load(args.model)
    export_lammps(model, args.output, std=not args.no_std)
    console.title("Written")
    console.say(f"  {args.output} ({args.output.stat().st_size / 1e6:.1f} MB)")
    reason = None if args.no_std else why_without_deviations(model)
    if reason:
        console.warnings([f"without standard deviations: {reason}"])
    watched = not (reason or args.no_std) and has_grades(
        model.record.usual_deviations, model.species
    )
    console.title("In LAMMPS")
    console.say("  units metal")
    if model.config.baseline.charges:
        console.say("  atom_style charge")
    console.say("  plugin load ./gapfitplugin.so    (from gapfit lammps build)")
    # Without the scale of grades LAMMPS could not look at them.
    looks = f"extrapolation warn {ALARM:g}" if watched else ""
    for command in lammps_commands(model, str(args.output), options=looks):
        console.say(f"  {command}")
    if has_overlays(model):
        console.say(
            "\nThese lines add dispersion or charges, which the file does not contain."
        )
    return 0
