"""The command of gap_fit in a file: its options as keys and values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from gapfit._support.foreign import json_values
from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options, split_words, strip
from gapfit.quip.remarks import Remark

__all__ = ["command_options", "repeated"]

_PROGRAM = re.compile(r"(?:^|[\s/;&|])gap_fit(?:[._]\w+)?[\"']?(?=\s|$)", re.MULTILINE)
#: Start of a word that ends a command in a shell.
_END = re.compile(r"(?:[12&]?>|[<|;&])")
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\}|\()|`")


def command_options(text: str, remarks: list[Remark]) -> Options:
    """Return the options of gap_fit in a text.

    Parameters
    ----------
    text : str
        A shell script or a line with the command, its words as a list in JSON, or the
        contents of a ``config_file``: ``key=value`` and no ``gap_fit``.
    remarks : list of Remark
        Repeated options are added to it.

    Raises
    ------
    GapfitError
        There is no command, or several; it is invalid; or it has shell variables.
    """
    words = _listed(text) if text.lstrip().startswith("[") else _shell_words(text)
    values = {}
    for word in words:
        key, equals, value = strip(word).partition("=")
        if not equals or not re.fullmatch(r"[\w-]+", key):
            raise GapfitError(
                f"not a command of gap_fit: {word[:60]!r} is not an option key=value; "
                "give a file with `gap_fit key=value ...`, or only with its options"
            )
        if variable := _VARIABLE.search(value):
            raise GapfitError(
                f"{key} = {value[:60]}: {variable[0]} is a shell variable; write its value"
            )
        # The shell removes quotes; gap_fit sees their contents.
        value = strip(value) if value[:1] in ("'", '"') else value
        values[key.lower()] = strip(value)
    if not values:
        raise GapfitError("not a command of gap_fit: there are no options key=value")
    for key in repeated(map(strip, words)):
        text = "given more than once: the last one is used, as in gap_fit"
        remarks.append(Remark(key, "", text))
    return Options("gap_fit", values)


def repeated(words: Iterable[str]) -> list[str]:
    """Return the keys, in lower case, that occur in several words ``key=value``."""
    counts = Counter(word.partition("=")[0].strip().lower() for word in words)
    return [key for key, count in counts.items() if count > 1 and key.strip("{} ")]


def _listed(text: str) -> Sequence[str]:
    try:
        words = json_values(text)
    except ValueError as error:
        raise GapfitError(f"not a list of words in JSON: {error}") from None
    if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
        raise GapfitError("not a list of words in JSON: it has other values")
    names = [n for n, word in enumerate(words) if _PROGRAM.search(word)]
    return words[names[0] + 1 :] if names else words


def _shell_words(text: str) -> Sequence[str]:
    """Return the words of the command, or without one all words outside comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    text = _without_comments("\n".join(lines) + "\n")
    text = re.sub(r"\\\s*\n", " ", text)
    text = re.sub(r"\\([{}\"':])", r"\1", text)
    commands = list(_PROGRAM.finditer(text))
    if len(commands) > 1:
        raise GapfitError(
            f"{len(commands)} commands of gap_fit in one file; keep the one to translate"
        )
    if not commands:
        return split_words(text)
    # The command ends with the line, unless braces or quotes are open.
    command = split_words(text[commands[0].end() :], "\n")
    words = split_words(command[0] if command else "")
    end = next((n for n, word in enumerate(words) if _END.match(word)), len(words))
    return [word.rstrip(";") for word in words[:end]]


def _without_comments(text: str) -> str:
    """Return a text without shell comments, which follow a ``#`` that begins a word."""
    kept, quote, before, skipping = [], "", "\n", False
    for letter in text:
        if skipping and letter != "\n":
            continue
        skipping = letter == "#" and not quote and before.isspace()
        if skipping:
            continue
        if before != "\\" and letter in (quote or "\"'"):
            quote = "" if quote else letter
        kept.append(letter)
        before = letter
    return "".join(kept)
