"""What the examples share: options of the command line, and their potential."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gapfit

HERE = Path(__file__).parent
SYSTEMS = ("silicon", "carbon", "tungsten", "phosphorus", "ge2sb2te5", "fe7cr2ni")


def options(doc: str, steps: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with ``--model FILE`` and, where they are wanted, ``[STEPS]``."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--model", type=Path, metavar="FILE", help="skips the fit")
    if steps is not None:
        parser.add_argument("steps", type=int, nargs="?", default=steps)
    return parser


def potential(file: Path | None, system: str = "silicon") -> gapfit.GAPModel:
    """Return the potential of a file; without one fit the example (silicon: 7 s)."""
    if file is not None:
        return gapfit.load(file)
    print(f"Fitting examples/{system}/fit.toml; --model FILE skips this")
    return gapfit.fit(config=HERE / system / "fit.toml")


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run an example with the arguments given to it; its errors are one line."""
    try:
        main(sys.argv[1:])
    except gapfit.GapfitError as error:
        raise SystemExit(f"error: {error}") from None
