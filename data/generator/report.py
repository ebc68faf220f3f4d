"""Refresh the tables of README.md: ``python -m generator.report``."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.io import iread

from .eos import fit_eos, scans
from .settings import SYSTEMS

Sets = dict[str, dict[str, list[Atoms]]]


def load_sets(folder: Path) -> Sets:
    """Return the frames of each shipped system, by part (train or test)."""
    return {
        system: {
            part: list(iread(folder / settings.folder / f"{part}.extxyz", ":"))
            for part in ("train", "test")
        }
        for system, settings in SYSTEMS.items()
        if settings.folder
    }


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def size_table(sets: Sets) -> str:
    """Return the sizes and ranges of the sets."""
    rows = []
    for system, parts in sets.items():
        for part, frames in parts.items():
            solid = [a for a in frames if a.info["config_type"] != "isolated_atom"]
            energy = [a.get_potential_energy() / len(a) for a in solid]
            force = max(abs(a.get_forces()).max() for a in solid)
            n_atoms = sum(map(len, frames))
            name = f"{SYSTEMS[system].folder}/{part}.extxyz"
            span = f"{min(energy):.2f} .. {max(energy):.2f}"
            stress = sum("stress" in a.calc.results for a in frames)
            row = (name, str(len(frames)), str(n_atoms), str(stress), span)
            rows.append((*row, f"{force:.1f}"))
    header = ("file", "frames", "atoms", "with stress", "energy, eV/atom")
    return markdown((*header, "largest force, eV/Å"), rows)


def count_table(sets: Sets) -> str:
    """Return the numbers of train and test frames of each config_type."""
    counts = {
        system: {
            part: Counter(atoms.info["config_type"] for atoms in frames)
            for part, frames in parts.items()
        }
        for system, parts in sets.items()
    }
    kinds = sorted({k for c in counts.values() for part in c.values() for k in part})

    def cell(system: str, kind: str) -> str:
        train, test = (counts[system][part][kind] for part in ("train", "test"))
        return f"{train} / {test}" if train or test else ""

    rows = [[f"`{k}`", *(cell(system, k) for system in sets)] for k in kinds]
    sums = [f"{len(p['train'])} / {len(p['test'])}" for p in sets.values()]
    header = ["config_type", *(f"{system} train / test" for system in sets)]
    return markdown(header, [*rows, ["all", *sums]])


def settings_table() -> str:
    """Return the DFT settings of every planned system."""
    header = ["system", "cutoff, eV", "k-spacing, symmetric cells, 1/Å"]
    header += ["k-spacing, other cells, 1/Å", "smearing, eV", "tested"]
    rows = []
    for name, s in SYSTEMS.items():
        spacings = (f"{s.k_fine:.2f}", f"{s.k_plain:.2f}")
        tested = "yes" if s.validated else "no"
        rows.append((name, f"{s.ecut:g}", *spacings, f"{s.width:g}", tested))
    return markdown(header, rows)


def eos_table(sets: Sets) -> str:
    """Return equilibrium volumes and bulk moduli of the crystals with volume scans."""
    header = ("crystal", "volumes", "V0, Å³/atom", "a0, Å", "B, GPa", "dB/dp")
    rows = []
    for system, parts in sets.items():
        for phase, scan in scans(parts["train"]).items():
            eos = fit_eos(scan)
            a0 = "" if eos.a0 is None else f"{eos.a0:.3f}"
            row = (f"{system}: {phase}", str(eos.n_volumes), f"{eos.volume:.2f}", a0)
            row += (f"{eos.bulk_modulus:.1f}", f"{eos.derivative:.2f}")
            rows.append((*row, f"{eos.rms:.2f}"))
    return markdown((*header, "residual, meV/atom"), rows)


def moment_table(sets: Sets) -> str:
    """Return the ranges of the total magnetic moments that are known."""
    found: dict[tuple[str, str], list[float]] = {}
    for system, parts in sets.items():
        for atoms in (a for frames in parts.values() for a in frames):
            if "magmom" in atoms.calc.results:
                key = (system, atoms.info["config_type"])
                moment = atoms.get_magnetic_moment() / len(atoms)
                found.setdefault(key, []).append(float(moment))
    rows = [
        (system, f"`{kind}`", str(len(m)), f"{min(m):.2f} .. {max(m):.2f}")
        for (system, kind), m in found.items()
    ]
    return markdown(("system", "config_type", "frames", "moment, μB/atom"), rows)


def fill(text: str, tables: dict[str, str]) -> str:
    """Return the text with the tables between their markers replaced.

    Examples
    --------
    >>> fill("<!-- t -->old<!-- /t -->", {"t": "new"}).split()[3]
    'new'
    """
    for name, table in tables.items():
        pattern = rf"<!-- {name} -->.*?<!-- /{name} -->"
        match = re.search(pattern, text, flags=re.DOTALL)
        if match is None:
            raise ValueError(f"the markers <!-- {name} --> ... are missing")
        new = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        start, stop = match.span()
        text = text[:start] + new + text[stop:]
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.report",
        description="Refresh the tables of README.md from the shipped files.",
    )
    parser.add_argument("--folder", type=Path, default=Path())
    folder = parser.parse_args(argv).folder
    sets = load_sets(folder)
    readme = folder / "README.md"
    tables = {
        "settings": settings_table(),
        "sizes": size_table(sets),
        "counts": count_table(sets),
        "eos": eos_table(sets),
        "moments": moment_table(sets),
    }
    readme.write_text(fill(readme.read_text(), tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
