"""The terminal: colours, progress and times."""

from __future__ import annotations

import io
import re

import pytest

from gapfit.cli._console import Console, Stages, duration


class FakeTerminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("no_color", [True, False])
def test_terminal_is_drawn_on(monkeypatch, tmp_path, no_color):
    terminal = FakeTerminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv(
        "NO_COLOR", raising=False
    )
    console = Console()
    with console.logging_to(tmp_path / "log"), console.progress() as progress:
        console.title("Fit")
        progress("rows", 1, 2)
        progress("rows", 2, 2)
    drawn = terminal.getvalue()
    assert "rows" in drawn
    assert "100 %" in drawn
    assert ("\x1b[1mFit" in drawn) is not no_color
    assert bool(re.search(r"\x1b\[3\dm", drawn)) is not no_color
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert re.fullmatch(r"\nFit\n  rows +done in 0\.0 s\n", log)


def test_plain_progress_shows_share_memory_and_time_left(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 6.0, 8.0, 9.0, 9.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stages = Stages(Console())
    for done in (0, 20, 60, 80):
        stages("solve", done, 100)
    stages.finish()
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"  solve             60 %, [\d.]+ [MG]B, 4.0 s left", first)
    assert last == "  solve            done in 9.0 s"
    assert stages.seconds == {"solve": 9.0}


def test_progress_of_rows_shows_their_rate_and_the_memory(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 6.0, 9.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stages = Stages(Console())
    for done in (0, 3000, 6000):
        stages("rows", done, 10_000)
    stages.finish()
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"  rows              60 %, 1 000 rows/s, [\d.]+ [MG]B, 4.0 s left", first
    )
    assert last == "  rows             done in 9.5 s"
    assert stages.peak_bytes["rows"] > 1e7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (7384, "2 h 03 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
