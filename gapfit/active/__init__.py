"""Active learning: choose what to label next, and learn during a simulation."""

from gapfit.active.simulation import Status

__all__ = ["Status"]
