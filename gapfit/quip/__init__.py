"""GAP models of QUIP: read, run and write them."""

from gapfit.quip.calculator import Potential
from gapfit.quip.gap_fit_command import translate
from gapfit.quip.read import load
from gapfit.quip.variance import local_variances
from gapfit.quip.write import save

__all__ = ["Potential", "load", "local_variances", "save", "translate"]
