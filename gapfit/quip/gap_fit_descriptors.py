"""The descriptors of ``gap={... : ...}``, with the braces that gap_fit leaves."""

from __future__ import annotations

from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options, split_parts

__all__ = ["descriptor_texts", "named_numbers"]


def descriptor_texts(gap: str) -> list[str]:
    """Return the string of each descriptor.

    Colons separate descriptors outside of braces; of braces inside, gap_fit removes one
    level: ``species_Z={{8 14}}`` becomes ``species_Z={8 14}``.

    Parameters
    ----------
    gap : str
        Contents of the braces.

    Raises
    ------
    GapfitError
        A descriptor is empty, or a list of values has single braces.
    """
    parts = split_parts(gap, ":")
    # gap_fit lets a colon begin or end the list.
    begin, end = (1 if len(parts) > 1 and not parts[k].strip() else 0 for k in (0, -1))
    parts = parts[begin : len(parts) - end]
    for number, part in enumerate(parts, 1):
        if not part.strip():
            raise GapfitError(
                f"gap={{...}}: descriptor {number} is empty; remove a colon"
                if len(parts) > 1
                else "gap={...}: there is no descriptor"
            )
    return [_lowered(part) for part in parts]


def _lowered(text: str) -> str:
    """Return a text without its outermost braces."""
    kept: list[str] = []
    begin, depth = 0, 0
    for place, letter in enumerate(text):
        if letter == "{":
            depth += 1
            if depth == 1:
                kept.append(text[begin:place])
                begin = place + 1
        elif letter == "}" and depth:
            depth -= 1
            if depth == 0:
                kept.append(_inside(kept[-1], text[begin:place]))
                begin = place + 1
    return "".join([*kept, text[begin:]])


def _inside(before: str, inside: str) -> str:
    """Return the contents of braces; refuse those that are a list of values."""
    key = before.rstrip()
    if key.endswith("=") and "{" not in inside and len(inside.split()) > 1:
        name = key[:-1].split()[-1:]
        raise GapfitError(
            f"gap={{...}}: {shortened(''.join(name))}={{{shortened(inside)}}} needs two "
            f"pairs of braces, {{{{{shortened(inside)}}}}}: gap_fit removes one, and then "
            "reads the first value alone"
        )
    return inside


def named_numbers(gap: str) -> set[int]:
    """Return the atomic numbers that the descriptors of ``gap={...}`` name."""
    keys = ("Z", "Z_center", "Z1", "Z2", "species_Z")
    descriptors = [Options.of(text) for text in descriptor_texts(gap)]
    numbers = {
        z for options in descriptors for key in keys for z in options.integers(key)
    }
    return numbers - {0}
