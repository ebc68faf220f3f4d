"""Reference data of other programs written as extended XYZ."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gapfit.cli._console import Console

__all__ = ["convert_data"]

_LABELS = ("energy", "forces", "stress")


def convert_data(
    sources: Sequence[str],
    target: Path,
    species: Sequence[str],
    units: str | None,
    console: Console,
) -> None:
    """Write all structures of files to one of extended XYZ, and report what they have.

    Parameters
    ----------
    sources : sequence of str
        Files and folders to read.
    target : Path
        File to write.
    species : sequence of str
        Elements of numbered types.
    units : str or None
        Units of files that do not name theirs.
    console : Console
        Where to report.

    Raises
    ------
    DataError
        A file is missing or cannot be read; nothing is written.
    """
    from ase.io.extxyz import write_extxyz

    from gapfit._support.archive import atomic_write
    from gapfit.data.files import require_files, structures
    from gapfit.data.readers.options import ReadOptions

    require_files(sources, Path())
    options = ReadOptions(tuple(species), units)
    counts: Counter[str] = Counter()
    elements: Counter[str] = Counter()

    def counted() -> Iterator[Any]:
        for source in sources:
            for _, atoms in structures(Path(source).expanduser(), source, options):
                counts["frames"] += 1
                counts["atoms"] += len(atoms)
                counts.update(label for label in _LABELS if _has(atoms, label))
                elements.update(atoms.get_chemical_symbols())
                yield atoms

    with (
        atomic_write(target) as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):
        for atoms in counted():
            write_extxyz(file, [atoms])
    console.title(", ".join(sources))
    console.rows(
        [
            ("frames", str(counts["frames"])),
            ("atoms", str(counts["atoms"])),
            ("species", ", ".join(f"{symbol} ({n})" for symbol, n in elements.items())),
            *((label, f"of {counts[label]} frames") for label in _LABELS),
        ]
    )
    console.say(f"\nWrote {target}, in eV, Å, eV/Å and eV/Å³. Next:")
    console.say(f"  gapfit check {shlex.quote(str(target))}")


def _has(atoms: Any, label: str) -> bool:
    """Return whether a structure has a label, of its calculator or elsewhere."""
    from gapfit.data.label_names import kind_of

    results = getattr(atoms.calc, "results", None) or {}
    kinds = {"stress", "virial"} if label == "stress" else {label}
    return any(
        kind_of(name) in kinds for name in (*results, *atoms.info, *atoms.arrays)
    )
