"""Evidence, held-out folds, leave-one-out and scans against refits and differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from builders import config, label, silicon
from helpers.tuning import PAIR, SOAP, Case, frames_of, settings

import gapfit
from gapfit.config.sections import TuneConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.errors import GapfitError, LostDigitsError
from gapfit.fitting.scan import with_settings
from gapfit.fitting.tune import tune
from gapfit.fitting.tune_limits import freedom_of
from gapfit.gp.evidence import Scales, held_out, log_evidence
from gapfit.gp.freedom import Freedom
from gapfit.gp.hyperparameters import _rescaled, choose, score
from gapfit.model.observation_groups import class_of

DATA = Path(__file__).parents[2] / "data"


def drawn_from_the_prior(sigma: float, seed: int) -> tuple[list[Atoms], dict]:
    """Label frames by a potential drawn from the prior, with noise on the forces."""
    frames = []
    for k in range(40):
        atoms = silicon(k)
        atoms.rattle(0.1 + 0.005 * k, seed=200 + k)
        frames.append(label(atoms))
    truth = config() | {
        "e0": {"Si": 0.0},
        "terms": [SOAP | {"delta": 2.0, "n_sparse": 200, "zeta": 4.0}],
        "data": {"train": ["in memory"], "use_stress": False},
        "sigma": {"energy": 0.001, "forces": sigma},
    }
    case = Case(frames, truth)
    rng = np.random.default_rng(seed)
    z = rng.normal(size=case.whitening.n_sparse)
    c = {14: case.whitening.undo(z)}
    term = replace(case.terms[0], coefficients=c)
    model = replace(gapfit.fit(frames, truth), terms=(term,))
    for atoms in frames:
        found = model.predict(atoms)
        noise = sigma * rng.normal(size=(8, 3))
        noisy = found.energy + 0.001 * np.sqrt(8) * rng.normal()
        results = {"energy": noisy, "forces": found.forces + noise}
        atoms.calc = SinglePointCalculator(atoms, **results)
    return frames, truth


def test_tune_recovers_sigma_and_delta_of_the_prior():
    ratios = []
    for seed in range(3):
        frames, truth = drawn_from_the_prior(0.08, seed)
        start = truth | {
            "terms": [truth["terms"][0] | {"delta": 0.5}],
            "sigma": {"energy": 0.001, "forces": 0.5},
            "tune": {"energy": False},
        }
        found = tune(frames, start).config
        ratios.append([found.terms[0].delta / 2.0, found.sigma.forces / 0.08])
    assert np.abs(np.array(ratios) - 1).max() < 0.15


def test_sigma_energy_is_recovered_roughly_by_held_out_energies():
    frames, truth = drawn_from_the_prior(0.08, 1)
    start = truth | {"sigma": {"energy": 0.05, "forces": 0.08}}
    found = tune(frames, start).config.sigma.energy
    assert found < 0.02


def test_the_tuned_configuration_is_the_best_nearby(case):
    wanted = settings(tune={"folds": 3, "energy": False})
    result = tune(case.dataset, wanted)
    assert result.config.tune is None
    best = result.best.log_marginal_likelihood
    model = gapfit.fit(case.dataset, result.config)
    # Chosen values have three digits.
    assert model.record.log_marginal_likelihood == pytest.approx(best, abs=0.2)
    for change in (0.7, 1.4):
        sigma = result.config.sigma
        moved = result.config.model_copy(
            update={"sigma": sigma.model_copy(update={"forces": change * sigma.forces})}
        )
        worse = gapfit.fit(case.dataset, moved).record.log_marginal_likelihood
        assert worse < best - 0.5


def test_trials_have_the_jitter_that_their_fit_raises(case):
    deltas_alone = {"energy": False, "forces": False, "virial": False}
    wanted = settings(solver={"jitter": 1e-12}, tune=deltas_alone | {"folds": 3})
    # A delta beyond the limits of tuning, as given, makes digits cancel.
    wanted["terms"][0] = wanted["terms"][0] | {"n_sparse": 40, "delta": 300.0}
    result = tune(case.dataset, wanted)
    model = gapfit.fit(case.dataset, result.config)
    assert model.record.jitter[0] > 1e-12
    assert model.record.log_marginal_likelihood == pytest.approx(
        result.best.log_marginal_likelihood, abs=0.05
    )
    given = gapfit.fit(case.dataset, result.given.config)
    assert given.record.jitter[1] == 1e-12
    assert given.record.log_marginal_likelihood == pytest.approx(
        result.given.log_marginal_likelihood, abs=0.05
    )


def test_the_same_input_gives_the_same_result(case):
    one, other = (tune(case.dataset, settings()) for _ in range(2))
    assert one.config == other.config
    assert one.summary() == other.summary()


def test_sigma_energy_minimises_the_product_of_held_out_errors(case):
    totals, groups = case.grams.totals(), case.grams.groups
    free = tuple(kind == "energy" for kind, _ in groups)
    freedom = Freedom((None, None), (None,) * len(groups), free, "both")
    chosen = choose(case.grams, totals, freedom)

    def product(factor: float) -> float:
        scales = Scales(np.ones(2), np.where(free, factor, 1.0))
        found = held_out(case.grams, totals, scales)
        return found.energy_mae * found.forces_rmse

    best = chosen.held_out.energy_mae * chosen.held_out.forces_rmse
    assert best <= min(map(product, (0.033, 0.1, 0.33, 1, 3, 10, 30))) * (1 + 1e-9)
    assert product(1.0) > best


def test_sigmas_of_classes_follow_their_noise():
    rng = np.random.default_rng(5)
    frames = frames_of(8)
    for atoms in frames:
        noise = 0.8 if atoms.info["config_type"] == "odd" else 0.05
        results = dict(atoms.calc.results)
        results["forces"] = results["forces"] + noise * rng.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, **results)
    wanted = settings(tune={"by_config_type": True, "virial": False})
    found = tune(frames, wanted).config.sigma
    assert found.config_types["odd"].forces == pytest.approx(0.8, rel=0.2)
    assert found.config_types["even"].forces < 0.3
    assert found.virial == 0.05
    assert found.config_types["even"].virial is None


def test_sigmas_that_frames_bring_are_left_alone():
    frames = frames_of(3)
    frames[0].info |= {"energy_sigma": 0.5}
    frames[1].arrays["force_sigma"] = np.full(len(frames[1]), 0.4)
    dataset = as_dataset(frames, config_from_dict(settings()))
    classes = [
        [class_of(frame, kind, {"odd"}) for kind in ("energy", "forces", "virial")]
        for frame in dataset.frames[:2]
    ]
    assert classes == [["(own)", "", ""], ["odd", "(own)", "odd"]]
    result = tune(dataset, settings(tune={"folds": 2}))
    assert np.isfinite(result.best.held_out.forces_rmse)


def test_sigmas_out_of_reach_of_the_arithmetic_are_turned_from(case, monkeypatch):
    from gapfit.gp import evidence_search, hyperparameters

    def fragile(totals, columns, scales):
        if scales.delta.max() > 1.5:
            raise LostDigitsError("not positive definite")
        return log_evidence(totals, columns, scales)

    free = tune(case.dataset, settings(tune={"folds": 3})).config.terms
    assert max(term.delta / given for term, given in zip(free, (2, 3), strict=True)) > 2
    for module in (evidence_search, hyperparameters):
        monkeypatch.setattr(module, "log_evidence", fragile)
    found = tune(case.dataset, settings(tune={"folds": 3})).config.terms
    assert found[0].delta <= 1.5 * 2.0
    assert found[1].delta <= 1.5 * 3.0


def test_sigmas_that_are_too_small_at_first_are_an_error(case, monkeypatch):
    from gapfit.gp import hyperparameters

    def fail(*_: object) -> None:
        raise LostDigitsError("the normal equations lose all digits")

    monkeypatch.setattr(hyperparameters, "log_evidence", fail)
    with pytest.raises(GapfitError, match="lose all digits"):
        tune(case.dataset, settings())


def test_rows_that_symmetry_makes_zero_do_not_count():
    """Forces in perfect crystals would make sigma seem small."""
    perfect = [label(bulk("Si", a=a)) for a in np.linspace(5.2, 5.7, 30)]
    wanted = settings(tune={"folds": 3})
    with_them = tune(frames_of() + perfect, wanted)
    without = tune(frames_of(), wanted)
    ratio = with_them.config.sigma.forces / without.config.sigma.forces
    assert 0.7 < ratio < 1.5


def test_isolated_atoms_are_not_judged():
    atom = label(Atoms("Si", cell=[12, 12, 12], pbc=True), config_type="isolated_atom")
    outlier = dict(atom.calc.results) | {"energy": 3.0}
    wanted = settings(
        e0={"Si": 0.0}, tune={"energy": False, "delta": False, "forces": False}
    )
    errors = []
    for results in (atom.calc.results, outlier):
        lone = atom.copy()
        lone.calc = SinglePointCalculator(lone, **results)
        found = tune([*frames_of(), lone], wanted)
        errors.append(found.given.held_out.energy_mae)
    assert errors[1] < errors[0] + 0.05  # an error of 3 eV among 19 would be 0.16


def test_automatic_sigmas_are_tuned_with_their_fractions():
    sigma = {"forces": 0.5, "forces_relative": 0.2}
    wanted = settings(sigma=sigma, tune={"energy": False})
    found = tune(frames_of(), wanted).config.sigma
    assert found.forces != 0.5
    assert found.forces_relative / 0.2 == pytest.approx(found.forces / 0.5, rel=0.02)


def test_deltas_that_run_away_are_noted(case):
    """A term that can explain nothing is switched off by the evidence, and named."""
    useless = {"type": "distance_2b", "r_cut": 2.0, "width": 0.5, "n_sparse": 5}
    close = label(Atoms("Si2", [[0, 0, 0], [1.9, 0, 0]], cell=[20, 20, 20], pbc=True))
    wanted = settings(terms=[useless, SOAP], tune={"folds": 2})
    wanted["sigma"] = {"config_types": {"lone": {"energy": 1e3, "forces": 1e3}}}
    close.info["config_type"] = "lone"
    result = tune([*frames_of(4), close], wanted)
    ratio = result.config.terms[0].delta / 3.0
    limits = [text for text in result.warnings if "delta stopped" in text]
    at_limit = ratio < 0.035 or ratio > 9.9
    assert at_limit == any("[[terms]] 1" in text for text in limits)


def test_a_single_frame_cannot_be_tuned():
    with pytest.raises(GapfitError, match="at least two frames"):
        tune(frames_of(1)[:1], settings())


def test_fit_with_optimize_fits_what_was_chosen(case):
    model = gapfit.fit(case.dataset, settings(tune={"folds": 3}))
    expected = tune(case.dataset, settings(tune={"folds": 3}))
    assert model.config == expected.config
    assert model.record.tuning == expected.summary()


def test_the_smoothness_of_functions_is_chosen_by_the_evidence():
    ace = {"type": "ace", "r_cut": 4.0, "orders": [2, 3], "smoothness": 4.0}
    ace |= {"n_max": [3, 2], "l_max": [3, 1]}
    frames = frames_of(6)
    wanted = settings(terms=[PAIR, ace], tune={"folds": 2, "energy": False})
    result = tune(frames, wanted)
    power = result.config.terms[1].smoothness
    assert power < 3.5
    best = gapfit.fit(frames, result.config).record.log_marginal_likelihood
    assert best == pytest.approx(result.best.log_marginal_likelihood, abs=0.1)
    for other in (power - 0.5, power + 0.5):
        changed = with_settings(result.config, {"ace.smoothness": max(other, 0.0)})
        worse = gapfit.fit(frames, changed).record.log_marginal_likelihood
        assert worse < best
    fixed = tune(frames, wanted | {"tune": {"folds": 2, "delta": False}})
    assert fixed.config.terms[1].smoothness == 4.0


def test_progress_does_not_stand_at_its_end():
    """Searches with little of `ace` are steps, too."""
    ace = {"type": "ace", "r_cut": 4.0, "n_max": [3, 2], "l_max": [3, 1]}
    shown = []

    def progress(stage: str, done: int, total: int, *_: object) -> None:
        if stage == "hyperparameters":
            shown.append((done, total))

    wanted = settings(terms=[PAIR, ace], tune={"folds": 2})
    tune(frames_of(5), wanted, progress=progress)
    assert shown[-1][0] == shown[-1][1]
    assert len(shown) == len(set(shown)) > 10


def test_functions_that_fit_tight_frames_do_not_spoil_the_others():
    """The likelihood alone asks for many of them: errors of the rest rise by half."""
    everything = read(DATA / "fe7cr2ni" / "train.extxyz", ":")
    kinds = {name: [] for name in ("fcc_rattled", "bulk_eos", "isolated_atom")}
    for atoms in everything:
        kinds[atoms.info["config_type"]].append(atoms)
    frames = [*kinds["fcc_rattled"][::2], *kinds["bulk_eos"][::3]]
    frames += kinds["isolated_atom"]
    soap = {"type": "soap", "r_cut": 5.0, "n_max": 4, "l_max": 3, "n_sparse": 40}
    ace = {"type": "ace", "r_cut": 5.0, "radial": "contracted", "n_max": [4, 2]}
    given = {
        "data": {"train": ["in memory"], "check_labels": False},
        "sigma": {
            "energy": 0.003,
            "config_types": {"bulk_eos": {"energy": 0.0002, "virial": 0.02}},
        },
        "terms": [{"type": "distance_2b", "r_cut": 5.0, "delta": 3.0}, soap],
    }
    without = tune(frames, given).best
    with_ace = tune(
        frames, given | {"terms": [*given["terms"], ace | {"l_max": [2, 1]}]}
    ).best
    errors = [score("both", trial.held_out) for trial in (with_ace, without)]
    assert errors[0] < 1.02 * errors[1]
    assert with_ace.config.terms[2].delta < 0.1


def test_a_share_of_many_sparse_points_is_taken(monkeypatch):
    monkeypatch.setattr("gapfit.fitting.tune._FEW_POINTS", 20)
    half = [PAIR, SOAP | {"n_sparse": 20}]
    frames, options = frames_of(9), {"folds": 2}
    found = tune(frames, settings(tune=options | {"share": 0.5}))
    same = tune(frames, settings(terms=half, tune=options | {"share": 1}))
    assert found.given.held_out == same.given.held_out
    assert found.config.sigma == same.config.sigma
    assert [term.delta for term in found.config.terms] == [
        term.delta for term in same.config.terms
    ]
    assert [term.n_sparse for term in found.config.terms] == [15, 30]


def test_held_out_errors_are_no_larger_than_with_the_given_settings(case):
    """A likelihood that wants another ratio of virials, say, must not cost energies."""
    for virial in (0.005, 0.05, 0.5):
        sigma = {"energy": 0.002, "forces": 0.05, "virial": virial}
        result = tune(case.dataset, settings(sigma=sigma, tune={"folds": 3}))
        assert result.best.score("both") <= result.given.score("both") * (1 + 1e-9)


def test_given_scales_are_tried_with_the_factor_that_the_evidence_wants(case):
    """Predictions stay, and the evidence is that of the best common factor."""
    terms, grams = case.config.terms, case.grams
    options = TuneConfig(folds=3)
    totals = grams.totals()
    free = freedom_of(case.config, options, grams, totals)
    ones = Scales(np.ones(len(terms)), np.ones(len(totals)))
    found = _rescaled(totals, grams.columns, ones, free)
    factor = found.delta[0]
    assert factor != pytest.approx(1, rel=0.01)
    np.testing.assert_allclose([*found.delta, *found.sigma], factor)
    values = [
        log_evidence(
            totals, grams.columns, Scales(c * ones.delta, c * ones.sigma)
        ).value
        for c in factor * np.array([0.99, 1.0, 1.01])
    ]
    assert np.argmax(values) == 1
    before, after = (held_out(grams, totals, scales) for scales in (ones, found))
    assert after.energy_mae == pytest.approx(before.energy_mae, rel=1e-6)
    assert after.forces_rmse == pytest.approx(before.forces_rmse, rel=1e-6)


def test_sigmas_of_many_classes_are_lowered_in_turn(monkeypatch):
    monkeypatch.setattr("gapfit.fitting.tune_limits._MIN_ROWS", 6)
    frames = frames_of(12)
    for n, atoms in enumerate(frames):
        atoms.info["config_type"] = f"kind {n % 6}"
    options = {"by_config_type": True, "folds": 2}
    result = tune(frames, settings(tune=options))
    assert len(result.config.sigma.config_types) == 6
    assert result.best.score("both") <= result.given.score("both") * (1 + 1e-9)


def test_numbers_of_points_that_are_scanned_are_taken_as_they_are(monkeypatch):
    monkeypatch.setattr("gapfit.fitting.tune._FEW_POINTS", 5)
    scan = {"scan": {"soap.n_sparse": [10, 20]}, "folds": 2}
    found = tune(frames_of(6), settings(tune=scan)).trials
    assert [trial.config.terms[1].n_sparse for trial in found] == [30, 10, 20]
    few, more = (trial.log_marginal_likelihood for trial in found[1:])
    assert few != more
    ten = settings(terms=[PAIR, SOAP | {"n_sparse": 10}], tune={"share": 1, "folds": 2})
    assert tune(frames_of(6), ten).best.log_marginal_likelihood == pytest.approx(few)


@pytest.mark.parametrize("fixed", ["delta", "energy", "forces", "virial"])
def test_there_is_no_common_factor_where_something_is_fixed(case, fixed):
    totals = case.grams.totals()
    for options, rescales in (({}, True), ({fixed: False}, False)):
        options = TuneConfig(folds=3, **options)
        free = freedom_of(case.config, options, case.grams, totals)
        assert free.rescales == rescales
