"""GAP models of QUIP: read, run and write them."""

from gapfit.quip.reading import load
from gapfit.quip.variance import local_variances

__all__ = ["load", "local_variances"]
