"""The command of gap_fit in a file: its options as keys and values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gapfit._support.foreign import json_values
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options, entries, repeated
from gapfit.quip.gap_fit_shell import program_words
from gapfit.quip.remarks import Remark

__all__ = ["command_options"]

_PROGRAM = re.compile(r"(?:^|/)gap_fit(?:[._]\w+)?$", re.ASCII)
_KEY = re.compile(r"[\w-]+", re.ASCII)


def command_options(text: str | Sequence[str], remarks: list[Remark]) -> Options:
    """Return the options of gap_fit in a text.

    Parameters
    ----------
    text : str or sequence of str
        A shell script or a line with the command, its words as a list in JSON, or the
        contents of a ``config_file``: ``key=value`` and no ``gap_fit``. A sequence holds
        the arguments of gap_fit, as a shell passes them to it.
    remarks : list of Remark
        Repeated options are added to it.

    Raises
    ------
    GapfitError
        There is no command, or several; it is invalid; or it has shell variables.
    """
    values: dict[str, str] = {}
    if isinstance(text, str):
        pairs = entries(_line(text.replace("\r\n", "\n")))
    else:
        pairs = entries(" ".join(map(_as_gap_fit_sees, text)))
    for key, value in pairs:
        if value is None or not _KEY.fullmatch(key):
            raise GapfitError(_no_option(key))
        values.pop(key.lower(), None)
        values[key.lower()] = value
    if not values:
        raise GapfitError("not a command of gap_fit: there are no options key=value")
    for key in repeated([key for key, _ in pairs]):
        note = "given more than once: the last one is used, as in gap_fit"
        remarks.append(Remark(key, "", note))
    return Options("gap_fit", values)


def _no_option(key: str) -> str:
    if key.startswith("#"):
        return "a comment: gap_fit has none in a config_file; remove what follows #"
    return (
        f"not a command of gap_fit: {shortened(key)!r} is not an option key=value; give a "
        "file with `gap_fit key=value ...`, or only with its options"
    )


def _line(text: str) -> str:
    """Return all options of a command as one text."""
    words = _listed(text) if text.lstrip().startswith("[") else program_words(text)
    if words is None and text.startswith("#!"):
        raise GapfitError("not a command of gap_fit: this script does not call it")
    if words is None:
        return text
    return " ".join(map(_as_gap_fit_sees, words))


def _as_gap_fit_sees(word: str) -> str:
    """Return a word of the command line; gap_fit puts quotes around bare values."""
    key, equals, value = word.partition("=")
    if not equals or not re.search(r"\s", word) or value[:1] in ("{", '"', "'"):
        return word
    if '"' not in value:
        return f'{key}="{value}"'
    if "'" not in value:
        return f"{key}='{value}'"
    raise GapfitError(
        f"{shortened(word)}: quotes of both kinds in one option; leave one"
    )


def _listed(text: str) -> Sequence[str]:
    try:
        words = json_values(text)
    except ValueError as error:
        raise GapfitError(
            f"not a list of words in JSON: {shortened(str(error), 100)}"
        ) from None
    if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
        raise GapfitError("not a list of words in JSON: it has other values")
    names = [n for n, word in enumerate(words) if _PROGRAM.search(word)]
    return words[names[0] + 1 :] if names else words
