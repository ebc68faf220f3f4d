"""Evidence, held-out folds, leave-one-out and scans against refits and differences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from conftest import config, label, labelled_frames, sheared, silicon

import gapfit
from gapfit._support.progress import silent
from gapfit.cli import main
from gapfit.config.sections import TuneConfig
from gapfit.config.toml import config_from_dict, load_config
from gapfit.data.dataset import as_dataset
from gapfit.errors import ConfigError, GapfitError, LostDigitsError
from gapfit.evaluation.leave_one_out import leave_one_out
from gapfit.fitting.folds import assign_folds, fill, own_classes
from gapfit.fitting.prepare import prepare, sparse_terms, whitened
from gapfit.fitting.trials import format_trials
from gapfit.fitting.tune import tune
from gapfit.gp.evidence import Scales, held_out, log_evidence
from gapfit.gp.hyperparameters import Freedom, choose
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.observation_groups import class_of
from gapfit.model.rows import row_block

PAIR = {"type": "distance_2b", "r_cut": 4.5, "n_sparse": 15, "delta": 2.0}
SOAP = {"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 30, "zeta": 2.0}
FOLDS = TuneConfig(folds=3)


def frames_of(n: int = 9) -> list[Atoms]:
    return labelled_frames(silicon, n) + labelled_frames(sheared, n)


def settings(**more: object) -> dict:
    return config() | {"terms": [PAIR, SOAP], **more}


class Case:
    """Prepared data, terms and Gram matrices of one configuration."""

    def __init__(self, frames: list[Atoms], wanted: dict, options=FOLDS) -> None:
        self.config = config_from_dict(wanted)
        self.dataset = as_dataset(frames, self.config)
        self.prepared = prepare(self.dataset, self.config, Path(), silent)
        self.frames = self.prepared.frames
        self.terms = sparse_terms(self.prepared, self.config, [], silent)
        self.whitening = whitened(self.terms, self.config, [])
        self.grams = fill(
            self.prepared, self.terms, self.whitening, self.config, options, silent
        )
        self.folds = assign_folds(self.frames, options, self.config.run.seed)

    def rows(self, frames: list) -> object:
        return row_block(frames, self.terms, self.prepared.e0, self.config.sigma)

    def refit(self, frames: list) -> np.ndarray:
        """Return the coefficients of a fit to some of the frames."""
        sums, block = TrainingSums(self.whitening, "cholesky"), self.rows(frames)
        sums.add(("all", ""), block.K, block.y, block.sigma)
        return sums.solve().coefficients


@pytest.fixture(scope="module")
def case() -> Case:
    overrides = {"odd": {"energy": 0.01, "forces": 0.1}}
    return Case(frames_of(), settings(sigma={"config_types": overrides}))


def ones(case: Case) -> Scales:
    return Scales(np.ones(2), np.ones(len(case.grams.groups)))


def test_evidence_equals_that_of_the_fit(case):
    model = gapfit.fit(case.dataset, case.config)
    found = log_evidence(case.grams.totals(), case.grams.columns, ones(case))
    assert found.value == pytest.approx(model.info["log_marginal_likelihood"], rel=1e-9)


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
    assert found.value == pytest.approx(model.info["log_marginal_likelihood"], rel=1e-8)


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
    energies, square, n = [], 0.0, 0
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
        square += (errors[block.kind == 1] ** 2).sum()
        n += (block.kind == 1).sum()
    assert found.energy_mae == pytest.approx(np.abs(energies).mean(), rel=1e-6)
    assert found.energy_rmse == pytest.approx(np.sqrt(np.mean(np.square(energies))))
    assert found.forces_rmse == pytest.approx(np.sqrt(square / n), rel=1e-6)


def test_leave_one_out_errors_are_those_of_refits(case):
    model = gapfit.fit(case.dataset, case.config)
    found = leave_one_out(model, case.dataset)
    errors: dict[int, list] = {0: [], 1: []}
    for n, frame in enumerate(case.frames):
        c = case.refit(case.frames[:n] + case.frames[n + 1 :])
        block = case.rows([frame])
        residual = block.K @ c - block.y
        errors[0] += list(1000 * residual[block.kind == 0] / frame.n_atoms)
        errors[1] += list(residual[block.kind == 1])
    for kind, name in enumerate(("energy", "forces")):
        own = np.abs(errors[kind])
        assert found["all"][name]["mae"] == pytest.approx(own.mean(), rel=1e-6)
        assert found["all"][name]["max"] == pytest.approx(own.max(), rel=1e-6)
    stress = gapfit.evaluate(model, case.dataset)["all"]["stress"]
    assert found["all"]["stress"]["rmse"] > stress["rmse"]


def test_leave_one_out_refuses_other_data_and_models_without_posterior(case):
    model = gapfit.fit(case.dataset, case.config)
    with pytest.raises(GapfitError, match="not those that the model was fitted to"):
        leave_one_out(model, frames_of(2))
    with pytest.raises(GapfitError, match="without its posterior"):
        leave_one_out(replace(model, posterior=None), case.dataset)


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
    assert model.info["log_marginal_likelihood"] == pytest.approx(best, abs=0.05)
    for change in (0.7, 1.4):
        sigma = result.config.sigma
        moved = result.config.model_copy(
            update={"sigma": sigma.model_copy(update={"forces": change * sigma.forces})}
        )
        worse = gapfit.fit(case.dataset, moved).info["log_marginal_likelihood"]
        assert worse < best - 0.5


def test_the_same_input_gives_the_same_result(case):
    one, other = (tune(case.dataset, settings()) for _ in range(2))
    assert one.config == other.config
    assert one.summary() == other.summary()


def test_sigma_energy_minimises_the_product_of_held_out_errors(case):
    totals, groups = case.grams.totals(), case.grams.groups
    free = tuple(kind == "energy" for kind, _ in groups)
    freedom = Freedom((False, False), (None,) * len(groups), free, "both")
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


def test_folds_spread_every_config_type():
    wanted = config_from_dict(settings())
    frames = as_dataset(frames_of(8), wanted).frames
    folds = assign_folds(frames, TuneConfig(folds=4), 0)
    kinds = np.array([frame.config_type for frame in frames])
    for kind in ("even", "odd"):
        assert np.bincount(folds[kinds == kind], minlength=4).tolist() == [2] * 4
    runs = assign_folds(frames, TuneConfig(folds=4, consecutive=True), 0)
    assert np.all(np.diff(runs[kinds == "even"]) >= 0)
    few = own_classes(frames[:3], TuneConfig(by_config_type=True))
    assert few == set()  # two frames of one kind, one of the other


def test_sigmas_out_of_reach_of_the_arithmetic_are_turned_from(case, monkeypatch):
    from gapfit.gp import hyperparameters

    def fragile(totals, columns, scales):
        if scales.delta.max() > 1.5:
            raise LostDigitsError("not positive definite")
        return log_evidence(totals, columns, scales)

    free = tune(case.dataset, settings(tune={"folds": 3})).config.terms
    assert max(term.delta / given for term, given in zip(free, (2, 3), strict=True)) > 2
    monkeypatch.setattr(hyperparameters, "log_evidence", fragile)
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


def test_folds_are_fewer_where_memory_is_short(case):
    wanted = settings(tune={"folds": 9}, run={"memory": "1.5 MB"})
    result = tune(case.dataset, wanted)
    assert any("folds instead of 9" in text for text in result.warnings)
    with pytest.raises(GapfitError, match=r"even with 2 folds, run\.memory"):
        tune(case.dataset, wanted | {"run": {"memory": "1.2 MB"}})


def test_a_scan_finds_the_range_of_the_potential():
    scan = {"distance_2b.r_cut": [3.0, 5.0], "soap.zeta": [2, 4]}
    result = tune(frames_of(), settings(tune={"folds": 3, "scan": scan}))
    assert [trial.settings for trial in result.trials] == [
        {},
        {"distance_2b.r_cut": 3.0},
        {"distance_2b.r_cut": 5.0},
        {"distance_2b.r_cut": 5.0, "soap.zeta": 4},
    ]
    assert result.config.terms[0].r_cut == 5.0
    scores = [trial.score("both") for trial in result.trials]
    assert result.best.score("both") == min(scores)
    table = format_trials(result.summary()).splitlines()
    assert len(table) == 6
    assert sum(line.startswith("*") for line in table) == 1


def test_a_scan_never_ends_worse_than_what_was_tried(case):
    scan = {"soap.n_max": [3], "distance_2b.r_cut": [2.4]}
    result = tune(case.dataset, settings(tune={"folds": 3, "scan": scan}))
    assert len(result.trials) == 3
    assert "distance_2b.r_cut" not in result.best.settings
    assert result.best.score("both") == min(t.score("both") for t in result.trials)


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


def test_missing_targets_are_refused_as_judges_and_left_out_of_json(here, capsys):
    (here / "noforces.toml").write_text(
        (here / "fit.toml")
        .read_text(encoding="utf-8")
        .replace("check_stress = false", "check_stress = false\nuse_forces = false"),
        encoding="utf-8",
    )
    assert main(["tune", "noforces.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["given"]["forces_rmse"] is None
    text = (here / "noforces.toml").read_text(encoding="utf-8")
    (here / "bad.toml").write_text(
        text.replace("folds = 2", 'folds = 2\nscore = "forces"'), encoding="utf-8"
    )
    assert main(["tune", "bad.toml"]) == 1
    assert "no such targets to hold out" in capsys.readouterr().err


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
    limits = [text for text in result.warnings if "end of the search" in text]
    assert (ratio < 1.1e-3 or ratio > 900) == any("[[terms]] 1" in t for t in limits)


def test_mistakes_in_a_scan_are_all_listed():
    scan = {"soap.rcut": [4.0], "soap.zeta": [0.1], "2.n_max": [], "9.r_cut": [4.0]}
    with pytest.raises(ConfigError) as caught:
        tune(frames_of(2), settings(tune={"scan": scan}))
    text = str(caught.value)
    assert 'no key "soap.rcut"; did you mean "soap.r_cut"?' in text
    assert "`zeta` = 0.1 must be a number >= 1" in text
    assert '"2.n_max" has no values to try' in text
    assert 'no key "9.r_cut"' in text


def test_candidates_that_cannot_be_made_do_not_end_a_scan(case):
    scan = {"soap.rbf": ["polynomial"], "soap.n_max": [3, 9]}
    result = tune(case.dataset, settings(tune={"folds": 3, "scan": scan}))
    polynomial = result.best.settings.get("soap.rbf") == "polynomial"
    skipped = [text for text in result.warnings if "could not be tried" in text]
    assert len(skipped) == int(polynomial)
    assert len(result.trials) == 4 - int(polynomial)


@pytest.mark.parametrize("values", [4.0, [float("nan")], {"r_cut": [4.0]}])
def test_scans_need_lists_of_values(values):
    with pytest.raises(ConfigError, match='"soap" needs a list of numbers'):
        config_from_dict(settings(tune={"scan": {"soap": values}}))


def test_a_single_frame_cannot_be_tuned():
    with pytest.raises(GapfitError, match="at least two frames"):
        tune(frames_of(1)[:1], settings())


def test_fit_with_optimize_fits_what_was_chosen(case):
    model = gapfit.fit(case.dataset, settings(tune={"folds": 3}))
    expected = tune(case.dataset, settings(tune={"folds": 3}))
    assert model.config == expected.config
    assert model.info["tuning"] == expected.summary()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.extxyz", frames_of(4))
    (tmp_path / "fit.toml").write_text(
        '[data]\ntrain = "train.extxyz"\ntest = "nowhere.extxyz"\ncheck_stress = false\n'
        '[e0]\nmethod = "least_squares"\n'
        '[tune]\nfolds = 2\nscan = { "soap.r_cut" = [3.5, 4.0] }\n'
        "[[terms]]\nn_max = 4\nl_max = 3\nn_sparse = 20\n",
        encoding="utf-8",
    )
    return tmp_path


def test_command_writes_configuration_and_plot_and_needs_no_test_set(here, capsys):
    assert main(["tune", "fit.toml"]) == 0
    out = capsys.readouterr().out
    assert "log evidence" in out
    assert "gapfit fit fit-tuned.toml" in out
    tuned = load_config(here / "fit-tuned.toml")
    assert tuned.tune is None
    assert tuned.data.train == ["train.extxyz"]
    assert tuned.sigma.forces != 0.05
    assert (here / "fit-tuned.png").read_bytes().startswith(b"\x89PNG")
    assert main(["tune", "fit.toml"]) == 1
    assert (
        "fit-tuned.toml: exists already; give another name, or --force"
        in capsys.readouterr().err
    )
    assert main(["tune", "fit.toml", "--force", "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [trial["settings"].get("soap.r_cut") for trial in trials] == [None, 3.5, 4.0]


def test_command_evaluates_left_out_structures(here, capsys):
    assert main(["tune", "fit.toml"]) == 0
    tuned = (here / "fit-tuned.toml").read_text(encoding="utf-8")
    (here / "fit-tuned.toml").write_text(
        tuned.replace('test = ["nowhere.extxyz"]', "test = []"), encoding="utf-8"
    )
    assert main(["fit", "fit-tuned.toml", "--output", "model"]) == 0
    capsys.readouterr()
    command = ["evaluate", "model/model.npz", "train.extxyz", "--json"]
    assert main(command) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert main([*command, "--leave-one-out"]) == 0
    left_out = json.loads(capsys.readouterr().out)
    for kind in ("energy", "forces"):
        assert left_out["all"][kind]["rmse"] > fitted["all"][kind]["rmse"]
