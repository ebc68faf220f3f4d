"""Models and calculators that are copied, pickled and sent to other processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.mep import NEB
from ase.optimize import BFGS
from builders import ROOT, cluster, config, labelled_frames, silicon, three_species

import gapfit
import gapfit.quip

WAYS = [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))]
QUIP = ROOT / "tests" / "quip_models"


def assert_same(one: gapfit.GAPModel, other: gapfit.GAPModel, atoms: Atoms) -> None:
    """Compare predictions to the last bit."""
    std = one.posterior is not None
    for left, right in zip(
        *(
            vars(model.predict(atoms, std=std, novelty=std)).values()
            for model in (one, other)
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("name", ["si_model", "si_full", "gst_full"])
def test_copies_predict_the_same(name, used, way, request):
    model = request.getfixturevalue(name)
    atoms = three_species() if name == "gst_full" else silicon(7)
    if used:
        model.predict(atoms, std=True, novelty=True)
    found = way(model)
    assert found is not model
    assert_same(found, model, atoms)
    assert found.config == model.config
    assert (found.info, found.e0) == (model.info, model.e0)


@pytest.mark.parametrize("way", WAYS)
def test_copies_are_saved_the_same(way, si_full, tmp_path):
    held_out = labelled_frames(cluster, 3)
    calibrated = gapfit.calibrate(si_full, held_out, fitted=False)
    assert calibrated.calibration is not None
    way(calibrated).save(tmp_path / "copy.npz")
    calibrated.save(tmp_path / "model.npz")
    written = [(tmp_path / f"{name}.npz").read_bytes() for name in ("copy", "model")]
    assert written[0] == written[1]


def test_a_copy_is_of_its_own(si_model):
    found = copy.deepcopy(si_model)
    found.info["note"] = "mine"
    found.terms[0].coefficients[14][:] = 0.0
    assert "note" not in si_model.info
    assert si_model.terms[0].coefficients[14].any()


@pytest.mark.parametrize("name", ["P/gap.xml", "FeCrNi/gap.xml.gz", "GST/gap.xml"])
def test_models_of_quip_are_copied(name):
    model = gapfit.quip.load(QUIP / name)
    atoms = Atoms(np.resize(model.species, 3), [[0, 0, 0], [2.3, 0, 0], [0, 2.4, 0.2]])
    for way in WAYS:
        assert_same(way(model), model, atoms)
        assert way(model).info == model.info


@pytest.mark.parametrize("settings", [{"store_posterior": False}, {}])
def test_what_a_fit_may_keep_is_copied(settings):
    frames = labelled_frames(silicon, 4)
    model = gapfit.fit(frames[:2], config() | {"run": settings})
    for way in WAYS:
        assert_same(way(model), model, frames[3])
        assert (way(model).training_sums is None) == (model.training_sums is None)
    if model.training_sums is not None:
        one, other = (gapfit.append(x, frames[2:]) for x in (way(model), model))
        assert_same(one, other, frames[3])


def test_a_calculator_of_the_baseline_is_made_again():
    baseline = {
        "calculator": "ase.calculators.lj:LennardJones",
        "calculator_options": {"sigma": 2.0, "epsilon": 0.01, "rc": 5.0},
    }
    model = gapfit.fit(labelled_frames(silicon, 2), config() | {"baseline": baseline})
    atoms = silicon()
    model.predict(atoms)
    for way in WAYS:
        assert_same(way(model), model, atoms)
        assert isinstance(way(model).baseline.calculator.calculator, LennardJones)
        assert way(model).baseline.calculator.trusted


def test_dscribe_is_copied():
    atoms = silicon()
    model = gapfit.fit(labelled_frames(silicon, 2), config(engine="dscribe"))
    for way in WAYS:
        assert_same(way(model), model, atoms)


def test_a_spawned_process_predicts_the_same(gst_full):
    atoms, context = three_species(), multiprocessing.get_context("spawn")
    gst_full.predict(atoms)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(gst_full.predict, atoms, std="energies").result(120)
    expected = gst_full.predict(atoms, std="energies")
    assert found.energy == expected.energy
    np.testing.assert_array_equal(found.forces, expected.forces)
    np.testing.assert_array_equal(found.energies_std, expected.energies_std)


def test_copied_calculators_keep_settings_and_results(si_model):
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(
        si_model, uncertainty=["forces", "novelty"], skin=1.0, n_threads=1
    )
    forces = atoms.get_forces()
    for other in (copy.deepcopy(atoms), pickle.loads(pickle.dumps(atoms))):
        calculator = other.calc
        assert calculator is not atoms.calc
        assert (calculator.uncertainty, calculator.novelty) == (("forces",), True)
        assert (calculator.pairs.skin, calculator.n_threads) == (1.0, 1)
        assert calculator.results.keys() == atoms.calc.results.keys()
        assert not calculator.calculation_required(other, ["forces"])
        np.testing.assert_array_equal(other.get_forces(), forces)
        assert calculator.pairs.n_searches == 0
        other.rattle(0.1, seed=3)
        np.testing.assert_array_equal(
            other.get_forces(), si_model.predict(other).forces
        )
        assert (calculator.pairs.n_searches, atoms.calc.pairs.n_searches) == (1, 1)
        np.testing.assert_array_equal(atoms.get_forces(), forces)


def test_deep_copies_of_a_calculator_share_its_model(si_model):
    calculator = gapfit.GAPCalculator(si_model)
    assert copy.deepcopy(calculator).model is si_model
    assert pickle.loads(pickle.dumps(calculator)).model is not si_model


def test_images_of_a_path_have_copies(si_model):
    first, last = silicon(), silicon()
    last.positions[0] += [0.3, 0.1, 0.0]
    first.calc = gapfit.GAPCalculator(si_model, uncertainty=False)
    images = [copy.deepcopy(first) for _ in range(4)]
    images.append(last)
    last.calc = copy.deepcopy(first.calc)
    band = NEB(images, method="improvedtangent")
    band.interpolate()
    with BFGS(band, logfile=None) as run:
        run.run(fmax=0.0, steps=3)
    for image in images[1:-1]:
        np.testing.assert_array_equal(
            image.get_forces(), si_model.predict(image).forces
        )
    assert len({id(image.calc.pairs) for image in images}) == 5
