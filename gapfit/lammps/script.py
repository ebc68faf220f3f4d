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
from gapfit.lammps.part_files import Files

__all__ = ["LammpsScript", "Segment", "read_script"]

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
# What `if` must not do: whether it does is known to LAMMPS alone.
_NEVER_IN_IF = {"include", "pair_coeff", "run", *_MAKE, *_CHANGE, *_JUMPS}
# Styles of dumps that can be added to a file.
_GROWING_DUMPS = ("atom", "custom", "extxyz", "local", "xyz", "yaml")
# Largest seed of LAMMPS's random numbers, and where that of fix langevin is.
_LARGEST_SEED, _SEED = 900_000_000, 7
# What dumps have of a structure.
_COLUMNS = "id element x y z"
_TRIPLE = '"""'
# Texts in quotes, in which # begins no comment.
_QUOTED_OR_COMMENT = re.compile(r'"""(?s:.*?)"""|"[^"]*"|\'[^\']*\'|#')
# Average over one step: unlike those of computes and thermo, its value is there after a
# run whatever the script prints, in all versions of LAMMPS.
_THERMOMETER = (
    "compute gapfit_temperature all temp",
    "fix gapfit_temperature all ave/time 1 1 1 c_gapfit_temperature",
)


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
        lines = [*self.before, *_THERMOMETER, "run 0", *self._end(files)]
        return _text(lines, model)

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
            "variable gapfit_temperature equal f_gapfit_temperature",
            *_THERMOMETER,
            f'fix gapfit all print {every} "${{gapfit_step}} ${{gapfit_temperature}}" '
            f'screen no title "" file {_quoted(files.report)}',
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
            elif _is_langevin(words):
                yield _with_seed(words, step)
            elif not _changes_atoms(words):
                yield line
                if _is_growing_dump(words):
                    yield f"dump_modify {words[1]} append yes"

    def _end(self, files: Files) -> list[str]:
        """Return the commands that write where a part ended."""
        return [
            f'print "$(step) $(f_gapfit_temperature:%.17g)" append {_quoted(files.report)}',
            f"write_dump all custom {_quoted(files.structure)} {_COLUMNS} modify "
            f"{self._exactly}",
            f"write_restart {_quoted(files.restart('*'))}",
        ]

    @property
    def _exactly(self) -> str:
        return f"sort id format float %.17g element {' '.join(self.elements)}"


def read_script(
    path: Path, name: str, variables: Mapping[str, Sequence[str]] | None = None
) -> LammpsScript:
    """Return a script of a file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in messages.
    variables : mapping of str to sequence of str, optional
        Values of variables that the command line sets.

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
    for words in by_name.get("if", ()):
        # Each command that `if` may run is a text in quotes.
        inner = re.findall(r"[\"']\s*(\w+)", " ".join(words))
        if word := next((word for word in inner if word in _NEVER_IN_IF), None):
            raise refuse(
                f"`if` with `{word}` cannot be followed: write it without `if`"
            )
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
    elements = _elements(words[place + 1 :], refuse)
    runs = [n for n, line in enumerate(lines) if _words(line)[0] == "run"]
    if len(runs) != 1:
        raise refuse(
            f"has {len(runs)} `run` commands, and needs one; give others a script and "
            "[[runs]] of their own"
        )
    before, run, after = lines[: runs[0]], lines[runs[0]], lines[runs[0] + 1 :]
    values = _values(before, variables or {})
    before = [_with_known_seed(line, values, refuse) for line in before]
    steps = _steps(_words(run), values, refuse)
    return LammpsScript(path, tuple(before), tuple(after), elements, steps)


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
    run: Sequence[str],
    values: Mapping[str, str],
    refuse: Callable[[str], GapfitError],
) -> int:
    words = [_value(word, values) for word in run[1:]]
    if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise refuse(
            f"`{' '.join(run)}`: write `run N` with the number of steps, or a variable "
            "with it, and no other words"
        )
    return int(words[0])


def _values(lines: Sequence[str], given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return variables as they are after some commands, formulas as they are written.

    Those `given` are variables of the style index.
    """
    values = {name: words[0] for name, words in given.items()}
    for words in map(_words, lines):
        match words:
            case ["variable", name, "index", value, *_]:
                # LAMMPS ignores what follows the first.
                values.setdefault(name, value)
            case ["variable", name, _, *formula]:
                values[name] = " ".join(formula)
    return values


def _value(word: str, values: Mapping[str, str]) -> str:
    match = re.fullmatch(r"\$\{(\w+)\}|\$\(v_(\w+)\)|\$(\w)", word)
    return values.get(match[match.lastindex or 0], word) if match else word


def _with_known_seed(
    line: str, values: Mapping[str, str], refuse: Callable[[str], GapfitError]
) -> str:
    """Return a command, with the seed of fix langevin as a number."""
    words = _words(line)
    if not _is_langevin(words):
        return line
    words[_SEED] = _value(words[_SEED], values)
    if not words[_SEED].isdigit():
        raise refuse(
            f"`{line}`: write the seed as a whole number, or a variable with it; each "
            "part of the run needs another one"
        )
    return " ".join(words)


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
    for line in _whole_lines(text, name):
        words = _words(line)
        if words[:1] == ["include"]:
            inner = " ".join(words[1:]).strip("\"'")
            yield from _commands(folder / inner, folder, inner, (*outer, path))
        elif words:
            yield line.strip()


def _whole_lines(text: str, name: str) -> Iterator[str]:
    """Yield the lines of a script, joined where one goes on in the next.

    It does so after ``&``, and within triple quotes, whose text has several lines.
    """
    waiting: list[str] = []
    for line in re.sub(r"&[ \t]*\n", " ", text).split("\n"):
        waiting.append(line)
        if "\n".join(waiting).count(_TRIPLE) % 2 == 0:
            yield "\n".join(waiting)
            waiting = []
    if waiting:
        raise _refuse(
            name, f"`{waiting[0].strip()}`: the text in triple quotes does not end"
        )


def _words(line: str) -> list[str]:
    """Return the words of a command without its comment, which no quoted text begins."""
    for match in _QUOTED_OR_COMMENT.finditer(line):
        if match[0] == "#":
            return line[: match.start()].split()
    return line.split()


def _is_ours(words: Sequence[str], is_hybrid: bool) -> bool:
    """Return whether a command is the ``pair_coeff`` of pair_style gapfit."""
    return words[0] == "pair_coeff" and (not is_hybrid or words[3:4] == ["gapfit"])


def _changes_atoms(words: Sequence[str]) -> bool:
    """Return whether the atoms of a restart file are those after the command."""
    return words[0] in _CHANGE or (words[0] == "group" and "dynamic" not in words)


def _is_langevin(words: Sequence[str]) -> bool:
    return words[0] == "fix" and words[3:4] == ["langevin"] and len(words) > _SEED


def _is_growing_dump(words: Sequence[str]) -> bool:
    """Return whether a command is a dump that goes to one file, which can grow."""
    is_growing = words[0] == "dump" and len(words) > 5 and words[3] in _GROWING_DUMPS
    return is_growing and "*" not in words[5]


def _with_seed(words: Sequence[str], step: int) -> str:
    """Return a fix langevin with other random numbers than parts before."""
    seed = str(1 + (int(words[_SEED]) + step) % _LARGEST_SEED)
    return " ".join([*words[:_SEED], seed, *words[_SEED + 1 :]])


def _quoted(path: Path | str) -> str:
    return f'"{path}"'


def _text(lines: Sequence[str], model: Path) -> str:
    return "\n".join([*lines, ""]).replace(_MODEL, str(model))
