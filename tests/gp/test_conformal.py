"""Conformal intervals hold new observations."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.error_bars import residuals
from scipy.stats import norm

from gapfit.errors import GapfitError
from gapfit.evaluation.residual_scales import calibration_of
from gapfit.gp.conformal import conformal_quantiles, quantile


def observed(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Return scores by structure: heavy-tailed, of sizes and scales of their own."""
    sizes = rng.choice([1, 3, 24, 96], n)
    scales = np.exp(rng.normal(0, 0.7, n)) * np.where(sizes == 1, 3.0, 1.0)
    return [
        np.abs(scale * rng.standard_t(2.5, size))
        for scale, size in zip(scales, sizes, strict=True)
    ]


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9])
def test_intervals_hold_new_observations(level):
    """Of all observations of new structures, over repetitions of everything."""
    rng, held, sizes = np.random.default_rng(5), [], []
    n_structures, n = 60, 1000
    for _ in range(n):
        *known, new = observed(rng, n_structures + 1)
        structure = np.repeat(np.arange(n_structures), [len(own) for own in known])
        levels, quantiles = conformal_quantiles(np.concatenate(known), structure)
        held.append(np.mean(new <= quantile(levels, quantiles, level)))
        sizes.append(len(new))
    share = np.average(held, weights=sizes)
    error = np.sqrt(level * (1 - level) / n) * np.sqrt(np.mean(np.square(sizes)))
    error /= np.mean(sizes)
    # The largest structure is what they may hold more than asked.
    assert level - 3 * error <= share <= level + 0.1 + 3 * error


def test_one_observation_each_gives_order_statistics():
    scores = np.random.default_rng(6).exponential(size=19)
    levels, quantiles = conformal_quantiles(scores, np.arange(19))
    assert levels[-1] == 0.95
    ordered = np.sort(scores)
    for level, found in zip(levels, quantiles, strict=True):
        assert found == ordered[int(np.ceil(round(20 * level, 9))) - 1]
    assert (np.diff(quantiles) >= 0).all()


def test_multipliers_grow_with_the_level_and_end():
    rng = np.random.default_rng(7)
    found = calibration_of([residuals(rng, "a", 5.0) for _ in range(9)], "x", 9)
    levels = np.linspace(0.01, 0.9, 90)
    values = [found.multiplier("forces", level) for level in levels]
    assert (np.diff(values) >= 0).all()
    # A level in between has the multiplier of the next one.
    assert found.multiplier("forces", 0.655) == found.multiplier("forces", 0.66)
    # Nine structures weigh 9/10, so level 0.63 is the share 0.7 of their errors.
    expected = norm.ppf(0.5 + 0.5 * 0.7)
    assert found.multiplier("forces", 0.63) == pytest.approx(expected, abs=0.15)
    for level in (0.91, 0.99, 0.0, 1.0, -0.1, 1.2, np.nan):
        with pytest.raises(GapfitError, match=r"9 structures .* up to 0\.9;"):
            found.multiplier("forces", level)
    many = calibration_of([residuals(rng, "a", 5.0) for _ in range(120)], "x", 120)
    with pytest.raises(GapfitError, match=r"up to 0\.99, the highest there is$"):
        many.multiplier("forces", 0.999)
    with pytest.raises(GapfitError, match=r"interval 0\.5 of the virial.*at no level"):
        found.multiplier("virial", 0.5)
