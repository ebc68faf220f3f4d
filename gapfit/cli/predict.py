"""Predict energies, forces and stresses of structures as extended XYZ.

Energy, forces and stress are written as results of a calculator (in ASE:
atoms.get_potential_energy() ...), energies per atom as the array `energies`. With --std,
standard deviations go to the arrays `energies_std`, `forces_std` and `novelty`, and to
the info `energy_std` and `stress_std`; the array `extrapolation` is `energies_std` over
what is usual in the training data, and a grade above 2 is outside of these. With --std-of
local_gap_variance QUIP's own variance (eV², models of QUIP) goes to the array of this
name. They replace labels of the input that have these names; all other info and arrays of
the structures are kept.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._outputs import EXTENDED_XYZ, check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.prediction import Prediction

__all__ = ["add_arguments", "run"]

_NOT_CALIBRATED = (
    "the model is not calibrated: errors are often several times larger than these "
    "standard deviations; use gapfit calibrate"
)
#: Atoms between two reports of progress.
_BATCH_ATOMS = 1024
#: Standard deviations that ``--std`` writes.
_KINDS = ("energy", "energies", "forces", "stress", "novelty")
#: QUIP's variance of local energies, for models read from QUIP.
_QUIP_VARIANCE = "local_gap_variance"
#: Names that are written, so values of the input are removed.
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
    "extrapolation",
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
        help="also write standard deviations, and extrapolation grade and novelty (0..1) "
        "of each atom",
    )
    parser.add_argument(
        "--std-of",
        action="append",
        choices=(*_KINDS, _QUIP_VARIANCE),
        metavar="KIND",
        help="write only this: energy, energies (per atom), forces, stress or novelty; "
        "repeatable. energies or novelty alone cost little. local_gap_variance is that of "
        "QUIP, for models read from it",
    )
    parser.add_argument(
        "--function",
        action="store_true",
        help="standard deviations of the potential alone, without the floor of the "
        "calibration",
    )
    parser.add_argument(
        "--interval",
        type=float,
        metavar="P",
        help="also write energy_interval, forces_interval and stress_interval: half "
        "widths that contain a new reference calculation with probability P (conformal)",
    )
    parser.add_argument(
        "--uncalibrated",
        action="store_true",
        help="standard deviations of the posterior, without scale and floor",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Predict and write."""
    from ase.io import write

    from gapfit._support.archive import atomic_write
    from gapfit.data.batching import batches
    from gapfit.data.files import require_files, structures
    from gapfit.data.frame import structure_arrays
    from gapfit.model.storage import load
    from gapfit.quip import local_variances

    output: Path = args.output
    require_files([args.data], Path())
    check_output(output, EXTENDED_XYZ, inputs=[args.data])
    _check_flags(args)
    model = load(args.model)
    asked, n_negative = _asked(args), 0
    largest: list[float] = []  # grade of each structure
    # Read once to find all errors before the work, and its size.
    sizes = [len(atoms) for _, atoms in structures(args.data, str(args.data))]
    stream_of_atoms, done = structures(args.data, str(args.data)), 0
    with (
        atomic_write(output) as temporary,
        temporary.open("w", encoding="utf-8") as stream,
        console.progress() as progress,
    ):
        progress("predict", 0, sum(sizes))
        for part in batches(sizes, _BATCH_ATOMS):
            batch = list(islice(stream_of_atoms, part.stop - part.start))
            frames = [structure_arrays(atoms, where) for where, atoms in batch]
            predictions = model.predict(
                frames,
                std=[name for name in asked if name not in ("novelty", _QUIP_VARIANCE)],
                novelty="novelty" in asked,
                observation=not (args.function or args.uncalibrated),
                calibrated=not args.uncalibrated,
                interval=args.interval,
            )
            n_negative += sum(prediction.n_negative for prediction in predictions)
            for prediction in predictions:
                grades = prediction.extrapolation
                largest.append(
                    math.nan if grades is None else float(grades.max(initial=0))
                )
            for (_, atoms), prediction in zip(batch, predictions, strict=True):
                _attach(atoms, prediction)
            if _QUIP_VARIANCE in asked:
                variances = local_variances(model, [atoms for _, atoms in batch])
                for (_, atoms), variance in zip(batch, variances, strict=True):
                    atoms.arrays[_QUIP_VARIANCE] = variance
            write(stream, [atoms for _, atoms in batch], format="extxyz")
            done += sum(sizes[part])
            progress("predict", done, sum(sizes))
    console.warnings(
        [
            *_rounded(n_negative),
            *_outside(largest),
            *_ungraded(model, asked, largest),
            *([_NOT_CALIBRATED] if _lacks_calibration(model, args) else []),
        ]
    )
    console.say(f"\nWrote {len(sizes)} structures, {sum(sizes)} atoms to {output}")
    return 0


