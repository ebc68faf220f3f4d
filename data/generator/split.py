"""Write the train and test files of a set: ``python -m generator.split``."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.io import write

from .sampling import min_distance
from .store import read_frames

#: Kinds that carry e0, the equation of state and the short-range repulsion.
ALWAYS_TRAIN: Final = frozenset(
    {"isolated_atom", "bulk_eos", "binary_eos", "element_eos", "dimer"}
)
TEST_SHARE: Final = 0.16
MIN_DISTANCE: Final = 0.5  # Å

# Chosen from the labels alone, so that every kind of displaced or disordered cell has
# test frames; sets that came later are small and have salts of their own.
SALT: Final = "gapfit-4622"
SALTS: Final = {
    "P": "gapfit-P-8253",
    "Ge2Sb2Te5": "gapfit-Ge2Sb2Te5-334",
    "Fe7Cr2Ni": "gapfit-Fe7Cr2Ni-35",
}


def side(frame_id: str) -> str:
    """Return "train" or "test", from the frame_id alone.

    The snapshots of one molecular dynamics run (label ``...-<T>K-<k>``) always
    stay together, since neighbouring snapshots resemble each other.

    Examples
    --------
    >>> side("C:bulk_eos:diamond-v1.000")
    'train'
    """
    system, config_type, _ = frame_id.split(":", 2)
    if config_type in ALWAYS_TRAIN:
        return "train"
    family = re.sub(r"^(\w+):\w+:(.*)-\d+K-\d+$", r"\1:md:\2", frame_id)
    salt = SALTS.get(system, SALT)
    digest = hashlib.sha256(f"{salt}:{family}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return "test" if share < TEST_SHARE else "train"


def problem(atoms: Atoms) -> str:
    """Return what is wrong with a frame, or an empty string."""
    calc = atoms.calc
    if calc is None or not {"energy", "forces"} <= set(calc.results):
        return "has no energy or no forces"
    values = [atoms.positions, atoms.cell, *calc.results.values()]
    if not all(np.isfinite(np.asarray(value, float)).all() for value in values):
        return "has numbers that are not finite"
    if not atoms.info.get("converged", True):
        return "is not converged"
    distance = min_distance(atoms)
    if distance < MIN_DISTANCE:
        return f"has atoms {distance:.2f} Å apart (at least {MIN_DISTANCE} Å)"
    return ""


def clean(frames: Sequence[Atoms]) -> tuple[list[Atoms], list[str]]:
    """Return the good frames and a message for each refused one.

    A frame is refused for a repeated frame_id, for the geometry of an earlier
    frame, or for a `problem` of its own.
    """
    good, messages = [], []
    seen: dict[Any, str] = {}
    for atoms in frames:
        name = atoms.info["frame_id"]
        arrays = (atoms.numbers, np.asarray(atoms.cell), atoms.positions)
        geometry = tuple(np.round(array, 6).tobytes() for array in arrays)
        text = problem(atoms)
        for key in (name, geometry):
            if not text and key in seen:
                text = f"repeats {seen[key]}"
        if text:
            messages.append(f"{name} {text}")
            continue
        seen[name] = seen[geometry] = name
        good.append(atoms)
    return good, messages


def write_atomic(path: Path, frames: Sequence[Atoms]) -> None:
    """Write an extended XYZ file in one step."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary, list(frames), format="extxyz")
    temporary.replace(path)


def add_moments(frames: Sequence[Atoms], meta: dict[str, Any]) -> None:
    """Add the total magnetic moment to the frames whose record has one."""
    for atoms in frames:
        record = meta["frames"].get(atoms.info["frame_id"], {})
        if "magmom" in record:
            atoms.calc.results["magmom"] = round(record["magmom"], 4)


def write_settings(path: Path, meta: dict[str, Any]) -> None:
    """Write settings and code versions from the content of the JSON file of a set."""
    kept = {key: meta[key] for key in ("settings", "versions") if key in meta}
    kept["settings"] = {**kept.get("settings", {}), "folder": path.parent.name}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.split",
        description="Check a set and write train.extxyz and test.extxyz.",
    )
    parser.add_argument("source", type=Path, help="extended XYZ file of a set")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    args = parser.parse_args(argv)
    good, messages = clean(read_frames(args.source))
    good.sort(key=lambda atoms: atoms.info["frame_id"])
    settings = args.source.with_name(args.source.name + ".json")
    meta = json.loads(settings.read_text()) if settings.exists() else {"frames": {}}
    add_moments(good, meta)
    args.output.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        part = [atoms for atoms in good if side(atoms.info["frame_id"]) == name]
        write_atomic(args.output / f"{name}.extxyz", part)
        print(f"{args.output / name}.extxyz: {len(part)} frames")
    if settings.exists():
        write_settings(args.output / "settings.json", meta)
    for message in messages:
        print(f"refused: {message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
