"""Stress tests of fits to the shipped silicon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import config, labelled_frames, three_species

import gapfit
from gapfit.errors import GapfitError, StructureError
from gapfit.robustness import TESTS, StressSettings, Verdict, stress_test
from gapfit.testing import REORDERED_SUMS

_QUICK = StressSettings(steps=40)


def _flipped(model: gapfit.GAPModel, number: int, rank: float) -> gapfit.GAPModel:
    """Return a model with the sign of one coefficient of a term flipped.

    `rank` counts coefficients by size: 0 is the smallest, 1 the largest.
    """
    term = model.terms[number]
    (block, values), *_ = term.coefficients.items()
    order = np.argsort(np.abs(values))
    changed = values.copy()
    changed[order[round(rank * (len(values) - 1))]] *= -1
    term = replace(term, coefficients={block: changed}, lossless={}, quadratic=False)
    terms = [*model.terms]
    terms[number] = term
    return replace(model, terms=tuple(terms))


def _failures(report) -> dict[str, str]:
    return {v.name: v.failure for v in report.verdicts if not v.passed}


@pytest.fixture(scope="module")
def passed(good, silicon_data):
    return stress_test(good, data=silicon_data, settings=_QUICK)


def test_a_good_potential_passes_all_tests(passed):
    assert not _failures(passed)
    assert passed.passed
    assert [verdict.name for verdict in passed.verdicts] == list(TESTS)


def test_bounds_come_from_the_data(passed, silicon_data):
    assert passed.crystals == ("Si2",)
    assert passed.bounds["closest"] == {"Si-Si": 1.1}
    # Of silicon it is 1687 K.
    assert 1200 < passed.bounds["melting"] < 2200
    assert passed.bounds["lowest"] == pytest.approx(-4.6, abs=0.1)


def test_extremes_are_told(passed):
    verdicts = {verdict.name: verdict for verdict in passed.verdicts}
    assert -0.05 < verdicts["hot"].lowest < 0.1
    assert 0.6 < verdicts["contacts"].closest < 1.2
    assert verdicts["hot"].std > 0
    assert all(verdict.frame is None for verdict in passed.verdicts)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("rank", [0.0, 0.01, 0.5, 1.0])
def test_a_flipped_coefficient_is_caught(good, silicon_data, number, rank):
    bad = _flipped(good, number, rank)
    tests = ("data", "dimers", "volume")
    report = stress_test(bad, data=silicon_data, only=tests, settings=_QUICK)
    assert "data" in _failures(report)


@pytest.mark.parametrize("rank", [0.5, 1.0])
def test_a_flipped_coefficient_is_caught_without_labels(good, rank):
    bad = _flipped(good, 1, rank)
    report = stress_test(bad, [bulk("Si")], settings=_QUICK)
    assert _failures(report)


def test_without_a_repulsion_and_close_contacts_the_dimer_fails(
    without_walls, crystal_data
):
    only = ("data", "dimers", "trimers")
    report = stress_test(without_walls, data=crystal_data, only=only, settings=_QUICK)
    failures = _failures(report)
    assert set(failures) == {"dimers", "trimers"}
    assert "Si-Si at" in failures["dimers"]
    assert "no wall keeps the atoms apart" in failures["dimers"]
    assert "Si-Si-Si" in failures["trimers"]


def test_frames_of_failures_have_the_energy_of_the_potential(
    without_walls, crystal_data
):
    report = stress_test(
        without_walls, data=crystal_data, only=["dimers"], settings=_QUICK
    )
    frame = report.verdicts[0].frame
    assert frame.info["failure"] == report.verdicts[0].failure
    predicted = without_walls.predict(frame)
    REORDERED_SUMS.check(frame.get_potential_energy(), predicted.energy)
    REORDERED_SUMS.check(frame.get_forces(), predicted.forces)


def test_an_enormous_delta_digs_holes(crystal_data):
    terms = [{"type": "soap", "r_cut": 4.0, "n_max": 5, "l_max": 4, "n_sparse": 300}]
    terms[0]["delta"] = 100.0
    sigma = {"energy": 1e-4, "forces": 1e-3, "virial": 1e-3}
    settings = {"terms": terms, "sigma": sigma, "calibration": {"method": "none"}}
    model = gapfit.fit(crystal_data, {**settings, "data": {"train": ["in memory"]}})
    only = ["contacts", "hot"]
    report = stress_test(model, data=crystal_data, only=only, settings=_QUICK)
    failures = _failures(report)
    assert "a hole" in failures["contacts"]
    assert report.verdicts[0].lowest < -0.5


def test_results_follow_the_seed(good, silicon_data):
    def seen(seed: int) -> list[tuple]:
        report = stress_test(
            good,
            data=silicon_data,
            only=["defects", "hot"],
            settings=StressSettings(steps=40, seed=seed),
        )
        return [(v.lowest, v.closest, v.std) for v in report.verdicts]

    first = seen(0)
    assert seen(0) == first
    assert seen(1) != first


def test_a_given_crystal_is_tested_instead(good, silicon_data):
    fcc = bulk("Si", "fcc", a=3.9)
    report = stress_test(
        good, [bulk("Si"), fcc], data=silicon_data, only=["volume"], settings=_QUICK
    )
    assert report.crystals == ("Si2", "Si")
    assert report.passed
    # The second crystal is measured by its energy, not by that of the first.
    assert report.verdicts[0].lowest > -0.3


def test_wrong_inputs_are_refused(good, silicon_data):
    with pytest.raises(GapfitError, match="no structures: give a crystal"):
        stress_test(good)
    with pytest.raises(
        GapfitError, match="unknown test 'heat'; known are data, dimers"
    ):
        stress_test(good, data=silicon_data, only=["heat"])
    with pytest.raises(GapfitError, match="none of 1 structures is a crystal"):
        stress_test(good, [Atoms("Si2", [[0, 0, 0], [0, 0, 2.2]])])
    with pytest.raises(GapfitError, match="without vacuum"):
        stress_test(good, [Atoms("Si", cell=[12.0] * 3, pbc=True)])
    with pytest.raises(StructureError, match="Ge"):
        stress_test(good, [bulk("Ge")])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 3}, "steps = 3: give at least 20"),
        ({"temperature": -1.0}, "temperature = -1 K"),
        ({"below": 0.0}, "below = 0: give a positive"),
        ({"contact": float("nan")}, "contact = nan"),
        ({"alarm": -1.0}, "alarm = -1"),
        ({"n_atoms": 0}, "n_atoms = 0"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(GapfitError, match=message):
        StressSettings(**wrong)


def _of_charged_defects(charges: dict[str, float]) -> Verdict:
    frames = labelled_frames(three_species, 4)
    settings = config(n_sparse=15) | {"baseline": {"charges": charges}}
    model = gapfit.fit(frames, settings)
    report = stress_test(
        model, [three_species()], data=frames, only=["defects"], settings=_QUICK
    )
    return report.verdicts[0]


def test_defects_that_charge_a_cell_are_skipped():
    verdict = _of_charged_defects({"Ge": 0.4, "Sb": 0.4, "Te": -0.4})
    assert verdict.outcome == "not applicable"
    assert verdict.passed
    assert verdict.failure is verdict.frame is verdict.lowest is None
    assert len(verdict.skipped) == 6
    first = verdict.skipped[0]
    assert first.startswith(
        "one Ge atom removed: the charges of [baseline.charges] add"
    )
    assert "up to -0.4 e, and a periodic structure must be neutral" in first
    assert verdict.as_dict()["applicable"] is False
    assert verdict.as_dict()["skipped"] == list(verdict.skipped)


def test_defects_of_neutral_atoms_are_tried():
    n_ge, n_te = (three_species().symbols.count(symbol) for symbol in ("Ge", "Te"))
    verdict = _of_charged_defects({"Ge": 0.1 * n_te, "Sb": 0.0, "Te": -0.1 * n_ge})
    assert verdict.applicable
    assert verdict.lowest is not None
    assert len(verdict.skipped) == 4
    assert not any("Sb" in reason for reason in verdict.skipped)
    assert "charges" not in (verdict.failure or "")
