"""A script of LAMMPS that is run in parts, each from where the one before ended.

The first part is the script up to its ``run``. The others begin from a restart file: they
are the same commands without those that made or changed the atoms, which the file has.
``run N start A stop B`` keeps ramps of temperature and pressure those of the whole run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ase.data import atomic_numbers

from gapfit.errors import GapfitError
from gapfit.lammps.commands import NO_ELEMENT

__all__ = ["Files", "LammpsScript", "Segment", "read_script"]

# Stands for the file of the potential.
_MODEL = "<model>"

# Commands that make a system; the first of them is where the restart file is read.
_MAKE = ("create_box", "read_data", "read_restart")
# Commands that change atoms or write what the first part has written.
_CHANGE = (
    *("change_box", "create_atoms", "create_bonds", "delete_atoms", "delete_bonds"),
    *("displace_atoms", "minimize", "read_dump", "replicate", "reset_atoms"),
    *("reset_timestep", "restart", "set", "velocity", "write_data", "write_dump"),
    "write_restart",
)
# Commands after which the order of the lines is not that of the file.
_JUMPS = ("clear", "jump", "label", "next", "rerun")
# Styles of dumps that can be added to a file.
_GROWING_DUMPS = ("atom", "custom", "local", "xyz")
# Largest seed of LAMMPS's random numbers, and where that of fix langevin is.
_LARGEST_SEED, _SEED = 900_000_000, 7
# What dumps have of a structure.
_COLUMNS = "id element x y z"
_NUMBER = re.compile(r"variable\s+(\S+)\s+(?:equal|index|string)\s+(\d+)")


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

    def temperatures(self) -> dict[int, float]:
        """Return the temperature of each step with a restart file, K."""
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        # The title of fix print is an empty line.
        pairs = [line.split() for line in lines if line]
        found = {int(step): float(temperature) for step, temperature in pairs}
        return {step: T for step, T in found.items() if self.restart(step).exists()}


@dataclass(frozen=True)
class Segment:
    """Steps of one part, by LAMMPS's numbers.

    Attributes
    ----------
    start, end : int
        Where it begins and ends.
    first, last : int
        First and last step of the whole run.
    """

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True)
class LammpsScript:
    """A script with one run of a potential of gapfit.

    Attributes
    ----------
    path : Path
        Its file; LAMMPS runs in its folder.
    before, after : tuple of str
        Its commands before and after ``run``, one a line.
    elements : tuple of str
        Element of each atom type.
    steps : int
        Steps of its run.
    """

    path: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    elements: tuple[str, ...]
    steps: int

    def first_part(self, model: Path, files: Files) -> str:
        """Return the commands that make the system and do no step.

        Parameters
        ----------
        model : Path
            The exported potential.
        files : Files
            Files to write.
        """
        return _text([*self.before, "run 0", *self._end(files)], model)

    def next_part(
        self, model: Path, files: Files, segment: Segment, every: int, trajectory: int
    ) -> str:
        """Return the commands that go on from a restart file.

        Parameters
        ----------
        model, files
            As for `first_part`.
        segment : Segment
            The steps to do; after the last of them come the commands after ``run``.
        every : int
            Steps between restart files.
        trajectory : int
            Steps between structures beside theirs; 0: none.
        """
        n_steps = segment.end - segment.start
        lines = [
            *self._onward(files, segment.start),
            f"restart {every} {_quoted(files.restart('*'))}",
            "variable gapfit_step equal step",
            "variable gapfit_temp equal temp",
            f'fix gapfit all print {every} "${{gapfit_step}} ${{gapfit_temp}}" screen no '
            f'title "" file {_quoted(files.report)}',
            f"dump gapfit all custom {math.gcd(every, trajectory)} "
            f"{_quoted(files.trajectory)} {_COLUMNS}",
            f"dump_modify gapfit {self._exactly}",
            f"run {n_steps} start {segment.first} stop {segment.last}",
            *self._end(files),
            f'if "$(step) < {segment.last}" then quit',
            *self.after,
        ]
        return _text(lines, model)

    def _onward(self, files: Files, step: int) -> Iterator[str]:
        """Yield the commands before ``run`` that a restart file does not replace."""
        is_made = False
        for line in self.before:
            words = _words(line)
            if words[0] in _MAKE:
                if not is_made:
                    yield f"read_restart {_quoted(files.restart(step))}"
                is_made = True
            elif words[0] == "fix" and words[3:4] == ["langevin"]:
                yield _with_seed(words, step)
            elif not _changes_atoms(words):
                yield line
                if words[0] == "dump" and words[3] in _GROWING_DUMPS:
                    yield f"dump_modify {words[1]} append yes"

    def _end(self, files: Files) -> list[str]:
        """Return the commands that write where a part ended."""
        return [
            f'print "$(step) $(temp:%.17g)" append {_quoted(files.report)}',
            f"write_dump all custom {_quoted(files.structure)} {_COLUMNS} modify "
            f"{self._exactly}",
            f"write_restart {_quoted(files.restart('*'))}",
        ]

    @property
    def _exactly(self) -> str:
        return f"sort id format float %.17g element {' '.join(self.elements)}"


def read_script(path: Path, name: str) -> LammpsScript:
    """Return a script of a file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in messages.

    Raises
    ------
    GapfitError
        It cannot be read, or cannot be run in parts.
    """
    lines = list(_commands(path, path.parent, name))
    refuse = partial(_refuse, name)
    by_name: dict[str, list[list[str]]] = {}
    for words in map(_words, lines):
        by_name.setdefault(words[0], []).append(words)
    if jump := next((word for word in _JUMPS if word in by_name), None):
        raise refuse(f"`{jump}` cannot be followed in a script that is run in parts")
    if not any(word in by_name for word in _MAKE):
        raise refuse(f"makes no system: it needs one of {', '.join(_MAKE)}")
    is_hybrid = _is_hybrid(by_name.get("pair_style", []), refuse)
    ours = [n for n, line in enumerate(lines) if _is_ours(_words(line), is_hybrid)]
    if len(ours) != 1:
        raise refuse(
            f"has {len(ours)} lines `pair_coeff` of pair_style gapfit, and needs one, with "
            "any file, which gapfit replaces, and the element of each atom type"
        )
    words = _words(lines[ours[0]])
    place = 4 if is_hybrid else 3
    lines[ours[0]] = " ".join([*words[:place], _quoted(_MODEL), *words[place + 1 :]])
    steps = _steps(by_name.get("run", []), lines, refuse)
    run = next(n for n, line in enumerate(lines) if _words(line)[0] == "run")
    return LammpsScript(
        path,
        tuple(lines[:run]),
        tuple(lines[run + 1 :]),
        _elements(words[place + 1 :], refuse),
        steps,
    )


def _refuse(name: str, problem: str) -> GapfitError:
    return GapfitError(f"{name}: {problem}")


def _is_hybrid(
    styles: Sequence[Sequence[str]], refuse: Callable[[str], GapfitError]
) -> bool:
    """Return whether pair_style gapfit is one of several styles."""
    words = styles[-1] if styles else ()
    if "gapfit" not in words:
        raise refuse("has no line `pair_style gapfit`")
    if "extrapolation" in words:
        raise refuse(
            "remove `extrapolation` from pair_style: [threshold] says when a run stops"
        )
    return words[1] != "gapfit"


def _elements(
    words: Sequence[str], refuse: Callable[[str], GapfitError]
) -> tuple[str, ...]:
    if NO_ELEMENT in words:
        raise refuse(
            "a type is NULL in pair_coeff, and the reference needs its element"
        )
    wrong = [word for word in words if word not in atomic_numbers]
    if wrong or not words:
        found = f"{wrong[0]} is not an element" if wrong else "there is no element"
        raise refuse(f"pair_coeff: {found}; write that of each atom type")
    return tuple(words)


def _steps(
    runs: Sequence[Sequence[str]],
    lines: Sequence[str],
    refuse: Callable[[str], GapfitError],
) -> int:
    if len(runs) != 1:
        raise refuse(
            f"has {len(runs)} `run` commands, and needs one; give others a script and "
            "[[runs]] of their own"
        )
    matches = filter(None, map(_NUMBER.match, lines))
    values = {match[1]: match[2] for match in matches}
    words = [_value(word, values) for word in runs[0][1:]]
    if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise refuse(
            f"`{' '.join(runs[0])}`: write `run N` with the number of steps, or a variable "
            "with it, and no other words"
        )
    return int(words[0])


def _value(word: str, values: Mapping[str, str]) -> str:
    match = re.fullmatch(r"\$\{(\w+)\}|\$\(v_(\w+)\)|\$(\w)", word)
    return values.get(match[match.lastindex or 0], word) if match else word


def _commands(
    path: Path, folder: Path, name: str, outer: tuple[Path, ...] = ()
) -> Iterator[str]:
    """Yield the commands of a script and of those that it includes."""
    if path in outer:
        raise _refuse(name, "the script includes itself")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GapfitError(f"{name}: cannot be read ({error})") from error
    for line in re.sub(r"&[ \t]*\n", " ", text).splitlines():
        words = _words(line)
        if words[:1] == ["include"] and len(words) == 2:
            yield from _commands(folder / words[1], folder, words[1], (*outer, path))
        elif words:
            yield line.strip()


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _is_ours(words: Sequence[str], is_hybrid: bool) -> bool:
    """Return whether a command is the ``pair_coeff`` of pair_style gapfit."""
    return words[0] == "pair_coeff" and (not is_hybrid or words[3:4] == ["gapfit"])


def _changes_atoms(words: Sequence[str]) -> bool:
    """Return whether the atoms of a restart file are those after the command."""
    return words[0] in _CHANGE or (words[0] == "group" and "dynamic" not in words)


def _with_seed(words: Sequence[str], step: int) -> str:
    """Return a fix langevin with other random numbers than parts before."""
    words = list(words)
    if len(words) > _SEED and words[_SEED].isdigit():
        words[_SEED] = str(1 + (int(words[_SEED]) + step) % _LARGEST_SEED)
    return " ".join(words)


def _quoted(path: Path | str) -> str:
    return f'"{path}"'


def _text(lines: Sequence[str], model: Path) -> str:
    return "\n".join([*lines, ""]).replace(_MODEL, str(model))
