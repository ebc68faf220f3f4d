"""Colours and markers of config_types, told apart without colour vision, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BLUE", "COLOURS", "GREEN", "GREY", "ORANGE", "Palette", "shown_text"]

# Okabe & Ito's colours without yellow, which is too light on white.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#222222", "#767676"
# Three more, between them in hue and in lightness.
PURPLE, BROWN, OLIVE = "#6A3D9A", "#8C4A2F", "#7F9A00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK, PURPLE, BROWN, OLIVE)
# Neighbours, which share a colour sooner or later, look least alike.
_MARKERS = ("o", "X", "s", "^", "D", "v", "P", "<", "*")
# Entries of a legend that can still be told apart.
_MOST = 24
_LONGEST = 26
# Of a figure, points.
_WIDTH = 780


@dataclass(frozen=True)
class Palette:
    """What the points of each config_type look like.

    Attributes
    ----------
    names : tuple of str
        All config_types, those with an entry of their own in the legend first.
    n_own : int
        How many have one; the rest share one more.
    """

    names: tuple[str, ...]
    n_own: int

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Palette:
        """Return the palette of config_types with these numbers of structures."""
        common = sorted(counts, key=lambda name: (-counts[name], name))[:_MOST]
        if len(counts) > _MOST:
            common = common[:-1]
        rest = sorted(set(counts) - set(common))
        return cls((*sorted(common), *rest), len(common))

    @property
    def labels(self) -> tuple[str, ...]:
        """Texts of the legend."""
        rest = len(self.names) - self.n_own
        own = tuple(shown_text(name) for name in self.names[: self.n_own])
        return (*own, f"{rest} other config_types") if rest else own

    @property
    def n_columns(self) -> int:
        """How many labels of a legend stand beside each other."""
        # Points of a figure: the mark and its distance, and the letters.
        width = 34 + 6 * max(map(len, self.labels), default=0)
        return max(1, min(6, len(self.labels), _WIDTH // width))

    @property
    def height(self) -> float:
        """Inches that the legend takes."""
        return 0.1 + 0.2 * -(-len(self.labels) // self.n_columns)

    def entry(self, name: str) -> int:
        """Return the entry of the legend that a config_type has."""
        return min(self.names.index(name), self.n_own)

    def style(self, entry: int) -> dict[str, str]:
        """Return colour and marker of an entry of the legend."""
        if entry == self.n_own:
            return {"color": GREY, "marker": "."}
        # Their numbers have no common factor: 90 pairs before one comes again.
        colour = COLOURS[entry % len(COLOURS)]
        return {"color": colour, "marker": _MARKERS[entry % len(_MARKERS)]}


def shown_text(name: str) -> str:
    """Return a text from data as figures can show it: short, and without control codes."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
