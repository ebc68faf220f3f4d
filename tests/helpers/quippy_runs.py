"""Potentials of QUIP in a process of their own.

quippy keeps tables of soap_turbo from one potential to the next, where they are wrong.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import ase.io
import pytest
from ase import Atoms

_CODE = """
import sys
import ase.io
from ase.calculators.singlepoint import SinglePointCalculator
from quippy.potential import Potential

xml, words, structures, results = sys.argv[1:]
potential = Potential(words, param_filename=xml)
frames = ase.io.read(structures, ":")
for atoms in frames:
    atoms.calc = potential
    numbers = [atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()]
    found = dict(zip(("energy", "forces", "stress"), numbers))
    atoms.calc = SinglePointCalculator(atoms, **found)
ase.io.write(results, frames)
"""


def by_quippy(
    xml: Path, structures: Sequence[Atoms], folder: Path, words: str = ""
) -> list[Atoms]:
    """Return the structures with energy, forces and stress of a potential.

    Parameters
    ----------
    xml : Path
        The potential.
    structures : sequence of ase.Atoms
        What is predicted.
    folder : Path
        For files on the way.
    words : str
        Arguments of the potential.
    """
    pytest.importorskip("quippy")
    asked, answered = folder / "asked.traj", folder / "answered.traj"
    ase.io.write(asked, structures)
    command = [sys.executable, "-c", _CODE, str(xml), words, str(asked), str(answered)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ase.io.read(answered, ":")
