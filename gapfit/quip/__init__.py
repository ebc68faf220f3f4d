"""GAP models of QUIP: read, run and write them."""

from gapfit.quip.reading import load

__all__ = ["load"]
