"""Fit tungsten, then compare its equations of state with DFT."""

from __future__ import annotations

import sys
from pathlib import Path

import gapfit
from gapfit.evaluation import Metrics, format_table

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data" / "tungsten"
sys.path.append(str(HERE.parent))

from phases import Comparison, compare  # noqa: E402

PHASES = ("bcc", "fcc", "hcp", "sc")


def main() -> tuple[Metrics, dict[str, Comparison]]:
    """Return the test errors, and the crystals' equations of state beside DFT."""
    model = gapfit.fit(config=HERE / "fit.toml")
    for part in ("train", "test"):
        metrics = gapfit.evaluate(model, DATA / f"{part}.extxyz")
        print(format_table(metrics, f"Tungsten, {part}"))
    return metrics, compare(model, DATA, PHASES)


if __name__ == "__main__":
    main()
