"""The reference: constraints, failures and the number of calls."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from helpers.learning import Counting, config_of, learn, log, same_outcome

from gapfit.active.reference import Reference
from gapfit.errors import GapfitError

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


def test_labels_have_the_forces_of_atoms_that_are_held():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    free = Reference(EMT, "EMT").label(atoms, "here", print)
    atoms.set_constraint(FixAtoms([0]))
    held = Reference(EMT, "EMT").label(atoms, "here", print)
    np.testing.assert_array_equal(free["forces"], held["forces"])
    assert np.abs(held["forces"][0]).max() > 0.1


def test_a_reference_that_fails_once_is_asked_again(whole, tmp_path):
    config, calculator = config_of(whole, tmp_path), Counting()
    calculator.failures, calculator.nonsense = [2], [5]
    learn(config, tmp_path / "out", calculator)
    failed = [r for r in log(tmp_path / "out") if r["event"] == "failed"]
    assert [r["call"] for r in failed] == [2, 4]
    assert "no convergence" in failed[0]["reason"]
    assert "values of forces are not finite" in failed[1]["reason"]
    for name in ("labelled.extxyz", "trajectory.extxyz"):
        assert (tmp_path / "out" / name).read_bytes() == (whole[0] / name).read_bytes()


def test_a_reference_that_fails_twice_ends_it_and_nothing_is_lost(whole, tmp_path):
    config, calculator = config_of(whole, tmp_path), Counting()
    calculator.failures = [4, 5]
    with pytest.raises(
        GapfitError, match=r"failed for run 1, step \d+, 2 times: Runtime"
    ):
        learn(config, tmp_path / "out", calculator)
    assert len(ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")) == 3
    assert len(ase.io.read(tmp_path / "out" / "failed.extxyz")) == 8
    learn(config, tmp_path / "out", calculator, resume=True)
    for name in ("labelled.extxyz", "trajectory.extxyz"):
        assert (tmp_path / "out" / name).read_bytes() == (whole[0] / name).read_bytes()
    records = log(tmp_path / "out")
    assert [r for r in records if r["event"] == "call"] == log(whole[0])
    assert [r["call"] for r in records if r["event"] == "failed"] == [4, 4]


def test_calls_are_limited(whole, tmp_path):
    config = config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    with pytest.raises(GapfitError, match=r"there were 3 calls of the reference"):
        learn(config, tmp_path / "out")
    config["learning"]["max_calls"] = 1000
    learn(config, tmp_path / "out", resume=True)
    same_outcome(tmp_path / "out", whole[0])
