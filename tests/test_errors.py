"""Messages of errors: few lines, none very long, and nothing that moves a terminal."""

from __future__ import annotations

import pickle

from gapfit.cli import main
from gapfit.errors import ConfigError, GapfitError, bounded, printable, shortened


def test_messages_have_ten_lines_and_keep_the_last_one():
    said = str(GapfitError("\n".join(map(str, range(500)))))
    assert said.split("\n") == [*"01234567", "... (491 more lines)", "499"]
    assert str(GapfitError("a\nb")) == "a\nb"
    assert bounded(said) == said


def test_long_lines_keep_beginning_and_end():
    said = str(GapfitError(f"{'a' * 10**6}; do this"))
    assert said.startswith("aaa")
    assert said.endswith("aaa; do this")
    assert len(said) < 1100


def test_control_characters_are_escaped():
    said = str(ConfigError("x.toml: \x1b[2J\u202e\ud800 ≤ Å\r"))
    assert said == "x.toml: \\x1b[2J\\u202e\\ud800 ≤ Å\\r"
    assert printable("a\nb") == "a\\nb"
    assert shortened("\n" * 10**6, 10) == "\\n\\n\\n\\..."


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(ConfigError("a\n" * 50)))
    assert type(error) is ConfigError
    assert str(error) == str(ConfigError("a\n" * 50))


def test_other_errors_of_commands_are_bounded_too(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "x" * 5000 + "\x1b.toml"]) == 1
    said = capsys.readouterr().err
    assert len(said) < 1200
    assert "\x1b" not in said
