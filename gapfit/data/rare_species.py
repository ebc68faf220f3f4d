"""Species with so few atoms in the data that they may be misprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.isolated import is_isolated, is_marked
from gapfit.data.places import count_frames

__all__ = ["SpeciesTally"]

#: Most atoms that a species is suspected with, and fewest frames that show it is rare.
_FEW_ATOMS, _MANY_FRAMES = 2, 20


@dataclass
class _Count:
    """Atoms of one species: how many, in which frames, and the first of them."""

    atoms: int
    frames: list[int]
    first: int


class SpeciesTally:
    """Numbers of atoms of each species, except those of isolated atoms."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._rare: dict[int, _Count] = {}
        self._sound: set[int] = set()
        self._latest = b""

    def add(self, number: int, frame: Frame) -> None:
        """Add the next frame."""
        self._n_frames += 1
        numbers = frame.numbers.tobytes()
        # Consecutive frames often have the same atoms: of sound species, as a rule.
        if numbers == self._latest:
            return
        species, first, counts = np.unique(
            frame.numbers, return_index=True, return_counts=True
        )
        # Those who compute an isolated atom mean the species.
        if is_isolated(frame) or is_marked(frame):
            self._sound.update(species.tolist())
        for z, atom, n in zip(
            species.tolist(), first.tolist(), counts.tolist(), strict=True
        ):
            if z not in self._sound:
                count = self._rare.setdefault(z, _Count(0, [], atom))
                count.atoms += n
                count.frames.append(number)
                if count.atoms > _FEW_ATOMS:
                    self._sound.add(z)
                    del self._rare[z]
        if self._sound.issuperset(species.tolist()):
            self._latest = numbers

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        """Return warnings; `frames` are all that were added."""
        if self._n_frames < _MANY_FRAMES:
            return []
        return [
            _text(z, count, frames)
            for z, count in sorted(self._rare.items())
            if z not in self._sound
        ]


def _text(z: int, count: _Count, frames: Sequence[Frame]) -> str:
    from ase.data import chemical_symbols

    symbol = chemical_symbols[z] if 0 <= z < len(chemical_symbols) else f"species {z}"
    atoms = "1 atom" if count.atoms == 1 else f"{count.atoms} atoms"
    return (
        f"{symbol}: {atoms} in {count_frames(count.frames)} "
        f"({frames[count.frames[0]].source}, atom {count.first}): a misprint? No model "
        "learns a species from so few atoms: correct the symbol, or leave the frame out"
    )
