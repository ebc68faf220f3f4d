"""Write a model as a file for pair_style gapfit of LAMMPS.

LAMMPS then gives the same predictions as gapfit. `gapfit lammps build` builds the plugin
that reads the file.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.force_factor import ForceFactor
    from gapfit.model.gap_model import GAPModel

__all__ = ["add_arguments", "run"]

_ERROR = 0.1


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
    parser.add_argument(
        "--force-std",
        nargs="*",
        type=Path,
        metavar="DATA",
        help="with standard deviations of forces; DATA are structures like those to be "
        "simulated, labelled or not (default: the training data of MODEL)",
    )
    parser.add_argument(
        "--force-std-error",
        type=float,
        metavar="X",
        help="relative error that these standard deviations may have "
        f"({_ERROR:g}): half the error takes up to four times as long",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the file; print the commands of LAMMPS that use it."""
    from gapfit.lammps.commands import has_overlays, lammps_commands
    from gapfit.lammps.export import export_lammps, why_without_deviations
    from gapfit.lammps.force_std import steps_between
    from gapfit.model.extrapolation import ALARM, has_grades
    from gapfit.model.storage import load

    if args.force_std is None and args.force_std_error is not None:
        raise GapfitError(
            "--force-std-error is for standard deviations of forces: add --force-std"
        )
    # The lines that are printed below are what its warning asks for.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    check_output(args.output, inputs=[args.model, *(args.force_std or ())])
    model = load(args.model)
    factor = None if args.force_std is None else _force_factor(args, model)
    export_lammps(model, args.output, std=not args.no_std, force_std=factor)
    console.title("Written")
    console.say(f"  {args.output} ({args.output.stat().st_size / 1e6:.1f} MB)")
    if factor:
        _print_factor(console, factor)
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
    if factor:
        every = steps_between(factor.rank)
        console.say(f"  fix std all pair {every} gapfit forces_std 1")
    if has_overlays(model):
        console.say(
            "\nThese lines add dispersion or charges, which the file does not contain."
        )
    return 0


def _force_factor(args: argparse.Namespace, model: GAPModel) -> ForceFactor:
    """Return what standard deviations of forces are computed with."""
    from gapfit.data.files import load
    from gapfit.data.readers.options import ReadOptions
    from gapfit.fitting.training_data import find_training_data
    from gapfit.model.force_factor import force_factor

    model.require_posterior()
    data, base, files = model.config.data, Path(), args.force_std
    if not files:
        data, base = find_training_data(model, args.model, [])
        files = [Path(name) for name in data.train]
        if not files or not all((base / path.expanduser()).exists() for path in files):
            names = ", ".join(data.train) or "its file names none"
            raise GapfitError(
                f"{args.model}: its training data ({names}) are not there; name "
                "structures like those to be simulated: --force-std DATA"
            )
    options = ReadOptions(tuple(data.species), data.units)
    frames = [raw.frame for raw in load(files, base, options)]
    tolerance = _ERROR if args.force_std_error is None else args.force_std_error
    return force_factor(model, frames, tolerance=tolerance)


def _print_factor(console: Console, factor: ForceFactor) -> None:
    console.say(
        f"  standard deviations of forces by {factor.rank} potentials: their relative "
        f"error is {100 * factor.error:.2g} % (root mean\n"
        f"  square over {factor.n_atoms} atoms), and {100 * factor.largest_error:.2g} % "
        "or less for 95 % of the atoms"
    )
