"""GAP models of QUIP: read, run and write them."""

from gapfit.quip.gap_fit_command import translate
from gapfit.quip.read import load
from gapfit.quip.variance import local_variances
from gapfit.quip.write import save

__all__ = ["load", "local_variances", "save", "translate"]
