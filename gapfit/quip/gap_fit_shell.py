"""Shell scripts as words: as a shell passes them to a program, without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from gapfit.errors import GapfitError, shortened

__all__ = ["program_words"]

_PROGRAM = re.compile(r"gap_fit(?:[._]\w+)?", re.ASCII)
#: Programs that only mention others.
_MENTION = frozenset({"echo", "printf", "which", "type", "ls", "file", "test", "["})
_VARIABLE = re.compile(r"\$(?:\w+|\{[^}]{0,40}\}?|[({@*#?!-])|`", re.ASCII)
_BRACES = re.compile(r"\{[^{}]*\}")
_REDIRECTION = re.compile(r"\d*(&?>[>&|]?|<[<&>]?)", re.ASCII)
_BLANKS_AT_END = re.compile(r"\\[ \t\r]+(?=\n)")
#: Stands in masks for letters that lost their meaning to quotes.
_QUOTED = "q"
#: Options by which a call is known whose program is a variable.
_TELLING = frozenset({"gap", "at_file", "atoms_filename", "config_file"})


@dataclass
class _Word:
    """A word of a script, in pieces."""

    pieces: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, letters: str, *, quoted: bool) -> None:
        """Append letters."""
        self.pieces.append(letters)
        self.masks.append(_QUOTED * len(letters) if quoted else letters)

    @cached_property
    def text(self) -> str:
        """The word without its quotes."""
        return "".join(self.pieces)

    def expanded(self) -> str | None:
        """Return what a shell makes several words of: {a,b} and {1..3} without quotes."""
        groups = _BRACES.findall("".join(self.masks))
        return next((g for g in groups if "," in g or ".." in g), None)


def program_words(text: str) -> list[str] | None:
    """Return the arguments of gap_fit in a script; None if it does not call gap_fit.

    Parameters
    ----------
    text : str
        A shell script, or one line of it.

    Raises
    ------
    GapfitError
        It calls gap_fit several times, or with what only a shell knows: variables,
        expansions, input from a here-document.
    """
    calls = [call for call in map(_arguments, _commands(text)) if call is not None]
    if len(calls) > 1:
        raise GapfitError(
            f"{len(calls)} commands of gap_fit in one file; keep the one to translate"
        )
    if not calls:
        return None
    for word in calls[0]:
        if word.problems:
            raise GapfitError(f"{shortened(word.text)}: {word.problems[0]}")
        if expanded := word.expanded():
            raise GapfitError(
                f"{shortened(word.text)}: a shell makes several words of "
                f"{shortened(expanded)}; put quotes around it"
            )
    return [word.text for word in calls[0]]


def _arguments(command: list[_Word]) -> list[_Word] | None:
    """Return the arguments of gap_fit in a command; None if it is another."""
    if not command or command[0].text in _MENTION:
        return None
    keys = [word.text.partition("=")[0].strip().lower() for word in command]
    # Found once: a script may have many words.
    telling = max((n for n, key in enumerate(keys) if key in _TELLING), default=0)
    for number, word in enumerate(command):
        if "=" in word.text:
            continue
        arguments = slice(number + 1, None)
        if _PROGRAM.fullmatch(PurePosixPath(word.text).name):
            given = any("=" in a.text or a.problems for a in command[arguments])
            return command[arguments] if given else None
        if word.problems and telling > number:
            return command[arguments]
    return None


def _commands(text: str) -> Iterator[list[_Word]]:
    """Yield the commands of a script, without comments and redirections."""
    words: list[_Word] = []
    skip = False
    for item in _Scanner(text).items():
        if isinstance(item, _Word):
            if not skip:
                words.append(item)
            skip = False
        elif item[0] in "<>":
            skip = True
            if item == "<<" and words:
                words[-1].problems.append("<< (a here-document): write its options")
        else:
            yield words
            words, skip = [], False
    yield words


class _Scanner:
    """Reads words and operators of a script."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def items(self) -> Iterator[_Word | str]:
        """Yield words, and operators as texts."""
        text = self.text
        while self.at < len(text):
            letter = text[self.at]
            if letter in " \t\r":
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            elif letter == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif redirection := _REDIRECTION.match(text, self.at):
                self.at = redirection.end()
                yield redirection[1].lstrip("&")
            elif letter in "\n;&|()":
                self.at += 1
                yield letter
            else:
                yield self._word()

    def _word(self) -> _Word:
        word = _Word()
        while self.at < len(self.text) and self.text[self.at] not in " \t\n\r;&|()<>":
            letter = self.text[self.at]
            if letter == "'":
                end = self._end("'")
                word.add(self.text[self.at + 1 : end], quoted=True)
                self.at = end + 1
            elif letter == '"':
                self._double_quotes(word)
            elif letter == "\\":
                self._escape(word)
            else:
                self._plain(word, quoted=False)
        return word

    def _end(self, quote: str) -> int:
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise GapfitError(
                f"a quote is not closed: {shortened(self.text[self.at :])}"
            )
        return end

    def _plain(self, word: _Word, *, quoted: bool) -> None:
        """Add the next letter, which may begin a variable."""
        letter = self.text[self.at]
        if letter in "$`":
            self._variable(word)
        else:
            word.add(letter, quoted=quoted)
            self.at += 1

    def _variable(self, word: _Word) -> None:
        """Add a variable or command as it is written, and note it as a problem."""
        match = _VARIABLE.match(self.text, self.at)
        if match is None and self.text[self.at + 1 : self.at + 2] in ("'", '"'):
            word.problems.append("$ before a quote: write the text without it")
        if match is None:
            word.add("$", quoted=True)
            self.at += 1
            return
        word.problems.append(
            f"{shortened(match[0])} is a shell variable; write its value"
        )
        word.add(match[0], quoted=True)
        self.at = match.end()

    def _double_quotes(self, word: _Word) -> None:
        begin = self.at
        self.at += 1
        while self.text[self.at : self.at + 1] != '"':
            if self.at >= len(self.text):
                raise GapfitError(
                    f"a quote is not closed: {shortened(self.text[begin:])}"
                )
            escaped = self.text[self.at + 1 : self.at + 2]
            if self.text[self.at] != "\\" or escaped not in ("$", "`", '"', "\\", "\n"):
                self._plain(word, quoted=True)
                continue
            word.add("" if escaped == "\n" else escaped, quoted=True)
            self.at += 2
        self.at += 1

    def _escape(self, word: _Word) -> None:
        """Add the letter after a backslash; a newline after it is none."""
        following = self.text[self.at + 1 : self.at + 2]
        if _BLANKS_AT_END.match(self.text, self.at):
            line = self.text.count("\n", 0, self.at) + 1
            raise GapfitError(
                f"line {line} ends with blanks after the backslash: there a shell ends "
                "the command; remove them"
            )
        word.add("" if following == "\n" else following, quoted=True)
        self.at += 2
