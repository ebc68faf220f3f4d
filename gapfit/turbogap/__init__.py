"""Potentials of TurboGAP: files ``.gap`` with their tables, read and written."""

from gapfit.turbogap.read import load
from gapfit.turbogap.write import input_lines, save

__all__ = ["input_lines", "load", "save"]
