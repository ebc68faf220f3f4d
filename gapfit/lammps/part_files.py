"""Files of one part of a script of LAMMPS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Files"]


@dataclass(frozen=True)
class Files:
    """Files of one part of a script.

    Attributes
    ----------
    folder : Path
        Their folder.
    """

    folder: Path

    @property
    def script(self) -> Path:
        """The commands."""
        return self.folder / "in.lammps"

    @property
    def structure(self) -> Path:
        """Structure at the end."""
        return self.folder / "structure.lammpstrj"

    @property
    def trajectory(self) -> Path:
        """Structures on the way."""
        return self.folder / "trajectory.lammpstrj"

    @property
    def report(self) -> Path:
        """Steps that have a restart file, and their temperatures."""
        return self.folder / "report.txt"

    def restart(self, step: int | str) -> Path:
        """Return the restart file of a step."""
        return self.folder / f"{step}.restart"

    def fixed_faces(self) -> list[tuple[int, int]]:
        """Return the faces of the box that are fixed and open, as of the first structure.

        Returns
        -------
        list of (int, int)
            Direction 0 to 2, and 0 for the lower or 1 for the upper face.
        """
        for path in (self.trajectory, self.structure):
            text = path.read_text() if path.exists() else ""
            # Of each direction two letters: p periodic, f fixed, s or m moving with atoms.
            if match := re.search(
                r"^ITEM: BOX BOUNDS.*? ([pfsm]{2}(?: [pfsm]{2}){2})\s*$",
                text,
                re.MULTILINE,
            ):
                return [
                    (axis, side)
                    for axis, letters in enumerate(match[1].split())
                    for side, letter in enumerate(letters)
                    if letter == "f"
                ]
        return []

    def temperatures(self) -> dict[int, float]:
        """Return the temperature of each step with a restart file, K."""
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        # The title of fix print is an empty line.
        pairs = [line.split() for line in lines if line]
        found = {int(step): float(temperature) for step, temperature in pairs}
        return {step: T for step, T in found.items() if self.restart(step).exists()}
