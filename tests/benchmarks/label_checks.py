"""Faults of labels that the label check finds, and false alarms on sound data.

Usage: python tests/benchmarks/label_checks.py [FOLDER] [--only NAME ...] [--frames 600]
           [--repeats 3] [--json FILE]
FOLDER holds sets, each a folder with a train.extxyz (data/ of this repository by default).
Each set is checked as it is, then with one fault at a time. Sets with more than --frames
frames are thinned. Repeats are other frames of the 5 % whose energies are shifted by 0.15
or 0.05 eV/atom, at random or one after another, and of the half shifted at random. "-": the
labels for a fault are missing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads

from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.fitting.label_check import label_warnings

_DATA = Path(__file__).parents[2] / "data"
_BOHR, _HARTREE = 0.529177, 27.211386
_SHARE, _SHIFTS = 0.05, (0.15, 0.05)
_CONTRADICT = "forces contradict the energies"

Frames = Sequence[Frame]


@dataclass(frozen=True)
class Fault:
    """One mistake in labels.

    Attributes
    ----------
    title : str
        Its column.
    words : str
        Part of the warning that names it.
    apply : callable
        Returns the frames with the mistake, from frames and a random generator.
    drawn : bool
        Whether chance has a part in it.
    """

    title: str
    words: str
    apply: Callable[[Frames, np.random.Generator], list[Frame]]
    drawn: bool = False


def on_forces(change: Callable[[np.ndarray], np.ndarray], every: int = 1) -> Callable:
    """Return a fault that changes the forces of every so many frames."""

    def apply(frames: Frames, rng: np.random.Generator) -> list[Frame]:
        return [
            f if f.forces is None or n % every else replace(f, forces=change(f.forces))
            for n, f in enumerate(frames)
        ]

    return apply


def per_atom(frames: Frames, rng: np.random.Generator) -> list[Frame]:
    return [
        f if f.energy is None else replace(f, energy=f.energy / f.n_atoms)
        for f in frames
    ]


def other_stress(frames: Frames, rng: np.random.Generator) -> list[Frame]:
    return [f if f.virial is None else replace(f, virial=-f.virial) for f in frames]


def shifted(size: float, *, block: bool, share: float = _SHARE) -> Callable:
    """Return a fault that shifts energies of some frames by a size in eV/atom."""

    def apply(frames: Frames, rng: np.random.Generator) -> list[Frame]:
        out = list(frames)
        several = np.array([n for n, f in enumerate(frames) if f.n_atoms > 1])
        n_shifted = max(round(share * len(several)), 1)
        first = rng.integers(0, len(several) - n_shifted + 1)
        order = np.roll(several, -first) if block else rng.permutation(several)
        for n in order[:n_shifted]:
            if out[n].energy is not None:
                out[n] = replace(out[n], energy=out[n].energy + size * out[n].n_atoms)
        return out

    return apply


FAULTS = (
    Fault("sign", "opposite sign, like gradients", on_forces(lambda f: -f)),
    Fault("Ha/Bohr", "Hartree/Bohr", on_forces(lambda f: f * _BOHR / _HARTREE)),
    Fault("per atom", _CONTRADICT, per_atom),
    Fault("shuffled", "do not follow", on_forces(lambda f: np.roll(f, 1, axis=0))),
    Fault("zeros", "exactly zero", on_forces(lambda f: 0 * f, every=3)),
    Fault("stress sign", "stress has the opposite sign", other_stress),
    *(
        Fault(
            f"{size} {'block' if block else 'random'}",
            "are shifted by",
            shifted(size, block=block),
            drawn=True,
        )
        for block in (False, True)
        for size in _SHIFTS
    ),
    *(
        Fault(
            f"{size} half",
            "are shifted by",
            shifted(size, block=False, share=0.5),
            drawn=True,
        )
        for size in _SHIFTS
    ),
)
COLUMNS = (
    Label("set", "set"),
    Column("n_frames", "frames", "d"),
    Column("false_alarms", "sound: warnings", "d"),
    *(Column(fault.title, fault.title) for fault in FAULTS),
    Column("seconds", "s per check", ".1f"),
)


def sets(folder: Path, only: Sequence[str] | None) -> Iterator[tuple[str, list[Frame]]]:
    """Yield the name and the frames of each set of a folder."""
    for where in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(where.glob("train.extxyz*"))
        if files and (not only or where.name in only):
            frames = read(files[0], DataConfig(train=[str(files[0])])).frames
            yield where.name, list(frames)


def thinned(frames: list[Frame], most: int) -> list[Frame]:
    chosen = np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)
    return [frames[n] for n in chosen]


def verdict(frames: list[Frame], fault: Fault, sound: list[str], repeats: int) -> str:
    """Return in how many trials a fault is named that is not named in sound data."""
    if fault.title == "stress sign" and all(f.virial is None for f in frames):
        return "-"
    trials = repeats if fault.drawn else 1
    n_found = 0
    for seed in range(trials):
        broken = fault.apply(frames, np.random.default_rng(seed))
        new = set(label_warnings(broken)) - set(sound)
        n_found += any(fault.words in text for text in new)
    return f"{n_found}/{trials}"


def row(name: str, frames: list[Frame], repeats: int) -> Row:
    started = time.process_time()
    sound = label_warnings(frames)
    seconds = time.process_time() - started
    for text in sound:
        print(f"{name}: {text}", flush=True)
    out: Row = {"set": name, "n_frames": len(frames), "false_alarms": len(sound)}
    out |= {f.title: verdict(frames, f, sound, repeats) for f in FAULTS}
    return out | {"seconds": seconds}


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=3)
    options.add_argument("folder", nargs="?", type=Path, default=_DATA)
    options.add_argument("--only", nargs="+", metavar="NAME")
    options.add_argument("--frames", type=int, default=600)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("label_checks", vars(args))
    report.header("faults that are named, of those tried; warnings about sound data")
    with threads(1):
        rows = [
            row(name, thinned(frames, args.frames), args.repeats)
            for name, frames in sets(args.folder, args.only)
        ]
    report.table("Faults found", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
