"""Limits of what tuning chooses: deltas, sigmas, and their ratios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from helpers.tuning import PAIR, SOAP, Case, frames_of, settings

import gapfit
from gapfit.config.sections import TuneConfig
from gapfit.fitting.tune import tune
from gapfit.fitting.tune_limits import (
    DELTA_RANGE,
    LEAST_SIGMA,
    MOST_DELTA,
    freedom_of,
    limit_notes,
)
from gapfit.gp.evidence import Scales, log_evidence
from gapfit.gp.evidence_search import by_evidence
from gapfit.gp.freedom import Freedom, Leash, Limits
from gapfit.gp.hyperparameters import THOROUGH, _nearly_without


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(frames_of(), settings())


def chosen(case: Case, leash: Leash | None) -> Scales:
    """Return the best deltas and sigmas of forces and virials."""
    totals = case.grams.totals()
    start = Scales(np.ones(2), np.ones(len(totals)))
    numbers = {"energy": None, "forces": 0, "virial": 1}
    sigma = tuple(numbers[quantity] for quantity, _ in case.grams.groups)
    limits = Limits(1e-3, 1e3)
    freedom = Freedom((limits, limits), sigma, (False,) * 3, "both", leash=leash)
    return by_evidence(totals, case.grams.columns, start, freedom)


def test_deltas_stay_on_their_leash_at_the_best_sigma(case):
    free = chosen(case, None)
    group = [quantity for quantity, _ in case.grams.groups].index("forces")
    ratio = free.delta[1] / free.sigma[group]
    slack = chosen(case, Leash(group, (1e6, 2 * ratio)))
    np.testing.assert_allclose(slack.delta, free.delta, rtol=0.02)
    held = chosen(case, Leash(group, (1e6, ratio / 5)))
    assert held.delta[1] / held.sigma[group] == pytest.approx(ratio / 5, rel=0.03)
    # With this delta, the sigma is the best one.
    totals = case.grams.totals()
    slope = log_evidence(totals, case.grams.columns, held).sigma[group]
    rows = totals[group].n_rows
    assert abs(slope) < 0.02 * rows


def test_steps_from_little_of_a_term_end_at_its_leash():
    """Pairs and functions of silicon: errors fall with more of the functions."""
    ace = {"type": "ace", "r_cut": 4.0, "n_max": [3, 2], "l_max": [3, 1], "delta": 0.1}
    case = Case(frames_of(5), settings(terms=[PAIR, ace]))
    totals = case.grams.totals()
    free = freedom_of(case.config, TuneConfig(energy=False), case.grams, totals)
    assert free.leash is not None
    ratios = []
    for most in (1e6, 0.05):
        leash = replace(free.leash, most=(1e6, most))
        found = _nearly_without(
            case.grams, totals, replace(free, leash=leash), lambda: None, THOROUGH, 1
        ).scales
        ratios.append(found.delta[1] / found.sigma[leash.group])
    assert ratios[0] > 0.1
    assert ratios[1] == pytest.approx(0.05)


def freedom(case: Case, **sigma: float) -> Freedom:
    changed = case.config.model_copy(
        update={"sigma": case.config.sigma.model_copy(update=sigma)}
    )
    return freedom_of(changed, TuneConfig(), case.grams, case.grams.totals())


def test_limits_are_sensible_and_given_values_extend_them(case):
    usual = freedom(case, energy=0.01, forces=0.05)
    for limits, term in zip(usual.delta, case.config.terms, strict=True):
        assert limits.low * term.delta == pytest.approx(DELTA_RANGE.low)
        assert limits.high * term.delta == pytest.approx(DELTA_RANGE.high)
    assert usual.energy_limits.low * 0.01 == pytest.approx(LEAST_SIGMA["energy"])
    forces = usual.sigma_limits[usual.sigma[usual.leash.group]]
    assert forces.low * 0.05 == pytest.approx(LEAST_SIGMA["forces"])
    most = [
        m * t.delta for m, t in zip(usual.leash.most, case.config.terms, strict=True)
    ]
    np.testing.assert_allclose(most, MOST_DELTA * 0.05)
    tiny = freedom(case, energy=1e-5, forces=1e-3)
    assert tiny.energy_limits.low == 1.0
    assert tiny.sigma_limits[tiny.sigma[tiny.leash.group]].low == 1.0
    assert tiny.leash.most == (1.0, 1.0)


def test_sigmas_of_forces_keep_to_deltas_that_are_fixed(case):
    options = TuneConfig(delta=False)
    found = freedom_of(case.config, options, case.grams, case.grams.totals())
    assert found.delta == (None, None)
    limits = found.sigma_limits[found.sigma[found.leash.group]]
    least = max(term.delta for term in case.config.terms) / MOST_DELTA
    assert limits.low * case.config.sigma.forces == pytest.approx(
        min(least, case.config.sigma.forces)
    )


def test_notes_name_the_limits_that_act(case):
    free = freedom_of(case.config, TuneConfig(), case.grams, case.grams.totals())
    ones = Scales(np.ones(2), np.ones(3))
    assert not list(limit_notes(case.config, free, ones, case.grams))
    groups = [quantity for quantity, _ in case.grams.groups]
    sigma = np.ones(3)
    sigma[groups.index("energy")] = free.energy_limits.low
    delta = np.array([free.delta[0].low, 1.0])
    notes = list(limit_notes(case.config, free, Scales(delta, sigma), case.grams))
    assert len(notes) == 2
    assert "[[terms]] 1: delta stopped at 0.1 eV" in notes[0]
    assert "sigma.energy stopped at 0.0005 eV/atom" in notes[1]
    delta = np.array([free.leash.most[0], 1.0])
    (note,) = limit_notes(case.config, free, Scales(delta, np.ones(3)), case.grams)
    assert "[[terms]] 1: delta stopped at" in note
    assert "times sigma.forces" in note


def test_data_without_noise_do_not_tempt_tuning():
    """The likelihood alone would take far larger deltas for these sigmas."""
    frames = frames_of(12)
    result = tune(frames, settings(tune={"folds": 2}))
    sigma = result.config.sigma
    assert sigma.energy >= 0.999 * LEAST_SIGMA["energy"]
    for term in result.config.terms:
        most = max(MOST_DELTA * sigma.forces, 2.0 * sigma.forces / 0.05)
        assert term.delta <= 1.03 * most


def test_energies_alone_have_no_leash():
    frames = frames_of(6)
    for atoms in frames:
        energy = atoms.get_potential_energy()
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    data = {"train": ["in memory"], "use_forces": False, "use_stress": False}
    wanted = settings(data=data, terms=[PAIR, SOAP])
    case = Case(frames, wanted)
    totals = case.grams.totals()
    assert freedom_of(case.config, TuneConfig(), case.grams, totals).leash is None
    assert isinstance(tune(frames, wanted).config, gapfit.FitConfig)
