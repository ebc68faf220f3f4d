"""Predict energies, forces and stresses of structures; write them as extended XYZ.

Energy, forces and stress are written as results of a calculator (in ASE:
atoms.get_potential_energy() ...), energies per atom as the array `energies`. With --std,
standard deviations go to the arrays `energies_std`, `forces_std` and `novelty`, and to
the info `energy_std` and `stress_std`; with --std-of local_gap_variance QUIP's own
variance (eV², models of QUIP) goes to the array of this name. They replace labels of the
input that have these names; all other info and arrays of the structures are kept.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.prediction import Prediction

__all__ = ["add_arguments", "run"]

#: Atoms between two signs of progress.
_BATCH_ATOMS = 1024
#: How the name of the output may end.
_SUFFIXES = (".extxyz", ".xyz")
#: What ``--std`` writes.
_KINDS = ("energy", "energies", "forces", "stress", "novelty")
#: QUIP's own variance of local energies, of models read from it.
_QUIP_VARIANCE = "local_gap_variance"
#: What is written, and so must not remain from the input.
_WRITTEN = (
    "energy",
    "free_energy",
    "forces",
    "stress",
    "virial",
    "energies",
    "energies_std",
    "energy_std",
    "forces_std",
    "stress_std",
    "novelty",
    _QUIP_VARIANCE,
    "energy_interval",
    "forces_interval",
    "stress_interval",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument("data", type=Path, metavar="DATA", help="structures")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT.extxyz",
        help="file to write, replaced if it exists",
    )
    parser.add_argument(
        "--std",
        action="store_true",
        help="also write standard deviations, and the novelty of each atom (0..1)",
    )
    parser.add_argument(
        "--std-of",
        action="append",
        choices=(*_KINDS, _QUIP_VARIANCE),
        metavar="KIND",
        help="only of this: energy, energies (per atom), forces, stress or novelty; "
        "repeatable. energies or novelty alone cost little. local_gap_variance is that of "
        "QUIP, for models read from it",
    )
    parser.add_argument(
        "--observation",
        action="store_true",
        help="standard deviations are those of a new reference calculation",
    )
    parser.add_argument(
        "--interval",
        type=float,
        metavar="P",
        help="also write energy_interval, forces_interval and stress_interval: half "
        "widths that hold a new reference calculation with probability P (conformal)",
    )
    parser.add_argument(
        "--uncalibrated",
        action="store_true",
        help="standard deviations as the posterior has them, not scaled to errors",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Predict and write."""
    from ase.io import write

    from gapfit._support.archive import atomic_write
    from gapfit.data.batching import batches
    from gapfit.data.files import structures
    from gapfit.data.frame import structure_arrays
    from gapfit.model.storage import load
    from gapfit.quip import local_variances

    output: Path = args.output
    _check_paths(args.data, output)
    _check_flags(args)
    model = load(args.model)
    asked, n_negative = _asked(args), 0
    # Read once to see all mistakes before the work, and how much there is of it.
    sizes = [len(atoms) for _, atoms in structures(args.data, str(args.data))]
    found, done = structures(args.data, str(args.data)), 0
    with (
        atomic_write(output) as temporary,
        temporary.open("w", encoding="utf-8") as stream,
        console.progress() as progress,
    ):
        progress("predict", 0, sum(sizes))
        for part in batches(sizes, _BATCH_ATOMS):
            some = list(islice(found, part.stop - part.start))
            frames = [structure_arrays(atoms, where) for where, atoms in some]
            predictions = model.predict(
                frames,
                std=[name for name in asked if name not in ("novelty", _QUIP_VARIANCE)],
                novelty="novelty" in asked,
                observation=args.observation,
                calibrated=not args.uncalibrated,
                interval=args.interval,
            )
            n_negative += sum(own.n_negative for own in predictions)
            for (_, atoms), prediction in zip(some, predictions, strict=True):
                _attach(atoms, prediction)
            if _QUIP_VARIANCE in asked:
                variances = local_variances(model, [atoms for _, atoms in some])
                for (_, atoms), own in zip(some, variances, strict=True):
                    atoms.arrays[_QUIP_VARIANCE] = own
            write(stream, [atoms for _, atoms in some], format="extxyz")
            done += sum(sizes[part])
            progress("predict", done, sum(sizes))
    if n_negative:
        console.warnings(
            [f"{n_negative} variances came out negative by rounding and were set to 0"]
        )
    console.say(f"\nWrote {len(sizes)} structures, {sum(sizes)} atoms to {output}")
    return 0


def _check_flags(args: argparse.Namespace) -> None:
    for flag in ("observation", "uncalibrated"):
        if getattr(args, flag) and not _asked(args):
            raise GapfitError(
                f"--{flag} says which standard deviations are meant; add --std"
            )


def _asked(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the kinds of standard deviations that are asked for."""
    return tuple(args.std_of or (_KINDS if args.std else ()))


def _check_paths(data: Path, output: Path) -> None:
    if not data.is_file():
        raise GapfitError(f"{data}: no such file")
    if output.exists() and output.samefile(data):
        raise GapfitError(f"{output}: is the input itself; give another --output")
    if not output.parent.is_dir():
        raise GapfitError(
            f"{output}: there is no folder {output.parent}; make it first"
        )
    if output.is_dir():
        raise GapfitError(f"{output}: is a folder; give the name of a file in it")
    if output.suffix not in _SUFFIXES:
        raise GapfitError(
            f"{output}: only extended XYZ is written; give a name that ends in "
            f"{' or '.join(_SUFFIXES)} (ASE converts it: ase convert)"
        )


def _attach(atoms: Any, prediction: Prediction) -> None:
    """Put a prediction where the labels of the input were."""
    from ase.calculators.singlepoint import SinglePointCalculator

    for name in _WRITTEN:
        atoms.info.pop(name, None)
        atoms.arrays.pop(name, None)
    results = {"energy": prediction.energy, "forces": prediction.forces}
    if prediction.stress is not None:
        results["stress"] = prediction.stress
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.arrays["energies"] = prediction.energies
    for name in ("energies_std", "forces_std", "novelty", "forces_interval"):
        if (values := getattr(prediction, name)) is not None:
            atoms.arrays[name] = values
    for name in ("energy_std", "stress_std", "energy_interval", "stress_interval"):
        if (values := getattr(prediction, name)) is not None:
            atoms.info[name] = values
