"""Warnings about environment variables whose values cannot be used."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from gapfit.threads import VARIABLE, ignored_values

__all__ = ["environment_warnings"]


def environment_warnings() -> list[str]:
    """Return a line for each variable whose value is ignored."""
    warnings = [
        f"{name} = {value!r} is ignored: it is no number of threads; set {VARIABLE}, or "
        "run.threads in the configuration"
        for name, value in ignored_values()
    ]
    folder = os.environ.get("TMPDIR", "")
    if folder and not (Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        # Without any folder the command fails where it needs one.
        with suppress(OSError):
            warnings.append(
                f"TMPDIR = {folder!r} is ignored: it is no folder to write to; temporary "
                f"files are in {tempfile.gettempdir()}"
            )
    return warnings
