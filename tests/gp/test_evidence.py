"""The evidence and held-out errors, against fits and differences."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tuning import PAIR, SOAP, Case, frames_of, settings

import gapfit
from gapfit.gp.columns import FallingPrior
from gapfit.gp.evidence import Scales, held_out, log_evidence
from gapfit.testing import DENSE_ALGEBRA, REFIT, SAME_POSTERIOR


@pytest.fixture(scope="module")
def case() -> Case:
    overrides = {"odd": {"energy": 0.01, "forces": 0.1}}
    return Case(frames_of(), settings(sigma={"config_types": overrides}))


def ones(case: Case) -> Scales:
    return Scales(np.ones(2), np.ones(len(case.grams.groups)))


def test_evidence_equals_that_of_the_fit(case):
    model = gapfit.fit(case.dataset, case.config)
    found = log_evidence(case.grams.totals(), case.grams.columns, ones(case))
    SAME_POSTERIOR.check(found.value, model.record.log_marginal_likelihood)


def test_evidence_of_scaled_deltas_and_sigmas_equals_that_of_a_new_fit(case):
    groups = case.grams.groups
    factor = {"energy": 3.0, "forces": 0.5, "virial": 2.0}
    scales = Scales(
        np.array([0.4, 2.5]), np.array([factor[kind] for kind, _ in groups])
    )
    changed = settings(
        sigma={
            "energy": 0.006,
            "forces": 0.025,
            "virial": 0.1,
            "config_types": {"odd": {"energy": 0.03, "forces": 0.05}},
        },
        terms=[PAIR | {"delta": 0.8}, SOAP | {"delta": 7.5}],
    )
    model = gapfit.fit(case.dataset, changed)
    found = log_evidence(case.grams.totals(), case.grams.columns, scales)
    DENSE_ALGEBRA.check(found.value, model.record.log_marginal_likelihood)


def test_slopes_of_the_evidence_are_its_finite_differences(case):
    totals, columns = case.grams.totals(), case.grams.columns
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 0.5, 2 + len(totals))

    def at(x: np.ndarray):
        return log_evidence(totals, columns, Scales(np.exp(x[:2]), np.exp(x[2:])))

    slopes = np.concatenate([at(x).delta, at(x).sigma])
    for k, step in enumerate(1e-4 * np.eye(len(x))):
        numeric = (at(x + step).value - at(x - step).value) / 2e-4
        assert slopes[k] == pytest.approx(numeric, rel=5e-5, abs=1e-3)


def test_held_out_errors_are_those_of_refits(case):
    found = held_out(case.grams, case.grams.totals(), ones(case))
    energies, squares, counts = [], [], []
    for fold in range(3):
        rest = [
            f for f, own in zip(case.frames, case.folds, strict=True) if own != fold
        ]
        left = [
            f for f, own in zip(case.frames, case.folds, strict=True) if own == fold
        ]
        c, block = case.refit(rest), case.rows(left)
        # Errors count by their sigmas: those of "odd" frames less.
        is_odd = np.array([frame.config_type == "odd" for frame in left])[block.frame]
        weight = np.select([block.kind == 0, block.kind == 1], [0.2, 0.5])
        errors = (block.K @ c - block.y) * np.where(is_odd, weight, 1.0)
        per_atom = [len(left[k].numbers) for k in block.frame[block.kind == 0]]
        energies += list(errors[block.kind == 0] / per_atom)
        squares.append((errors[block.kind == 1] ** 2).sum())
        counts.append((block.kind == 1).sum())
    REFIT.check(found.energy_mae, np.abs(energies).mean())
    assert found.energy_rmse == pytest.approx(np.sqrt(np.mean(np.square(energies))))
    REFIT.check(found.forces_rmse, np.sqrt(sum(squares) / sum(counts)))
    by_fold = np.sqrt(np.divide(squares, counts))
    REFIT.check(found.forces_typical, np.exp(np.log(by_fold).mean()))


ACE = {
    "type": "ace",
    "r_cut": 4.0,
    "orders": [2, 3],
    "n_max": [3, 2],
    "l_max": [3, 1],
    "delta": 0.5,
}


@pytest.fixture(scope="module")
def with_functions() -> Case:
    return Case(frames_of(6), settings(terms=[PAIR, ACE]))


def test_evidence_of_another_smoothness_equals_that_of_a_new_fit(with_functions):
    case = with_functions
    ratios = np.array([1.0, 0.6]), np.ones(len(case.grams.groups))
    for power in (0.2, 2.5):
        terms = [PAIR, ACE | {"smoothness": power, "delta": 0.3}]
        model = gapfit.fit(case.dataset, settings(terms=terms))
        scales = Scales(*ratios, powers={1: power - 1.0})
        found = log_evidence(case.grams.totals(), case.grams.columns, scales)
        DENSE_ALGEBRA.check(found.value, model.record.log_marginal_likelihood)


def test_the_slope_of_the_evidence_by_the_smoothness_is_its_difference(with_functions):
    totals, columns = with_functions.grams.totals(), with_functions.grams.columns

    def at(change: float):
        scales = Scales(np.array([1.3, 0.7]), np.ones(len(totals)), {1: change})
        return log_evidence(totals, columns, scales)

    for change in (-0.7, 0.0, 1.5):
        numeric = (at(change + 1e-4).value - at(change - 1e-4).value) / 2e-4
        assert abs(numeric) > 0.1
        assert at(change).powers[1] == pytest.approx(numeric, rel=2e-5, abs=1e-4)


def test_the_sum_of_prior_variances_does_not_depend_on_the_power():
    degrees = np.array([2.0, 3.0, np.inf, 7.0])
    prior = FallingPrior(0, slice(0, 4), degrees, 1.0)
    variances = np.where(np.isfinite(degrees), degrees**-2.0, 0.0)
    for change in (-1.0, 0.5, 6.0):
        factors = prior.factors(change)
        assert (variances * factors**2).sum() == pytest.approx(variances.sum())
        assert factors[3] / factors[0] == pytest.approx(3.5**-change)
