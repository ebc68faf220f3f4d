"""Completion scripts for shells, made from the parsers of the command line."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["SCRIPTS"]


@dataclass(frozen=True)
class _Option:
    """An option: its names, its meaning, and what follows it.

    Attributes
    ----------
    names : tuple of str
        ``("-h", "--help")``.
    text : str
        Help, in one line.
    value : str
        Name of the value; empty for a flag.
    choices : tuple of str
        Words that the value may be; empty if it may be anything.
    is_file : bool
        Whether the value may be a file.
    """

    names: tuple[str, ...]
    text: str
    value: str
    choices: tuple[str, ...]
    is_file: bool


@dataclass(frozen=True)
class _Command:
    """A command: its first line of help, its options, and the choices after its name."""

    name: str
    text: str
    options: tuple[_Option, ...]
    choices: tuple[str, ...]


def _option(action: argparse.Action) -> _Option:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    return _Option(
        tuple(action.option_strings),
        " ".join((action.help or "").split()),
        value,
        tuple(map(str, action.choices or ())),
        is_file=bool(value) and action.type not in (int, float),
    )


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of commands by name; empty without any."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> tuple[_Option, ...]:
    return tuple(_option(action) for action in parser._actions if action.option_strings)


def _command(name: str, parser: argparse.ArgumentParser) -> _Command:
    """Return a command, with the options of its actions."""
    options = {option.names: option for option in _options(parser)}
    actions = _subparsers(parser)
    for action in actions.values():
        options |= {option.names: option for option in _options(action)}
    choices = tuple(actions) or next(
        (
            tuple(map(str, action.choices))
            for action in parser._actions
            if action.choices and not action.option_strings
        ),
        (),
    )
    text = (parser.description or "").strip().partition("\n")[0].rstrip(".")
    return _Command(name, text, tuple(options.values()), choices)


def _commands(parser: argparse.ArgumentParser) -> list[_Command]:
    """Return all commands, ``help`` first."""
    parsers = _subparsers(parser)
    assistance = _Command("help", "Show the help of a command", (), tuple(parsers))
    return [assistance, *(_command(name, own) for name, own in parsers.items())]


_BASH = """\
# Completion of gapfit for bash.
_gapfit() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local command='' choices='' n
    if [[ $word == '=' ]]; then word=''; fi
    if [[ $before == '=' ]]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    for ((n = 1; n < COMP_CWORD; n++)); do
        if [[ ${{COMP_WORDS[n]}} != -* ]]; then command=${{COMP_WORDS[n]}}; break; fi
    done
    case "$command $before" in
{values}
    esac
    if [[ -z $choices && $word == -* ]]; then
        case $command in
{options}
        esac
    elif [[ -z $choices && -z $command ]]; then
        choices={commands}
    elif [[ -z $choices && $before == "$command" ]]; then
        case $command in
{first}
        esac
    fi
    COMPREPLY=()
    if [[ -n $choices ]]; then COMPREPLY=($(compgen -W "$choices" -- "$word")); fi
}}
complete -o bashdefault -o default -F _gapfit gapfit
"""


def _bash(parser: argparse.ArgumentParser) -> str:
    """Return a script for bash."""
    commands = _commands(parser)
    top = [name for option in _options(parser) for name in option.names]
    values, options, first = [], [_case("''", top)], []
    for command in commands:
        names = [name for option in command.options for name in option.names]
        options.append(_case(command.name, names))
        if command.choices:
            first.append(_case(command.name, command.choices))
        values += [
            _case(f"'{command.name} {name}'", option.choices)
            for option in command.options
            for name in option.names
            if option.choices
        ]
    return _BASH.format(
        values="\n".join(f"        {line}" for line in values),
        options="\n".join(f"            {line}" for line in options),
        first="\n".join(f"            {line}" for line in first),
        commands=shlex.quote(" ".join(command.name for command in commands)),
    )


def _case(pattern: str, words: list[str] | tuple[str, ...]) -> str:
    return f"{pattern}) choices={shlex.quote(' '.join(words))} ;;"


_ZSH = """\
#compdef gapfit
# Completion of gapfit for zsh.
_gapfit() {{
    local -a commands
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        if [[ $words[2] == -* ]]; then
            _arguments {top}
        else
            _describe command commands
        fi
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{cases}
    esac
}}
if [[ $funcstack[1] == _gapfit ]]; then _gapfit "$@"; else compdef _gapfit gapfit; fi
"""


def _zsh(parser: argparse.ArgumentParser) -> str:
    """Return a script for zsh, with the meaning of commands and options."""
    commands = _commands(parser)
    top = [spec for option in _options(parser) for spec in _zsh_option(option)]
    return _ZSH.format(
        commands="\n".join(
            f"        {shlex.quote(f'{command.name}:{command.text}')}"
            for command in commands
        ),
        top=" ".join(top),
        cases="\n".join(line for command in commands for line in _zsh_case(command)),
    )


def _zsh_case(command: _Command) -> Iterator[str]:
    """Yield the lines of a command."""
    first = [f"1:choice:({' '.join(command.choices)})"] if command.choices else []
    specs = [*map(shlex.quote, [*first, "*:file:_files"])]
    specs += [spec for option in command.options for spec in _zsh_option(option)]
    yield f"        {command.name})"
    yield "            _arguments \\"
    yield " \\\n".join(f"                {spec}" for spec in specs)
    yield "            ;;"


def _zsh_option(option: _Option) -> Iterator[str]:
    """Yield the specification of each name of an option, quoted."""
    text = _without_signs(option.text)
    if not option.value:
        value = ""
    elif option.choices:
        value = f":{_without_signs(option.value)}:({' '.join(option.choices)})"
    else:
        value = f":{_without_signs(option.value)}:{'_files' if option.is_file else ' '}"
    for name in option.names:
        yield shlex.quote(f"*{name}[{text}]{value}")


def _without_signs(text: str) -> str:
    """Return a text with the signs quoted that have a meaning in specifications."""
    return "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in text)


#: Functions that return the script of a shell, given the parser of all commands.
SCRIPTS = {"bash": _bash, "zsh": _zsh}
