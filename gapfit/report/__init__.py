"""Reports of a fit: one page with figures, which works offline."""

from gapfit.report.collect import ReportOptions, collector, gather, of_fit
from gapfit.report.contents import Contents, DimerPanel, EvaluatedData
from gapfit.report.learning import LearningCurve, learning_curve
from gapfit.report.writer import figures_folder, remove, require_folder, write

__all__ = [
    "Contents",
    "DimerPanel",
    "EvaluatedData",
    "LearningCurve",
    "ReportOptions",
    "collector",
    "figures_folder",
    "gather",
    "learning_curve",
    "of_fit",
    "remove",
    "require_folder",
    "write",
]
