"""Arguments and output of the commands that make a model from a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = [
    "add_model_arguments",
    "change",
    "likelihoods",
    "new_warnings",
    "save",
]


def add_model_arguments(
    parser: argparse.ArgumentParser, needs: str = "run.store_sums"
) -> None:
    """Declare ``MODEL``, ``--output`` and ``--json``; `needs` is a required key."""
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


def likelihoods(old: GAPModel, new: GAPModel) -> dict[str, float]:
    """Return the log marginal likelihood before and after."""
    key = "log_marginal_likelihood"
    return {"before": getattr(old.record, key), "after": getattr(new.record, key)}


def change(name: str, old: Any, new: Any) -> tuple[str, ...]:
    """Return a line of the table of changes."""
    shown = [f"{x:.6g}" if isinstance(x, float) else str(x) for x in (old, new)]
    return (name, *shown)


def new_warnings(old: GAPModel, new: GAPModel) -> list[str]:
    """Return the warnings that the change added."""
    return [text for text in new.record.warnings if text not in old.record.warnings]


def save(console: Console, old: GAPModel, new: GAPModel, path: Path) -> None:
    """Write the model; print new warnings and its path."""
    new.save(path)
    console.warnings(new_warnings(old, new))
    console.title("Written")
    console.say(f"  {path}")