def _rounded(n_negative: int) -> list[str]:
    """Return a warning of variances spoilt by rounding, if there are any."""
    if not n_negative:
        return []
    return [f"{n_negative} variances came out negative by rounding and were set to 0"]


def _ungraded(
    model: GAPModel, asked: Sequence[str], largest: Sequence[float]
) -> list[str]:
    """Return a warning of structures without grades among those that have some."""
    n_ungraded = sum(map(math.isnan, largest))
    if "energies" not in asked or not model.record.usual_deviations or not n_ungraded:
        return []
    return [
        f"{n_ungraded} of {len(largest)} structures have no extrapolation grade: the model "
        "does not know what is usual for one of their species"
    ]


def _outside(largest: Sequence[float]) -> list[str]:
    """Return a warning of structures outside the training data, if there are any.

    Parameters
    ----------
    largest : sequence of float
        Largest extrapolation grade of each structure; NaN where there is none.
    """
    from gapfit.model.extrapolation import ALARM

    n_outside = sum(grade > ALARM for grade in largest)
    if not n_outside:
        return []
    worst = max(
        (n for n in range(len(largest)) if largest[n] > ALARM), key=lambda n: largest[n]
    )
    return [
        f"{n_outside} of {len(largest)} structures have atoms unlike the training data "
        f"(extrapolation grades above {ALARM:g}), frame {worst} the most with a grade of "
        f"{largest[worst]:.3g}: errors may exceed the error bars there"
    ]


def _lacks_calibration(model: GAPModel, args: argparse.Namespace) -> bool:
    scaled = {"energy", "forces", "stress"} & set(_asked(args))
    return bool(scaled) and model.calibration is None and not args.uncalibrated


def _check_flags(args: argparse.Namespace) -> None:
    for flag in ("function", "uncalibrated"):
        if getattr(args, flag) and not _asked(args):
            raise GapfitError(
                f"--{flag} changes standard deviations, which are not written; add --std"
            )


def _asked(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the kinds of standard deviations to write."""
    return tuple(args.std_of or (_KINDS if args.std else ()))


def _attach(atoms: Any, prediction: Prediction) -> None:
    """Replace the labels of the input with a prediction."""
    from ase.calculators.singlepoint import SinglePointCalculator

    for name in _WRITTEN:
        atoms.info.pop(name, None)
        atoms.arrays.pop(name, None)
    results = {"energy": prediction.energy, "forces": prediction.forces}
    if prediction.stress is not None:
        results["stress"] = prediction.stress
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.arrays["energies"] = prediction.energies
    for name in (
        "energies_std",
        "extrapolation",
        "forces_std",
        "novelty",
        "forces_interval",
    ):
        if (values := getattr(prediction, name)) is not None:
            atoms.arrays[name] = values
    for name in ("energy_std", "stress_std", "energy_interval", "stress_interval"):
        if (values := getattr(prediction, name)) is not None:
            atoms.info[name] = values
