"""`gapfit completion`, in the shells themselves."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest

from gapfit.cli import command_parser, main


def script(shell, capsys) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def parsers():
    (action,) = command_parser()._subparsers._group_actions
    return action.choices


def completed(text: str, *words: str) -> list[str]:
    """Return how bash completes the last of some words."""
    commands = [
        text,
        f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}",
        "_gapfit",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(commands)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gapfit", "in"], ["init", "info"]),
        (["gapfit", "--v"], ["--version"]),
        (["gapfit", "--debug", "pre"], ["predict"]),
        (["gapfit", "help", "inf"], ["info"]),
        (["gapfit", "fit", "--e"], ["--executor"]),
        (["gapfit", "fit", "a.toml", "--executor", ""], ["local", "mpi", "dask"]),
        (["gapfit", "fit", "--executor", "=", "m"], ["mpi"]),
        (["gapfit", "schema", ""], ["fit", "learn"]),
        (["gapfit", "lammps", "build", "--so"], ["--source"]),
        (["gapfit", "fit", "fi"], []),  # left to files
    ],
)
def test_bash_completes(words, expected, capsys):
    assert completed(script("bash", capsys), *words) == expected


def test_bash_knows_every_option_of_every_command(capsys):
    text = script("bash", capsys)
    for name, parser in parsers().items():
        shown = set(completed(text, "gapfit", name, "--"))
        options = {o for o in parser._option_string_actions if o.startswith("--")}
        assert options <= shown, name


def test_zsh_knows_every_command_and_option_with_its_meaning(capsys):
    text = script("zsh", capsys)
    for name, parser in parsers().items():
        assert re.search(rf"^        '?{name}:\w", text, re.MULTILINE), name
        body = re.search(rf"^        {name}\)\n(.*?)\n +;;$", text, re.S | re.M)[1]
        for option in parser._option_string_actions:
            assert f"*{option}[" in body, (name, option)
    assert "*--executor[" in text
    assert ":(local mpi dask)'" in text


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes(tmp_path, capsys):
    """In a terminal of its own, with a tab after each line."""
    (tmp_path / "_gapfit").write_text(script("zsh", capsys), encoding="utf-8")
    lines = {
        "gapfit pro": "gapfit properties",
        "gapfit fit --exec": "gapfit fit --executor",
        "gapfit fit --executor m": "gapfit fit --executor mpi",
        "gapfit fit _ga": "gapfit fit _gapfit",
    }
    commands = [
        "zmodload zsh/zpty",
        "zpty z zsh -f -i",
        f"zpty -w z 'fpath=({tmp_path} $fpath); cd {tmp_path}; PS1='",
        "zpty -w z 'autoload -U compinit; compinit -D -u; print REA''DY'",
        "zpty -r z shown '*READY*'",
    ]
    for line, expected in lines.items():
        commands += [
            f"zpty -w -n z {shlex.quote(line)}$'\\t'",
            f"zpty -r z shown {shlex.quote(f'*{expected}*')} || exit 1",
            "zpty -w z $'\\x15'",
        ]
    done = subprocess.run(
        ["zsh", "-f", "-c", "\n".join(commands)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
