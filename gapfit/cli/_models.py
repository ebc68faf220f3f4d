"""What the commands share that make a model from a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = [
    "add_model_arguments",
    "change",
    "check_output",
    "likelihoods",
    "new_warnings",
    "save",
]


def add_model_arguments(
    parser: argparse.ArgumentParser, needs: str = "run.store_sums"
) -> None:
    """Declare ``MODEL``, ``--output`` and ``--json``; `needs`: a key that is true."""
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help=f"model.npz of a fit with {needs} = true (the default)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT.npz",
        help="file to write, replaced if it exists; it may be MODEL itself",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def check_output(path: Path, data: Sequence[str | Path]) -> None:
    """Refuse an output that cannot be written or is one of the data, before the work."""
    from gapfit._support.archive import require_writable

    if path.is_dir():
        raise GapfitError(f"{path}: is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise GapfitError(f"{path}: there is no folder {path.parent}; make it first")
    require_writable(path)
    for file in map(Path, data):
        if path.exists() and file.exists() and path.samefile(file):
            raise GapfitError(
                f"{path}: is a file of data and would be replaced; give another --output"
            )


def likelihoods(old: GAPModel, new: GAPModel) -> dict[str, float]:
    """Return the log marginal likelihood before and after."""
    key = "log_marginal_likelihood"
    return {"before": old.info[key], "after": new.info[key]}


def change(name: str, old: Any, new: Any) -> tuple[str, ...]:
    """Return a line of the table of what changed."""
    shown = [f"{x:.6g}" if isinstance(x, float) else str(x) for x in (old, new)]
    return (name, *shown)


def new_warnings(old: GAPModel, new: GAPModel) -> list[str]:
    """Return the warnings that came with the change."""
    return [text for text in new.info["warnings"] if text not in old.info["warnings"]]


def save(console: Console, old: GAPModel, new: GAPModel, path: Path) -> None:
    """Write the model; print warnings and where it is."""
    new.save(path)
    console.warnings(new_warnings(old, new))
    console.title("Written")
    console.say(f"  {path}")
