"""Fit tungsten, then compare its equations of state with DFT."""

from __future__ import annotations

import sys
from pathlib import Path

import gapfit
from gapfit.evaluation import format_table

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data" / "tungsten"
sys.path.append(str(HERE.parent))

from phases import Comparison, compare  # noqa: E402

PHASES = ("bcc", "fcc", "hcp", "sc")


def main() -> dict[str, Comparison]:
    """Return lattice constants and bulk moduli of the crystals in the data."""
    model = gapfit.fit(config=HERE / "fit.toml")
    for part in ("train", "test"):
        metrics = gapfit.evaluate(model, DATA / f"{part}.extxyz")
        print(format_table(metrics, f"Tungsten, {part}"))
    return compare(model, DATA, PHASES)


if __name__ == "__main__":
    main()
