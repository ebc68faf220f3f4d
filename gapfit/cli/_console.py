"""Terminal output of all commands: text, progress with ETA, and a copy in a log file.

On a terminal rich draws; anywhere else the same lines are plain. Importing this costs
nothing: rich comes in only where it draws.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gapfit._support.resources import in_words, peak_bytes, resident_bytes
from gapfit.faq import address_of

__all__ = ["Console", "Stages", "duration", "roughly"]

#: Seconds between two plain lines of progress.
_INTERVAL = 5.0
#: The stage whose pieces are rows.
_ROWS = "rows"


def duration(seconds: float) -> str:
    """Return a time in short words.

    Examples
    --------
    >>> duration(0.234), duration(75), duration(7384)
    ('0.2 s', '1 min 15 s', '2 h 03 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def roughly(seconds: float) -> str:
    """Return an estimated time, rounded to its accuracy.

    Examples
    --------
    >>> roughly(0.4), roughly(37), roughly(171), roughly(9800)
    ('a few seconds', 'about 40 s', 'about 3 min', 'about 2.7 h')
    """
    if seconds < 5:
        return "a few seconds"
    if seconds < 55:
        return f"about {max(round(seconds, -1), 10):.0f} s"
    if seconds < 55 * 60:
        minutes = seconds / 60
        return f"about {round(minutes) if minutes < 10 else 5 * round(minutes / 5)} min"
    return f"about {seconds / 3600:.1f} h"


class Console:
    """Output of a command.

    Parameters
    ----------
    json_only : bool
        Standard output is reserved for JSON; all other output goes to standard error.
    """

    def __init__(self, *, json_only: bool = False) -> None:
        self._stream = sys.stderr if json_only else sys.stdout
        self._log: BinaryIO | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether a person is watching a terminal that can draw."""
        return self._stream.isatty() and os.environ.get("TERM") != "dumb"

    @contextmanager
    def logging_to(self, path: Path, *, append: bool = False) -> Iterator[None]:
        """Copy all output to a file, line by line.

        If the log cannot be written any more, it ends with a printed message and the
        work continues.

        Raises
        ------
        GapfitError
            The file cannot be opened, or is a link.
        """
        from gapfit._support.disk import opened_for_writing

        with opened_for_writing(path, append=append) as self._log:
            try:
                yield
            finally:
                self._log = None

    def log(self, text: str) -> None:
        """Write a line to the log file only."""
        from gapfit._support.whole_writes import write_all

        if self._log is None:
            return
        try:
            write_all(self._log, f"{text}\n".encode(errors="replace"))
        except OSError as error:
            name, self._log = self._log.name, None
            _write(self._stream, f"{name} ends here: {error.strerror}; make room there")

    def say(self, text: str = "") -> None:
        """Print a line, or several."""
        self.log(text)
        _write(self._stream, text)

    def title(self, text: str) -> None:
        """Print the title of a section, after an empty line."""
        self.log(f"\n{text}")
        bold = self.is_terminal and not os.environ.get("NO_COLOR")
        _write(self._stream, f"\n\x1b[1m{text}\x1b[0m" if bold else f"\n{text}")

    def rows(self, rows: list[tuple[str, str]]) -> None:
        """Print names and values in two columns."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.say(f"  {name:<{width}}  {value}".rstrip())

    def table(self, head: tuple[str, ...], body: list[tuple[str, ...]]) -> None:
        """Print a table: the first column to the left, the others to the right."""
        lines = [head, *body]
        widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
        for first, *others in lines:
            cells = [f"{cell:>{w}}" for cell, w in zip(others, widths[1:], strict=True)]
            self.say("  ".join([f"  {first:<{widths[0]}}", *cells]).rstrip())

    def warnings(self, warnings: list[str]) -> None:
        """Print warnings, if there are any, under the title Warnings."""
        if warnings:
            self.title("Warnings")
            for text in warnings:
                self.say("  - " + text.replace("\n", "\n    "))
                if address := address_of(text):
                    self.say(f"    see {address}")

    def result(self, value: Any) -> None:
        """Print the result of a command as JSON on standard output."""
        _write(sys.stdout, to_json(value))

    @contextmanager
    def progress(self) -> Iterator[Stages]:
        """Give a callback ``(stage, done, total)`` that shows the progress."""
        with ExitStack() as stack:
            bars = None
            if self.is_terminal:
                bars = stack.enter_context(_rich_progress(self._stream))
            stages = Stages(self, bars)
            yield stages
            stages.finish()


class Stages:
    """Progress of work in stages, with the time and memory of each.

    Attributes
    ----------
    seconds : dict of str to float
        Time of every stage so far, s.
    peak_bytes : dict of str to int
        Peak memory of this process at the end of every stage.
    """

    def __init__(self, console: Console, bars: Any = None) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_bytes: dict[str, int] = {}
        self._console = console
        self._bars = bars
        self._task: Any = None
        self._stage = ""
        self._started = self._shown = time.perf_counter()
        self._counted = 0
        self._rate = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` pieces of a stage are ready."""
        now = time.perf_counter()
        if stage != self._stage:
            self.finish()
            self._stage, self._started, self._shown = stage, now, now
            self._counted, self._rate = done, ""
            if self._bars is not None:
                self._task = self._bars.add_task(stage, total=total, left="")
        left = ""
        due = now - self._shown >= _INTERVAL
        if due:
            self._rate = f"{in_words(resident_bytes())}, "
        if due and stage == _ROWS:
            # The recent rate: rows of a checkpoint arrive all at once.
            rate = f"{(done - self._counted) / (now - self._shown):,.0f}"
            self._rate = f"{rate.replace(',', ' ')} rows/s, {self._rate}"
        if 0 < done < total:
            seconds = (now - self._started) / done * (total - done)
            left = f"{self._rate}{duration(seconds)} left"
        if self._bars is not None:
            self._bars.update(self._task, completed=done, total=total, left=left)
        if left and due:
            self._shown, self._counted = now, done
            self._line(f"{100 * done // total:3d} %, {left}")

    def finish(self) -> None:
        """Close the current stage."""
        if self._stage:
            seconds = time.perf_counter() - self._started
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + seconds
            self.peak_bytes[self._stage] = peak_bytes()
            self._line(f"done in {duration(seconds)}")
        self._stage = ""

    def _line(self, text: str) -> None:
        line = f"  {self._stage:<16} {text}"
        if self._bars is None:
            self._console.say(line)
        else:
            self._console.log(line)


def to_json(value: Any) -> str:
    """Return JSON as gapfit writes it: readable, UTF-8, and never NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _rich_progress(stream: TextIO) -> Any:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("  {task.description:<16}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=RichConsole(file=stream),
    )


def _write(stream: TextIO, text: str) -> None:
    """Print to a stream that may not support Unicode or may be closed."""
    encoding = stream.encoding or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        # Neither this process nor the interpreter at exit may write there again.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        # `gapfit fit ... | head`: the work continues.
        if not isinstance(error, BrokenPipeError):
            from gapfit._support.disk import unwritable

            raise unwritable("standard output", error) from error
