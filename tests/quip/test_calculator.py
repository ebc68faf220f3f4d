"""`gapfit.quip.Potential` beside quippy's Potential, asked in the same words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from builders import ROOT

from gapfit.errors import GapfitError, ModelFileError
from gapfit.quip import Potential
from gapfit.testing import OTHER_PROGRAM

SMALL = ROOT / "tests" / "quip_models"
#: Three species with pairs, triplets and SOAP; pairs that count once.
MODELS = {"GST": "gap.xml", "CuAl": "gap.xml"}
ASKED = ["energy", "free_energy", "forces", "stress", "energies"]


def path_of(name: str) -> str:
    return str(SMALL / name / MODELS[name])


def structure(name: str) -> Atoms:
    record = json.loads((SMALL / name / "reference.json").read_text())[0]
    atoms = Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)
    atoms.rattle(0.02, seed=3)
    return atoms


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_quippy(name):
    quippy = pytest.importorskip("quippy.potential")
    atoms = structure(name)
    answers = []
    for kind in (quippy.Potential, Potential):
        calculator = kind(args_str="", param_filename=path_of(name))
        calculator.calculate(atoms, ASKED, calc_args="local_gap_variance")
        variance = calculator.extra_results["atoms"]["local_gap_variance"]
        answers.append((calculator.results, variance))
    (theirs, their_variance), (ours, our_variance) = answers
    assert np.abs(theirs["forces"]).max() > 0.1
    for asked in ASKED:
        OTHER_PROGRAM.check(ours[asked], theirs[asked])
    assert our_variance.min() > 0
    np.testing.assert_allclose(our_variance, their_variance, rtol=1e-5, atol=1e-9)


def test_stresses_of_atoms_are_those_of_quippy():
    quippy = pytest.importorskip("quippy.potential")
    stresses = []
    for kind in (quippy.Potential, Potential):
        atoms = structure("GST")
        atoms.calc = kind(param_filename=path_of("GST"))
        stresses.append(atoms.get_stresses())
    OTHER_PROGRAM.check(stresses[1], stresses[0])
    OTHER_PROGRAM.check(stresses[1].mean(axis=0), atoms.get_stress())


def test_a_variance_may_be_asked_of_every_calculation_with_its_regularisation():
    quippy = pytest.importorskip("quippy.potential")
    words = "local_gap_variance gap_variance_regularisation=0.05"
    variances = []
    for kind in (quippy.Potential, Potential):
        atoms = structure("GST")
        atoms.calc = kind("IP GAP", param_filename=path_of("GST"), calc_args=words)
        atoms.get_forces()
        variances.append(atoms.calc.extra_results["atoms"]["local_gap_variance"])
    np.testing.assert_allclose(variances[1], variances[0], rtol=1e-5, atol=1e-9)


def test_it_is_a_calculator_of_ase():
    atoms = structure("GST")
    atoms.calc = Potential(param_filename=path_of("GST"))
    before = atoms.get_potential_energy()
    assert atoms.get_stress().shape == (6,)
    assert atoms.calc.extra_results == {"config": {}, "atoms": {}}
    atoms.positions[0, 0] += 0.05
    assert atoms.get_potential_energy() != before
    step, forces = 1e-4, atoms.get_forces()
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[0, 0] += sign * step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    slope = (energies[0] - energies[1]) / (2 * step)
    assert -slope == pytest.approx(forces[0, 0], abs=1e-5)


def test_a_molecule_has_no_stress():
    atoms = structure("GST")
    atoms.cell, atoms.pbc = None, False
    atoms.calc = Potential(param_filename=path_of("GST"))
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="volume"):
        atoms.calc.get_property("stress", atoms)


@pytest.mark.parametrize("words", ["", "IP GAP", "Potential xml_label=any"])
def test_words_for_the_gap_in_the_file(words):
    assert Potential(words, param_filename=path_of("GST")).model.n_sparse


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"args_str": "IP LJ"}, "only GAPs are supported"),
        ({"args_str": "Sum init_args_pot1={IP Glue}"}, "only GAPs are supported"),
        ({"calc_args": "gap_variance"}, "'gap_variance' has no counterpart"),
        ({"calc_args": "local_gap_variance=maybe"}, "neither T nor F"),
    ],
)
def test_what_has_no_counterpart_is_refused(changes, message):
    with pytest.raises(GapfitError, match=message):
        Potential(**{"param_filename": path_of("GST")} | changes)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"gp\.xml: there is no such file"):
        Potential(param_filename=tmp_path / "gp.xml")
