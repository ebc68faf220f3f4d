"""From data to a model: the Python interface and what the settings mean."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from builders import DATA, STRUCTURES, config, label, labelled_frames, silicon

import gapfit
from gapfit.config.sections import FitConfig, SigmaConfig
from gapfit.data.dataset import read as read_dataset
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.sigmas import frame_sigmas
from gapfit.errors import ConfigError, DataError
from gapfit.execution.plan import plan
from gapfit.fitting.sound_fit import SPOILT
from gapfit.testing import FORCE_SLOPE, STRESS_SLOPE


def test_the_same_from_atoms_files_and_configuration(tmp_path):
    frames = labelled_frames(silicon, 3)
    write(tmp_path / "train.xyz", frames, format="extxyz")
    (tmp_path / "fit.toml").write_text(
        '[data]\ntrain = "train.xyz"\ncheck_labels = false\n[e0]\n'
        'method = "least_squares"\n[[terms]]\nr_cut = 4.5\nn_max = 5\nl_max = 4\n'
        "n_sparse = 40\nzeta = 3.0\n"
    )
    stored = read(tmp_path / "train.xyz", ":")
    models = [
        gapfit.fit(stored, config()),
        gapfit.fit(tmp_path / "train.xyz", config()),
        gapfit.fit(config=tmp_path / "fit.toml"),
        gapfit.fit([str(tmp_path / "train.xyz")], tmp_path / "fit.toml"),
    ]
    reference = models[0].terms[0].coefficients[14]
    for model in models[1:]:
        np.testing.assert_array_equal(model.terms[0].coefficients[14], reference)
        assert model.record.data_digest == models[0].record.data_digest


def test_progress_reports_every_stage_to_its_end():
    calls = []
    gapfit.fit(
        labelled_frames(silicon, 3), config(), progress=lambda *a: calls.append(a)
    )
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    expected = ["environments", "sparse points", "rows", "solve", "projections"]
    assert stages == [*expected, "calibrate"]
    for stage in stages:
        done = [d for s, d, _ in calls if s == stage]
        total = {t for s, _, t in calls if s == stage}
        assert done[0] == 0
        assert done == sorted(done)
        assert {done[-1]} == total


def test_the_plan_is_what_happens():
    parsed = FitConfig.model_validate(config())
    data = read_dataset(labelled_frames(silicon, 3), parsed.data)
    planned = plan(data, parsed)
    model = gapfit.fit(data, parsed)
    assert (
        planned.n_rows
        == model.record.n_rows
        == {
            "energy": 3,
            "forces": 72,
            "virial": 18,
        }
    )
    assert planned.n_atoms == model.record.n_atoms == 24
    assert planned.n_sparse == model.n_sparse == 24
    assert planned.n_features == (model.terms[0].descriptor.n_features,)


def test_too_many_sparse_points_is_a_warning():
    model = gapfit.fit(labelled_frames(silicon, 2), config(n_sparse=500))
    assert model.n_sparse == 16
    assert any(
        "500 sparse points wanted for Si, only 16 distinct" in text
        for text in model.record.warnings
    )


@pytest.mark.parametrize("method", ["cur", "fps", "random"])
def test_fits_are_reproducible_and_follow_the_seed(method):
    frames = labelled_frames(silicon, 4)

    def coefficients(seed: int) -> np.ndarray:
        settings = config(n_sparse=12, sparse_method=method) | {"run": {"seed": seed}}
        return gapfit.fit(frames, settings).terms[0].coefficients[14]

    np.testing.assert_array_equal(coefficients(1), coefficients(1))
    assert not np.array_equal(coefficients(1), coefficients(2))


def test_sparse_points_are_per_species():
    model = gapfit.fit(
        labelled_frames(STRUCTURES["three_species"], 4), config(n_sparse=6)
    )
    assert {z: len(p) for z, p in model.terms[0].sparse.items()} == {
        32: 6,
        51: 6,
        52: 6,
    }


def test_two_soaps_with_different_cutoffs():
    settings = config()
    settings["terms"] = [settings["terms"][0], {**settings["terms"][0], "r_cut": 3.2}]
    frames = labelled_frames(silicon, 4)
    model = gapfit.fit(frames, settings)
    assert [t.descriptor.cutoff for t in model.terms] == [4.5, 3.2]
    from gapfit.testing import forces_error, stress_error

    atoms = silicon()
    FORCE_SLOPE.check(forces_error(model, atoms))
    STRESS_SLOPE.check(stress_error(model, atoms))
    assert np.all(model.predict(atoms, std=True).energies_std > 0)


def test_cholesky_and_qr_agree_on_real_data():
    frames = read(DATA / "silicon" / "train.extxyz", "::3")
    isolated = [a for a in read(DATA / "silicon" / "train.extxyz", ":") if len(a) == 1]
    frames += [a for a in isolated if a.info["config_type"] == "isolated_atom"]
    settings = {"terms": [{"r_cut": 5.0, "n_sparse": 100}]}
    settings["data"] = {"train": ["in memory"], "check_labels": False}
    predictions = []
    test = read(DATA / "silicon" / "test.extxyz", ":")
    for method in ("cholesky", "qr"):
        model = gapfit.fit(frames, settings | {"solver": {"method": method}})
        predictions.append(model.predict(test, std=True))
    for a, b in zip(*predictions, strict=True):
        assert a.energy == pytest.approx(b.energy, abs=1e-8 * len(a.energies))
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=1e-8)
        np.testing.assert_allclose(a.energies_std, b.energies_std, rtol=0, atol=1e-8)


def test_the_smaller_sigma_is_fitted_more_closely():
    frames = labelled_frames(silicon, 6)

    def errors(**types: dict) -> dict:
        settings = config(n_sparse=30)
        settings["sigma"] = {"energy": 0.01, "forces": 0.3, "config_types": types}
        return gapfit.evaluate(gapfit.fit(frames, settings), frames)

    plain, tight = errors(), errors(odd={"forces": 0.003, "energy": 0.0001})
    assert tight["odd"]["forces"]["rmse"] < 0.8 * plain["odd"]["forces"]["rmse"]
    assert tight["even"]["forces"]["rmse"] > plain["even"]["forces"]["rmse"]


def test_sigmas_of_frame_config_type_and_default():
    atoms = label(silicon(), config_type="odd")
    sigma = SigmaConfig.model_validate(
        {
            "energy": 0.01,
            "forces": 0.1,
            "virial": 0.2,
            "config_types": {"odd": {"forces": 0.5}},
        }
    )
    data = FitConfig.model_validate(config()).data

    def sigmas(**info: object):
        changed = atoms.copy()
        changed.calc = SinglePointCalculator(changed, **atoms.calc.results)
        changed.info.update(info)
        (frame,) = read_dataset([changed], data).frames
        return frame_sigmas(frame, sigma)

    root = np.sqrt(8)
    energy, forces, virial = sigmas()
    assert (energy, virial) == (pytest.approx(0.01 * root), pytest.approx(0.2 * root))
    np.testing.assert_array_equal(forces, np.full((8, 3), 0.5))
    energy, forces, virial = sigmas(
        energy_sigma=0.03, force_sigma=0.7, virial_sigma=0.4
    )
    assert (energy, virial) == (pytest.approx(0.03 * root), pytest.approx(0.4 * root))
    np.testing.assert_array_equal(forces, np.full((8, 3), 0.7))


def test_a_config_type_that_is_not_there_is_noticed():
    frames = labelled_frames(silicon, 2)
    settings = config() | {"sigma": {"config_types": {"Evn": {"energy": 0.1}}}}
    (warning,) = (
        text
        for text in gapfit.fit(frames, settings).record.warnings
        if "config_type" in text
    )
    assert "Evn: no frame has this config_type; did you mean 'even'?" in warning


@pytest.mark.parametrize(
    ("e0", "species"), [({"method": "least_squares"}, (14,)), ({"Si": -1.0}, ())]
)
def test_the_model_remembers_species_without_an_isolated_atom(e0, species):
    model = gapfit.fit(labelled_frames(silicon, 3), config() | {"e0": e0})
    assert model.record.without_atom == species


def test_missing_e0_and_bad_configuration_stop_before_the_work():
    frames = labelled_frames(silicon, 2)
    with pytest.raises(DataError, match="no energy of the isolated atom for Si"):
        gapfit.fit(frames, {"terms": [{}], "e0": {"method": "isolated"}})
    with pytest.raises(ConfigError) as caught:
        gapfit.fit(frames, {"terms": [{"n_spase": 3, "zeta": -1}], "solvr": {}})
    for text in ("n_spase", "n_sparse", "zeta", "solvr", "solver"):
        assert text in str(caught.value)


def test_stress_of_the_wrong_sign_is_noticed_while_fitting():
    frames = [a for a in read(DATA / "silicon" / "train.extxyz", "::2") if len(a) > 1]
    flipped = []
    for atoms in frames:
        results = dict(atoms.calc.results)
        if "stress" in results:
            results["stress"] = -results["stress"]
            atoms.calc = SinglePointCalculator(atoms, **results)
            flipped.append(atoms)
    settings = {"terms": [{"n_sparse": 10, "n_max": 3, "l_max": 2}]}
    settings["e0"] = {"method": "least_squares"}
    model = gapfit.fit(flipped, settings)
    assert any("opposite sign" in text for text in model.record.warnings)


def test_frames_without_targets_among_large_ones():
    """An energy-only frame in a batch of its own while energies are not fitted."""
    lone = Atoms("Si", positions=[[0, 0, 0]])
    lone.calc = SinglePointCalculator(lone, energy=-1.0, forces=np.zeros((1, 3)))
    frames = [lone, *(label(silicon() * (3, 2, 2)) for _ in range(2))]
    settings = config(n_sparse=8)
    settings["data"] = settings["data"] | {"use_energies": False}
    model = gapfit.fit(frames, settings)
    assert model.record.n_rows["energy"] == 0
    assert model.e0 == {14: 0.0}
    assert np.isfinite(model.predict(silicon()).energy)


def test_sigmas_below_all_digits_are_summed_up_again_by_qr():
    frames = labelled_frames(silicon, 6)
    settings = config(n_sparse=48) | {"sigma": {"energy": 1e-10}}
    settings["data"] = settings["data"] | {"use_forces": False, "use_stress": False}
    model = gapfit.fit(frames, settings)
    assert model.config.solver.method == "qr"
    assert any(text.startswith(SPOILT) for text in model.record.warnings)


def test_sparse_points_by_config_type(caplog):
    frames = labelled_frames(silicon, 6)
    plain = gapfit.fit(frames, config(n_sparse=30))
    quotas = {"odd": 25, "nothing": 1}
    model = gapfit.fit(frames, config(n_sparse=30, config_type_n_sparse=quotas))
    term = plain.terms[0]
    odd = [structure_arrays(a) for a in frames if a.info["config_type"] == "odd"]
    pairs = pairs_of(odd, term.descriptor.cutoff)
    own = term.descriptor.environments(pairs)[14].values

    def from_odd(fitted: gapfit.GAPModel) -> int:
        points = fitted.terms[0].sparse[14]
        return int((np.abs(points @ own.T - 1).min(axis=1) < 1e-12).sum())

    assert from_odd(plain) < 24 <= from_odd(model) == 24
    assert (
        "[[terms]] 1: config_type_n_sparse: nothing: no frame has this config_type "
        "(there are even, odd)"
    ) in caplog.text


def test_quotas_beyond_the_number_of_points_are_an_error():
    with pytest.raises(ConfigError, match=r"adds up to 50: .* at most n_sparse = 40"):
        gapfit.fit(
            labelled_frames(silicon, 2), config(config_type_n_sparse={"odd": 50})
        )
