"""Where the command of gap_fit stands in a file: its options as keys and values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options, split_words, strip
from gapfit.quip.remarks import Remark

__all__ = ["command_options", "repeated"]

_PROGRAM = re.compile(r"(?:^|[\s/;&|])gap_fit(?:[._]\w+)?[\"']?(?=\s|$)", re.MULTILINE)
#: What ends a command in a shell.
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
        Takes options that are given more than once.

    Raises
    ------
    GapfitError
        There is no such command, or several; it is broken; or it has variables of the
        shell.
    """
    words = _listed(text) if text.lstrip().startswith("[") else _shell_words(text)
    values = {}
    for word in words:
        key, equals, value = strip(word).partition("=")
        if not equals or not re.fullmatch(r"[\w-]+", key):
            raise GapfitError(
                f"no command of gap_fit: {word[:60]!r} is no option key=value; give a "
                "file with `gap_fit key=value ...`, or with its options alone"
            )
        if found := _VARIABLE.search(value):
            raise GapfitError(
                f"{key} = {value[:60]}: {found[0]} is for a shell; write what it stands for"
            )
        # Quotes are the shell's, what they hold is gap_fit's.
        value = strip(value) if value[:1] in ("'", '"') else value
        values[key.lower()] = strip(value)
    if not values:
        raise GapfitError("no command of gap_fit: there are no options key=value")
    for key in repeated(map(strip, words)):
        text = "given more than once: the last one counts, as in gap_fit"
        remarks.append(Remark(key, "", text))
    return Options("gap_fit", values)


def repeated(words: Iterable[str]) -> list[str]:
    """Return the keys, in lower case, that words ``key=value`` have more than once."""
    counts = Counter(word.partition("=")[0].strip().lower() for word in words)
    return [key for key, count in counts.items() if count > 1 and key.strip("{} ")]


def _listed(text: str) -> Sequence[str]:
    try:
        words = json.loads(text)
    except ValueError as error:
        raise GapfitError(f"no list of words in JSON: {error}") from None
    if not all(isinstance(word, str) for word in words):
        raise GapfitError("no list of words in JSON: it holds something else")
    names = [n for n, word in enumerate(words) if _PROGRAM.search(word)]
    return words[names[0] + 1 :] if names else words


def _shell_words(text: str) -> Sequence[str]:
    """Return the words of the one command, or of all that is not a comment."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    text = _without_comments("\n".join(lines) + "\n")
    text = re.sub(r"\\\s*\n", " ", text)
    text = re.sub(r"\\([{}\"':])", r"\1", text)
    found = list(_PROGRAM.finditer(text))
    if len(found) > 1:
        raise GapfitError(
            f"{len(found)} commands of gap_fit in one file; keep the one to be translated"
        )
    if not found:
        return split_words(text)
    # A line ends the command, unless braces or quotes are open.
    command = split_words(text[found[0].end() :], "\n")
    words = split_words(command[0] if command else "")
    end = next((n for n, word in enumerate(words) if _END.match(word)), len(words))
    return [word.rstrip(";") for word in words[:end]]


def _without_comments(text: str) -> str:
    """Return a text of a shell without what follows a ``#`` that begins a word."""
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
