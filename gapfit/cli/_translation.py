"""Commands of gap_fit as configurations, with what their training data contain."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.data.files import RawFrame
    from gapfit.quip.gap_fit_command import Translation
    from gapfit.quip.remarks import Remark

__all__ = ["command_text", "print_remarks", "translated"]

#: Largest size of a command, bytes.
_LONGEST = 1_000_000


def command_text(path: Path) -> str:
    """Return the text of a file with a command.

    Raises
    ------
    GapfitError
        The file is too long for a command, or not text.
    """
    if path.stat().st_size > _LONGEST:
        raise GapfitError(
            "neither a model (.xml, .npz) nor a command of gap_fit: too long"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise GapfitError(
            "neither a model (.xml, .npz) nor a command of gap_fit: not text"
        ) from None


def translated(
    command: str | Sequence[str],
    *,
    base: Path,
    folder: Path,
    species: Sequence[str] = (),
    core_table: str | None = None,
) -> tuple[Translation, Path | None]:
    """Return a command as a configuration, and its training data if they do not exist.

    Parameters
    ----------
    command : str or sequence of str
        See `gapfit.quip.translate`.
    base : Path
        Folder that paths in the command refer to.
    folder : Path
        Folder of the configuration, which its paths refer to.
    species : sequence of str
        Symbols of the species; by default those in the training data.
    core_table : str, optional
        See `gapfit.quip.translate`.

    Raises
    ------
    GapfitError
        The command is not one of gap_fit, or its training data cannot be read.
    """
    from gapfit.data.files import load
    from gapfit.quip.gap_fit_command import translate
    from gapfit.quip.gap_fit_ranges import block_ranges
    from gapfit.quip.gap_fit_tokens import command_options

    data = command_options(command, []).text("atoms_filename", "at_file")
    train = base / data if data else None
    contents = ranges = None
    if train is not None and train.is_file():
        contents = _Contents.of(train)
        numbers = contents.numbers

        def ranges(settings: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
            frames = (raw.frame for raw in load(train, Path()))
            return block_ranges(frames, settings, numbers)

    translation = translate(
        command,
        species=species or (contents.symbols if contents else ()),
        labels=contents.labels if contents else None,
        average_energy=contents.average_energy if contents else None,
        core_table=core_table,
        ranges=ranges,
        place=lambda file: _placed(file, base, folder),
    )
    return translation, train if contents is None else None


def print_remarks(console: Console, remarks: Iterable[Remark]) -> None:
    """Print options without counterpart, if there are any, under a title."""
    if remarks := list(remarks):
        console.title("Without counterpart, or with a different one")
        for remark in remarks:
            console.say(f"  - {remark}")


def _placed(file: str, base: Path, folder: Path) -> str:
    """Return a path relative to the folder of the configuration."""
    if Path(file).is_absolute():
        return file
    return Path(os.path.relpath(base.absolute() / file, folder.absolute())).as_posix()


@dataclass
class _Contents:
    """Labels and species of training data.

    Attributes
    ----------
    labels : set of str
        Names of all labels.
    numbers : set of int
        Atomic numbers.
    energies : dict of str to list of float
        Numbers of frames by label, divided by the number of atoms: energies, eV/atom, if
        the label is one of energies.
    """

    labels: set[str] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    energies: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def of(cls, train: Path) -> _Contents:
        """Return the contents of a file."""
        from gapfit.data.files import load

        contents = cls()
        for raw in load(train, Path()):
            contents._add(raw)
        return contents

    def _add(self, raw: RawFrame) -> None:
        self.labels.update(raw.labels)
        self.numbers.update(raw.frame.numbers.tolist())
        for name, value in raw.labels.items():
            if isinstance(value, int | float):
                self.energies[name].append(value / raw.frame.n_atoms)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols of the species."""
        from ase.data import chemical_symbols

        return [chemical_symbols[z] for z in sorted(self.numbers)]

    def average_energy(self, label: str) -> float | None:
        """Return the average of energy / n_atoms, eV; None if there are no energies."""
        energies = self.energies.get(label)
        return sum(energies) / len(energies) if energies else None
