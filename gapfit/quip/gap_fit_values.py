"""Values of options of a command of gap_fit, as gap_fit reads them."""

from __future__ import annotations

import math
from collections import Counter

from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.numbers import real, whole
from gapfit.quip.remarks import Note

__all__ = [
    "LENGTHS",
    "integer",
    "is_usual",
    "length",
    "length_factor",
    "named_kernel",
    "number",
    "required",
    "type_values",
    "whole_number",
    "width",
]

#: Lengths of kernels under their names and older ones: the same for all dimensions, and
#: two ways to take it from data or a file.
_UNIFORM = ("lengthscale_uniform", "theta_uniform")
_FACTOR = ("lengthscale_factor", "theta_fac")
_FILE = ("lengthscale_file", "theta_file")
LENGTHS = (*_UNIFORM, *_FACTOR, *_FILE)
#: Least width of cutoff functions, Å.
_LEAST_WIDTH = 0.06


def required(options: Options, *keys: str) -> float:
    """Return a number by its key or one of its other names.

    Raises
    ------
    GapfitError
        It is missing, not a number, or not above 0.
    """
    if options.text(*keys) is None:
        raise GapfitError(f"gap={{{options.name} ...}}: {keys[0]} is missing")
    value = options.real(*keys, default=0.0)
    if not 0 < value < math.inf:
        raise GapfitError(
            f"gap={{{options.name} ...}}: {keys[0]} = "
            f"{shortened(options.text(*keys) or '')}: it must be a number > 0; correct it "
            "or remove the descriptor"
        )
    return value


def integer(options: Options, *keys: str, default: int | None = None) -> int:
    """Return a whole number by its key or one of its other names.

    Raises
    ------
    GapfitError
        It is missing without a default, or not a whole number for gap_fit.
    """
    given = options.text(*keys)
    if given is None and default is not None:
        return default
    if given is None:
        raise GapfitError(f"gap={{{options.name} ...}}: {keys[0]} is missing")
    return whole_number(f"gap={{{options.name} ...}}: {keys[0]}", given)


def number(where: str, text: str) -> float:
    """Return a number; `where` is its name in messages.

    Raises
    ------
    GapfitError
        The text is not a number.
    """
    try:
        return real(text)
    except ValueError:
        raise GapfitError(
            f"{shortened(where)} = {shortened(text)}: not a number"
        ) from None


def whole_number(where: str, text: str) -> int:
    """Return a whole number; `where` is its name in messages.

    Raises
    ------
    GapfitError
        It does not consist of digits, such as ``3.7``, which gap_fit refuses, too.
    """
    try:
        return whole(text)
    except ValueError:
        raise GapfitError(
            f"{shortened(where)} = {shortened(text)}: it must be a whole number, only "
            "digits"
        ) from None


def is_usual(value: str, usual: str | None) -> bool:
    """Return whether a value is the usual one, in any notation; None for no value."""
    if usual is None:
        return False
    if usual in ("T", "F"):
        return Options("", {"x": value}).logical("x", default=True) == (usual == "T")
    try:
        return real(value) == real(usual)
    except ValueError:
        return value.upper() == usual


def length(options: Options) -> float | None:
    """Return the length of a kernel, Å; None if it is in the data or a file.

    Raises
    ------
    GapfitError
        None is given or several are, which gap_fit refuses, too.
    """
    given = [names for names in (_UNIFORM, _FACTOR, _FILE) if options.text(*names)]
    if len(given) != 1:
        what = (
            f"not {' and '.join(names[0] for names in given)}" if given else "missing"
        )
        raise GapfitError(
            f"gap={{{options.name} ...}}: exactly one of lengthscale_uniform, "
            f"lengthscale_factor and lengthscale_file (or theta_...) is needed, {what}"
        )
    if given[0] is _UNIFORM:
        return options.real(*_UNIFORM, default=1.0)
    return None


def length_factor(options: Options) -> float | None:
    """Return the length over the range of a coordinate; None if it is another one.

    Raises
    ------
    GapfitError
        It is not a number above 0.
    """
    if not options.text(*_FACTOR):
        return None
    return required(options, *_FACTOR)


def named_kernel(options: Options, note: Note, names: tuple[str, ...]) -> None:
    """Add a remark about a kernel other than those of `names`; the first is usual."""
    given = options.text("covariance_type", default=names[0]) or names[0]
    if given.lower() not in names:
        text = f"has no counterpart: taken as {names[0]}"
        note("covariance_type", given, text, changes=True)


def width(options: Options, note: Note) -> float:
    """Return the width of the cutoff function, Å, or the nearest that gapfit allows.

    Raises
    ------
    GapfitError
        It is not a number, or the cutoff is missing or not above 0.
    """
    key, r_cut = "cutoff_transition_width", required(options, "cutoff")
    given = options.real(key, default=0.5)
    taken = min(max(given, _LEAST_WIDTH), r_cut - 0.01)
    if taken != given:
        bounds = f"it must be above 0.05 and below cutoff = {r_cut:g}"
        note(key, f"{given:g}", f"{taken:g} is taken: {bounds}", changes=True)
    return taken


def type_values(text: str, n: int, key: str, note: Note) -> dict[str, list[str]]:
    """Return the n values of each name in ``name:value:...:name:...``.

    Blanks separate as colons do, so that names have none.

    `note` is called with the option `key`, a name and a text if the name is repeated.

    Raises
    ------
    GapfitError
        The number of values does not fit the names.
    """
    words = text.replace(":", " ").split()
    if len(words) % (n + 1):
        raise GapfitError(
            f"{key} = {shortened(text)}: each name needs {n} values after it, separated by "
            "colons or blanks"
        )
    names = words[:: n + 1]
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        note(key, name, "given more than once: the last one is used, as in gap_fit")
    return {words[k]: words[k + 1 : k + 1 + n] for k in range(0, len(words), n + 1)}
