"""Errors and error bars against reference data."""

from gapfit.evaluation.evaluate import Metrics, format_table

__all__ = ["Metrics", "format_table"]
