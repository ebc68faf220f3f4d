"""Reports of a fit: one page with figures, which works without a network."""

from gapfit.report.collect import Wanted, collector, gather, of_fit
from gapfit.report.contents import Contents, DimerPanel, Part
from gapfit.report.learning import LearningCurve, learning_curve
from gapfit.report.writer import figures_folder, remove, require_folder, write

__all__ = [
    "Contents",
    "DimerPanel",
    "LearningCurve",
    "Part",
    "Wanted",
    "collector",
    "figures_folder",
    "gather",
    "learning_curve",
    "of_fit",
    "remove",
    "require_folder",
    "write",
]
