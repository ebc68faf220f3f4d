"""A bar that shows the progress of long work, in notebooks and terminals."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

__all__ = ["ProgressBar"]

#: Seconds between two drawings.
_INTERVAL = 0.2
_WIDTH = 30


class ProgressBar:
    """A callback for the argument ``progress`` of gapfit's functions that draws a bar.

    In a notebook it is an element of the page, elsewhere a line on standard error.

    Examples
    --------
    >>> bar = ProgressBar()
    >>> # gapfit.fit("train.extxyz", "fit.toml", progress=bar)
    """

    def __init__(self) -> None:
        self._stage = ""
        self._drawn = 0.0
        self._display: Any = None
        self._line_ends = True

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Draw that `done` of `total` pieces of a stage are ready."""
        now = time.monotonic()
        new, finished = stage != self._stage, done >= total
        if not (new or finished) and now - self._drawn < _INTERVAL:
            return
        if new:
            self._display = None
        self._stage, self._drawn = stage, now
        share = done / total if total else 1.0
        if _in_notebook():
            self._show(stage, share)
            return
        bar = "#" * round(_WIDTH * share)
        start = "\r" if self._line_ends or not new else "\n"
        end = "\n" if finished else ""
        text = f"{start}{stage:<18} [{bar:<{_WIDTH}}] {100 * share:3.0f} %{end}"
        print(text, end="", file=sys.stderr, flush=True)
        self._line_ends = finished

    def _show(self, stage: str, share: float) -> None:
        """Show or change the element of the page."""
        from IPython.display import HTML, display

        text = f"{escape(stage)} {100 * share:.0f} %"
        element = HTML(f'<progress max="1" value="{share:.3f}"></progress> {text}')
        if self._display is None:
            self._display = display(element, display_id=True)
        else:
            self._display.update(element)


def _in_notebook() -> bool:
    """Return whether a notebook shows what is displayed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
