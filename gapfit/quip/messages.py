"""Texts from files in messages: short, on one line, whatever is in the file."""

from __future__ import annotations

__all__ = ["few_lines", "shown"]

#: Most lines of a message, letters in each of them, and in all.
_LINES, _LETTERS, _ALL = 10, 600, 1500


def shown(text: str, most: int = 60) -> str:
    """Return a text as it may stand in a message: cut off, without control characters."""
    words = " ".join(text[: 4 * most].split())
    plain = "".join(letter if letter.isprintable() else "?" for letter in words)
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."


def few_lines(message: str) -> str:
    """Return a message that has at most ten lines and a moderate length."""
    lines = message.splitlines()
    kept = [
        line if len(line) <= _LETTERS else f"{line[:_LETTERS]}..."
        for line in lines[:_LINES]
    ]
    if len(lines) > _LINES:
        kept[-1] = f"and {len(lines) - _LINES + 1} more"
    text = "\n".join(kept)
    return text if len(text) <= _ALL else f"{text[:_ALL]}..."
