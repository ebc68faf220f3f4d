"""`gapfit propagate`."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk

import gapfit
from gapfit.cli import main, propagate
from gapfit.propagation.results import METHODS


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    """Frames around a crystal."""
    path = tmp_path_factory.mktemp("md") / "md.extxyz"
    frames = []
    for k in range(40):
        atoms = bulk("Si", a=5.47, cubic=True)
        atoms.rattle(0.03, seed=k)
        frames.append(atoms)
    ase.io.write(path, frames)
    return path


def _propagate(*argv: object) -> int:
    return main(["propagate", *map(str, argv)])


def test_it_prints_averages_with_both_errors_and_writes_them(
    fitted, trajectory, tmp_path, capsys
):
    out = tmp_path / "averages.json"
    argv = ["--temperature", 300, "--rdf", 5, "--samples", 4, "--output", out]
    assert _propagate(fitted / "model.npz", trajectory, *argv) == 0
    text = capsys.readouterr().out
    for words in ("300 K", "40 of 8 atoms", "eV/atom", "k_B/atom", "rdf at", str(out)):
        assert words in text
    stored = json.loads(out.read_text())
    model = gapfit.load(fitted / "model.npz")
    expected = gapfit.reweight(
        model, trajectory, temperature=300, rdf=5.0, samples=4
    ).as_dict()
    assert stored["method"] == expected["method"]
    for name, average in expected["averages"].items():
        np.testing.assert_allclose(
            stored["averages"][name]["samples"], average["samples"], rtol=1e-6
        )


def test_json_is_all_of_standard_output(fitted, trajectory, capsys):
    argv = ["--temperature", 300, "--samples", 2, "--skip", 10, "--every", 2, "--json"]
    assert _propagate(fitted / "model.npz", trajectory, *argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_frames"] == 15
    assert list(found["averages"]) == ["energy", "heat capacity"]


def test_the_methods_are_those_of_the_library():
    assert propagate._METHODS == METHODS


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no momenta to take it from"),
        (["--temperature", "-5"], "temperature = -5 K"),
        (["--temperature", "300", "--samples", "1"], "samples = 1: give 2 or more"),
        (["--temperature", "300", "--output", "a.txt"], "ends in '.txt'"),
        (
            ["--temperature", "1", "--scale", "1e3", "--method", "direct"],
            "too few frames",
        ),
    ],
)
def test_wrong_usage_is_told(fitted, trajectory, argv, message, capsys):
    assert _propagate(fitted / "model.npz", trajectory, *argv) == 1
    assert message in capsys.readouterr().err


def test_a_model_without_posterior_is_told(fitted, trajectory, tmp_path, capsys):
    sample = gapfit.load(fitted / "model.npz").sample(1)[0]
    sample.save(tmp_path / "bare.npz")
    argv = [tmp_path / "bare.npz", trajectory, "--temperature", 300]
    assert _propagate(*argv) == 1
    assert "posterior" in capsys.readouterr().err
