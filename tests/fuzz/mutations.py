"""Damage to files, the same for the same seed, and what every reader owes its user.

A test draws `mutants` of sound files and hands each to `read_or_refused`: what a reader
accepts it returns, and what it refuses it refuses in one clear `GapfitError`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gapfit.errors import GapfitError

__all__ = ["MOST_LETTERS", "MOST_LINES", "Refused", "mutants", "read_or_refused"]

#: Largest message about a file, whatever is in it.
MOST_LINES, MOST_LETTERS = 10, 2000
#: What stands in the place of a number: too large, not finite, negative, no number.
_NUMBERS = (
    *(b"nan", b"NaN", b"inf", b"-inf", b"1e308", b"-1e308", b"1e999", b"1d400"),
    *(b"0", b"-0.0", b"-1", b"1e-320", b"1e9", b"-1e9", b"1.5", b"1_0", b"0x10"),
    *(b"999999999", b"2147483648", b"9223372036854775808", b"9" * 400, b"1" * 5000),
    *(b"", b"x", b"T", "٣".encode(), "²".encode()),
)
#: Words that mean something to some reader.
_TOKENS = (
    *(b"\n", b"\t", b"\r\n", b" ", b"\0", b"=", b":", b"#", b",", b";", b"$", b"\\"),
    *(b"{", b"}", b'"', b"'", b"[", b"]", b"(", b")", b"<", b">", b"/>", b"&", b"%"),
    *(b"{" * 2000, b"[" * 2000, b"\xef\xbb\xbf", b"\xff", "é".encode()),
)
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Refused:
    """What a reader said of a file that it does not read."""

    message: str


def mutants(
    sound: Sequence[bytes], n: int, *, seed: int, tokens: Sequence[bytes] = ()
) -> Iterator[bytes]:
    """Yield damaged files; number k of a seed does not depend on `n`.

    Parameters
    ----------
    sound : sequence of bytes
        Files that the reader reads.
    n : int
        Number of damaged files.
    seed : int
        Of the random numbers.
    tokens : sequence of bytes, optional
        Words of the format, which are inserted beside those that all formats share.
    """
    words = (*_TOKENS, *tokens, *tokens)
    for k in range(n):
        rng = random.Random(f"{seed} {k}")
        content = rng.choice(sound)
        # Mostly little damage: most of the reader then still runs.
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
            content = rng.choice(_DAMAGES)(content, rng, words)
        yield content


def read_or_refused(read: Callable[[], _T]) -> _T | Refused:
    """Return what `read` returns, or its refusal, which must be short and a `GapfitError`.

    Any other exception is the test's failure.
    """
    try:
        return read()
    except GapfitError as error:
        message = str(error)
    lines = message.splitlines()
    assert len(lines) <= MOST_LINES, message[:MOST_LETTERS]
    assert 0 < len(message) <= MOST_LETTERS, message[:MOST_LETTERS]
    return Refused(message)


_Words = Sequence[bytes]


def _place(content: bytes, rng: random.Random) -> int:
    return rng.randrange(len(content) + 1)


def _flip(content: bytes, rng: random.Random, _: _Words) -> bytes:
    """Replace one to four bytes."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 4) if content else 0):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def _delete(content: bytes, rng: random.Random, _: _Words) -> bytes:
    begin = _place(content, rng)
    return content[:begin] + content[begin + rng.choice((1, 2, 10, 100, 1000)) :]


def _insert(content: bytes, rng: random.Random, words: _Words) -> bytes:
    at = _place(content, rng)
    return content[:at] + rng.choice(words) + content[at:]


def _renumber(content: bytes, rng: random.Random, _: _Words) -> bytes:
    """Replace a number with one that few expect."""
    numbers = list(_NUMBER.finditer(content))
    if not numbers:
        return content
    number = rng.choice(numbers)
    return content[: number.start()] + rng.choice(_NUMBERS) + content[number.end() :]


def _swap_words(content: bytes, rng: random.Random, _: _Words) -> bytes:
    """Exchange two words."""
    words = list(re.finditer(rb"[^\s=\"{}<>]+", content))
    if len(words) < 2:
        return content
    one, two = sorted(rng.sample(words, 2), key=lambda word: word.start())
    return b"".join(
        [
            content[: one.start()],
            two[0],
            content[one.end() : two.start()],
            one[0],
            content[two.end() :],
        ]
    )


def _duplicate(content: bytes, rng: random.Random, _: _Words) -> bytes:
    """Repeat a piece or a line, where it is or elsewhere."""
    begin = _place(content, rng)
    end = begin + rng.choice((1, 10, 100, 1000))
    if rng.random() < 0.5:
        begin = content.rfind(b"\n", 0, begin) + 1
        end = content.find(b"\n", begin) + 1 or len(content)
    at = end if rng.random() < 0.5 else _place(content, rng)
    return content[:at] + content[begin:end] + content[at:]


def _repeat(content: bytes, rng: random.Random, words: _Words) -> bytes:
    """Insert a few letters many times: what takes the square of a length takes long."""
    at, begin = _place(content, rng), _place(content, rng)
    unit = rng.choice((content[begin : begin + rng.randint(1, 6)], rng.choice(words)))
    n = min(4_000 // max(len(unit), 1), rng.choice((3, 30, 4_000)))
    return content[:at] + unit * n + content[at:]


def _truncate(content: bytes, rng: random.Random, _: _Words) -> bytes:
    return content[: _place(content, rng)]


# Numbers are what readers believe most, so they change most often.
_DAMAGES = (
    *(_renumber, _renumber, _renumber, _flip, _flip, _delete, _delete),
    *(_insert, _insert, _swap_words, _duplicate, _truncate, _repeat),
)
