"""Named tolerances: what passes, and what a failure says."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit import testing
from gapfit.testing import SAME_POSTERIOR, SAME_POTENTIAL, Tolerance

NAMED = [value for value in vars(testing).values() if isinstance(value, Tolerance)]


@pytest.mark.parametrize("tolerance", NAMED)
def test_a_tolerance_is_absolute_or_relative(tolerance):
    """Both together would hide which one decides."""
    assert (tolerance.rtol > 0) != (tolerance.atol > 0)
    bound = tolerance.atol or tolerance.rtol * 4.0
    tolerance.check([4.0, 4.0 + 0.5 * bound], [4.0, 4.0])
    with pytest.raises(AssertionError, match=tolerance.allows[:20]):
        tolerance.check([4.0, 4.0 + 2 * bound], [4.0, 4.0])


def test_an_error_alone_must_be_near_zero():
    SAME_POTENTIAL.check(-1e-10)
    for error in (2e-9, np.nan):
        with pytest.raises(AssertionError):
            SAME_POTENTIAL.check(error)


def test_numbers_that_are_not_there_are_not_equal():
    with pytest.raises(AssertionError):
        SAME_POTENTIAL.check([1.0, np.nan], [1.0, np.nan])
    with pytest.raises(AssertionError):
        SAME_POTENTIAL.check(np.zeros(2), np.zeros(3))


def test_zero_is_not_almost_zero_where_the_bound_is_relative():
    SAME_POSTERIOR.check(0.0, 0.0)
    with pytest.raises(AssertionError):
        SAME_POSTERIOR.check(1e-15, 0.0)
