"""Reference calculations: a calculator that is asked, and the file of its answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.errors import GapfitError

__all__ = ["LabelFile", "Reference", "read_back", "single_point"]

#: How often a calculation is tried.
_TRIES = 2
#: Positions that differ by more are another structure, Å; files keep eight decimals.
_SAME = 1e-6


class Reference:
    """Gives energy, forces and, where it can, stress.

    Parameters
    ----------
    calculator : callable
        Makes the ASE calculator; called when first needed.
    title : str
        What messages call it.
    """

    def __init__(self, calculator: Callable[[], Any], title: str) -> None:
        self._make = calculator
        self._made: Any = None
        self.title = title

    def require(self) -> None:
        """Raise the error of a calculator that cannot be made."""
        if self._made is None:
            self._made = self._make()

    def label(
        self, atoms: Any, where: str, failed: Callable[[str], None]
    ) -> dict[str, Any]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å³) of a structure.

        Forces are those of all atoms, whatever is held by constraints.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure; it is not changed.
        where : str
            What messages call it.
        failed : callable
            Told the reason of each failure.

        Raises
        ------
        GapfitError
            It failed twice, or gave numbers that are not finite.
        """
        reasons = []
        for _ in range(_TRIES):
            try:
                self.require()
                return _results(atoms, self._made)
            except GapfitError as error:
                reason = str(error)
            except Exception as error:  # calculators fail in their own ways
                reason = f"{type(error).__name__}: {error}"
            reasons.append(reason)
            failed(reason)
            # Results of the failure must not be taken for those of the next try.
            if hasattr(self._made, "reset"):
                self._made.reset()
        raise GapfitError(
            f"{self.title} failed for {where}, {_TRIES} times: {reasons[-1]}; all "
            "calculations before it are saved: mend the cause, and go on by --resume"
        )


def _results(atoms: Any, calculator: Any) -> dict[str, Any]:
    from ase.calculators.calculator import PropertyNotImplementedError

    asked = atoms.copy()
    asked.set_constraint()
    asked.calc = calculator
    found: dict[str, Any] = {
        "energy": float(asked.get_potential_energy()),
        "forces": np.array(asked.get_forces(), dtype=float),
    }
    if asked.pbc.all():
        with suppress(PropertyNotImplementedError, NotImplementedError):
            found["stress"] = np.array(asked.get_stress(voigt=True), dtype=float)
    for name, value in found.items():
        if not np.isfinite(value).all():
            raise GapfitError(f"it gave {name} that are not finite")
    return found


def single_point(
    atoms: Any,
    results: dict[str, Any],
    info: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Any:
    """Return a structure with labels, and what else is known about it and its atoms."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    out = Atoms(
        atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    out.calc = SinglePointCalculator(out, **results)
    out.info.update(info or {})
    for name, array in (arrays or {}).items():
        out.new_array(name, array)
    return out


def read_back(text: str) -> Any:
    """Return the structure in the text of one frame of extended XYZ."""
    from io import StringIO

    from ase.io.extxyz import read_xyz

    return next(read_xyz(StringIO(text), slice(0, 1)))


class LabelFile:
    """Labelled structures in extended XYZ: each is on the disk before it is used.

    What a killed process left of its last one is cut off.

    Parameters
    ----------
    path : Path
        The file; made if missing.

    Attributes
    ----------
    frames : list of ase.Atoms
        Those in the file, as they are read from it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: list[Any] = []
        path.touch()
        self._read()

    def __len__(self) -> int:
        return len(self.frames)

    def _read(self) -> None:
        with self.path.open("rb+") as file:
            end = 0
            while text := _whole_frame(file):
                self.frames.append(read_back(text))
                end = file.tell()
            file.truncate(end)

    def append(self, atoms: Any) -> Any:
        """Write a structure, wait until it is on the disk, and return it as written."""
        from io import StringIO

        from ase.io import write

        stream = StringIO()
        write(stream, atoms, format="extxyz")
        with self.path.open("ab") as file:
            file.write(stream.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
        self.frames.append(read_back(stream.getvalue()))
        return self.frames[-1]

    def require_same(self, number: int, atoms: Any) -> None:
        """Refuse a labelled structure that is not the one expected in its place.

        Raises
        ------
        GapfitError
            The file is that of another simulation.
        """
        found = self.frames[number]
        same = np.array_equal(found.numbers, atoms.numbers) and all(
            np.abs(a - b).max() < _SAME
            for a, b in (
                (found.positions, atoms.positions),
                (found.cell.array, atoms.cell.array),
            )
        )
        if not same:
            raise GapfitError(
                f"{self.path}, frame {number}: is not the structure that this simulation "
                "asks for in its place; the file or the state beside it was changed: "
                "give the labelled frames as data.train of a new one"
            )


def _whole_frame(file: Any) -> str | None:
    """Return the text of the next frame; None where it is not there to its end."""
    header = file.readline()
    if not header.strip().isdigit():
        return None
    lines = [header, *(file.readline() for _ in range(int(header) + 1))]
    return b"".join(lines).decode() if lines[-1].endswith(b"\n") else None
