"""Colours and markers of config_types, distinct without colour vision, too."""

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
# Neighbours differ most, since entries that share a colour have neighbouring markers.
_MARKERS = ("o", "X", "s", "^", "D", "v", "P", "<", "*")
# Largest number of entries of a legend that can be distinguished.
_MOST = 24
_LONGEST = 26
# Width of a figure, points.
_WIDTH = 780


@dataclass(frozen=True)
class Palette:
    """Styles of the points of each config_type.

    Attributes
    ----------
    names : tuple of str
        All config_types, those with a separate entry in the legend first.
    n_separate : int
        Number of those; all others share one entry.
    """

    names: tuple[str, ...]
    n_separate: int

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Palette:
        """Return the palette of config_types with these numbers of structures."""
        common = sorted(counts, key=lambda name: (-counts[name], name))[:_MOST]
        if len(counts) > _MOST:
            common = common[:-1]
        others = sorted(set(counts) - set(common))
        return cls((*sorted(common), *others), len(common))

    @property
    def labels(self) -> tuple[str, ...]:
        """Texts of the legend."""
        n_others = len(self.names) - self.n_separate
        names = tuple(shown_text(name) for name in self.names[: self.n_separate])
        return (*names, f"{n_others} other config_types") if n_others else names

    @property
    def n_columns(self) -> int:
        """Number of columns of the legend."""
        # In points: the mark with its distance, and the letters.
        width = 34 + 6 * max(map(len, self.labels), default=0)
        return max(1, min(6, len(self.labels), _WIDTH // width))

    @property
    def height(self) -> float:
        """Height of the legend, inches."""
        return 0.1 + 0.2 * -(-len(self.labels) // self.n_columns)

    def entry(self, name: str) -> int:
        """Return the entry of a config_type in the legend."""
        return min(self.names.index(name), self.n_separate)

    def style(self, entry: int) -> dict[str, str]:
        """Return colour and marker of an entry of the legend."""
        if entry == self.n_separate:
            return {"color": GREY, "marker": "."}
        # Their numbers have no common factor: 90 pairs before the first repeats.
        colour = COLOURS[entry % len(COLOURS)]
        return {"color": colour, "marker": _MARKERS[entry % len(_MARKERS)]}


def shown_text(name: str) -> str:
    """Return a text from data for figures: short, and without control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
