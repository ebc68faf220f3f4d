"""Plan of a fit on the terminal, and the first lines of its log."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit._support.resources import in_words
from gapfit.cli._console import Console

if TYPE_CHECKING:
    from gapfit.config.sections import FitConfig
    from gapfit.data.dataset import Dataset
    from gapfit.execution.plan import Plan

__all__ = ["log_header", "print_plan"]


def log_header(console: Console, config: Path) -> None:
    """Log date, versions and configuration."""
    from importlib.metadata import version

    names = ("gapfit", "numpy", "scipy", "ase", "dscribe", "pydantic")
    console.log(time.strftime("%Y-%m-%d %H:%M:%S %z"))
    console.log(
        f"python {sys.version.split()[0]} on {sys.platform}, {os.cpu_count()} CPUs"
    )
    console.log(", ".join(f"{name} {version(name)}" for name in names))
    console.log(f"configuration {config}:\n{config.read_text(encoding='utf-8')}")


def print_plan(
    console: Console,
    size: Plan,
    config: FitConfig,
    folder: Path,
    *,
    test: Dataset | None,
    expected: str,
) -> None:
    """Print the size of a fit.

    Parameters
    ----------
    console : Console
        Where to print.
    size : Plan
        Rows, tasks and memory.
    config : FitConfig
        Configuration of the fit.
    folder : Path
        Folder of the results.
    test : Dataset or None
        Test data.
    expected : str
        Time that the fit will take, in words; empty if it is not estimated.
    """
    from gapfit.config.term_base import members

    rows = ", ".join(f"{kind} {n}" for kind, n in size.n_rows.items() if n)
    n_test = f" ({len(test.frames)} more to test)" if test else ""
    device = config.run.device if size.device_bytes else ""
    without = ", without the device" if device else ""
    memory = f"about {in_words(size.memory_bytes)}"
    if size.worker_bytes:
        memory += f", and {in_words(size.worker_bytes)} in each worker"
    console.title("Plan")
    console.rows(
        [
            ("frames", f"{size.n_frames}{n_test}"),
            ("atoms", str(size.n_atoms)),
            ("rows", f"{sum(size.n_rows.values())} ({rows})"),
            ("tasks", str(size.n_tasks)),
            (members(config.terms), str(size.n_sparse)),
            ("features", ", ".join(str(n) for n in size.n_features)),
            ("solver", config.solver.method),
            ("memory", memory),
            *([("device", _on_device(size, device))] if device else []),
            *([("time", expected + without)] if expected else []),
            ("output", str(folder)),
        ]
    )


def _on_device(size: Plan, device: str) -> str:
    """Return what runs on the device, and the memory that it takes there."""
    most = in_words(size.device_bytes)
    processes = " for each worker" if size.worker_bytes else ""
    return (
        f"{device}: rows and their sums, up to {most} there{processes}; all else, and the "
        "memory above, is the core's"
    )
