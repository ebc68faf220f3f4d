"""Search for the most accurate potentials at every cost within a time."""

from gapfit.search.driver import tune_within
from gapfit.search.result import FrontPoint, SearchResult

__all__ = ["FrontPoint", "SearchResult", "tune_within"]
