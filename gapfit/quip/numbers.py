"""Numbers as Fortran reads and writes them: ``1``, ``.5``, ``4d0``, ``0.2E+001``."""

from __future__ import annotations

import re

import numpy as np

from gapfit.errors import shortened

__all__ = ["real", "reals", "whole", "wholes"]

# An exponent of three digits may stand without its letter: 0.5-101.
_REAL = re.compile(
    r"([+-]?(?:\d++\.?\d*+|\.\d++))(?:[eEdD]([+-]?\d++)|([+-]\d++))?", re.ASCII
)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
#: What no list of numbers contains; NumPy would read "1_0", "inf" and "nan".
_FOREIGN = re.compile(r"[^0-9eE+\-.\s]", re.ASCII)


def real(text: str) -> float:
    """Return a number.

    Raises
    ------
    ValueError
        The text is not one, or it is too large for double precision.
    """
    match = _REAL.fullmatch(text.strip())
    if match is not None:
        value = float(f"{match[1]}e{match[2] or match[3] or 0}")
        if np.isfinite(value):
            return value
    raise ValueError(f"{shortened(text) or 'nothing'} is not a finite number")


def whole(text: str) -> int:
    """Return a whole number of at most 20 digits.

    Raises
    ------
    ValueError
        The text is not one.
    """
    if _WHOLE.fullmatch(text.strip()) is None:
        raise ValueError(f"{shortened(text) or 'nothing'} is not a whole number")
    return int(text)


def reals(text: str | None) -> np.ndarray:
    """Return the numbers in a text, which blanks separate; none without a text.

    Raises
    ------
    ValueError
        See `real`.
    """
    plain = (text or "").replace("D", "E").replace("d", "e")
    if _FOREIGN.search(plain) is None:
        try:
            values = np.array(plain.split(), dtype=float)
        except (
            ValueError
        ):  # an exponent without its letter, or a word that is no number
            values = np.array([])
        if len(values) and np.isfinite(values).all():
            return values
    return np.array([real(word) for word in plain.split()])


def wholes(text: str | None) -> list[int]:
    """Return the whole numbers in a text, which blanks or commas separate.

    Raises
    ------
    ValueError
        See `whole`.
    """
    return [whole(word) for word in (text or "").replace(",", " ").split()]
