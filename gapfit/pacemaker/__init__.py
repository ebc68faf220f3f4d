"""Potentials of pacemaker and LAMMPS's ``pair_style pace``: files ``.yace``."""

from gapfit.pacemaker.read import load
from gapfit.pacemaker.write import save

__all__ = ["load", "save"]
