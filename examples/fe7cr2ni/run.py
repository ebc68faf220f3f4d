"""Fit Fe7Cr2Ni, then compare its equations of state with DFT."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data" / "fe7cr2ni"
sys.path.append(str(HERE.parent))

from common import Metrics, fit_and_evaluate  # noqa: E402
from phases import Comparison, compare  # noqa: E402

PHASES = ("fcc4-0",)


def main(arguments: Sequence[str] = ()) -> tuple[Metrics, dict[str, Comparison]]:
    """Return the test errors, and the crystals' equations of state beside DFT."""
    model, metrics = fit_and_evaluate(HERE, arguments)
    return metrics, compare(model, DATA, PHASES)


if __name__ == "__main__":
    main(sys.argv[1:])
