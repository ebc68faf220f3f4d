"""Tests of a potential where simulations may take it: heat, pressure, close contacts.

`stress_test` runs them; each test is a function that raises at the first failure.
"""

from gapfit.robustness.bounds import Bounds, find_bounds
from gapfit.robustness.results import TESTS, StressReport, StressSettings, Verdict
from gapfit.robustness.suite import stress_test

__all__ = [
    "TESTS",
    "Bounds",
    "StressReport",
    "StressSettings",
    "Verdict",
    "find_bounds",
    "stress_test",
]
