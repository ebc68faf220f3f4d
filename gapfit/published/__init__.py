"""Published data sets and potentials by name, and those that come with gapfit.

The network is used by `get` alone, and only for what does not come with gapfit.
"""

from gapfit._support.paper import Paper
from gapfit.published.entry import Entry, entries
from gapfit.published.fetch import LocalCopy, get

__all__ = ["Entry", "LocalCopy", "Paper", "entries", "get"]
