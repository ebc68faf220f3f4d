"""Models written for pacemaker: python-ace's numbers, and what it cannot hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import config, labelled_frames, silicon
from helpers.expansions import assert_as_python_ace, crystal, expansion_model

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.pacemaker import load, save

ALL_ORDERS = {
    "r_cut": 4.5,
    "orders": [1, 2, 3, 4],
    "n_max": [6, 4, 3, 2],
    "l_max": [0, 3, 2, 2],
}
MIXED = [
    {"r_cut": 4.5, "orders": [1, 2], "n_max": [6, 4], "l_max": [0, 3], "delta": 0.4},
    {"r_cut": 4.5, "orders": [2, 3, 4], "n_max": [2, 2, 1], "l_max": [1, 1, 1]},
]
COMBINED = {"r_cut": 4.5, "orders": [1, 2, 3], "n_max": [4, 3, 2], "l_max": [0, 3, 1]}


def test_python_ace_finds_the_same(tmp_path):
    model = expansion_model(ALL_ORDERS)
    path = save(model, tmp_path / "p.yace")
    assert_as_python_ace(path, model, crystal("Si"))


def test_functions_that_the_data_contract(tmp_path):
    terms = [{"type": "ace", "radial": "contracted", **ALL_ORDERS}]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    path = save(model, tmp_path / "p.yace")
    assert_as_python_ace(path, model, crystal("Si"))


def test_pairs_alone(tmp_path):
    """Without products of two densities there are no radial functions in the file."""
    model = expansion_model({"r_cut": 4.5, "orders": [1], "n_max": [5], "l_max": [0]})
    path = save(model, tmp_path / "p.yace")
    assert "nradmax: 0" in path.read_text()
    assert_as_python_ace(path, model, crystal("Si"))
    assert_as_python_ace(path, load(path), crystal("Si"))


def test_terms_of_several_species_and_radial_functions(tmp_path):
    """Terms add up; each may have radial functions of its own."""
    tables = [*MIXED, COMBINED | {"radial": "combined"}]
    model = expansion_model(*tables, species=(8, 14, 32))
    path = save(model, tmp_path / "p.yace")
    assert_as_python_ace(path, model, crystal("Si", "Ge", "O", "Si"))


@pytest.mark.parametrize("gap", [0.3, 0.02, 0.005, 1e-4, -0.1])
def test_python_ace_finds_the_same_near_the_cutoff(tmp_path, gap):
    model = expansion_model(ALL_ORDERS)
    path = save(model, tmp_path / "p.yace")
    atoms = Atoms("Si2", [[0.0, 0, 0], [0, 0, 4.5 - gap]], cell=[30.0] * 3, pbc=True)
    assert_as_python_ace(path, model, atoms)


def test_a_species_without_coefficients_has_its_e0(tmp_path):
    model = expansion_model(COMBINED, species=(8, 14))
    (term,) = model.terms
    n = term.descriptor.n_features
    bare = replace(
        term,
        sparse=term.sparse | {8: np.zeros((0, n))},
        coefficients=term.coefficients | {8: np.zeros(0)},
    )
    model = replace(model, terms=(bare,))
    path = save(model, tmp_path / "p.yace")
    assert_as_python_ace(path, model, crystal("Si", "O"))
    oxygen = Atoms("O", cell=[20.0] * 3, pbc=True)
    assert load(path).predict(oxygen).energy == pytest.approx(model.e0[8], abs=1e-12)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = expansion_model(*MIXED)
    texts = {save(model, tmp_path / f"{n}.yace").read_bytes() for n in range(2)}
    assert len(texts) == 1


def test_what_the_format_cannot_hold_is_named(tmp_path, si_model):
    path = tmp_path / "p.yace"
    with pytest.raises(GapfitError, match=r"\[\[terms\]\] 1 \(\w+\): only cluster"):
        save(si_model, path)
    tables = [COMBINED, COMBINED | {"r_cut": 5.0}]
    baseline = {"repulsion": "zbl", "r_cut": 1.5, "width": 0.5}
    with pytest.raises(GapfitError, match=r"is 4.5, 5 Å") as caught:
        save(expansion_model(*tables, baseline=baseline), path)
    assert "[baseline] zbl: fit without it" in str(caught.value)
    assert not path.exists()


def test_files_are_not_replaced_by_accident(tmp_path):
    model = expansion_model(COMBINED)
    save(model, tmp_path / "p.yace")
    with pytest.raises(GapfitError, match="exists already"):
        save(model, tmp_path / "p.yace")
    with pytest.raises(GapfitError, match=r"pacemaker reads \.yace"):
        save(model, tmp_path / "p.yaml")
    save(model, tmp_path / "p.yace", overwrite=True)


def test_by_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = expansion_model(COMBINED, species=(8, 14))
    model.save("model.npz")
    assert main(["convert", "model.npz", "p.yace"]) == 0
    assert main(["convert", "p.yace", "back.npz"]) == 0
    atoms = crystal("Si", "O")
    back = gapfit.load("back.npz")
    forces = model.predict(atoms).forces
    np.testing.assert_allclose(back.predict(atoms).forces, forces, atol=1e-11)
    assert main(["info", "back.npz"]) == 0
    text = capsys.readouterr().out
    assert "p.yace" in text
    assert "models of pacemaker have no posterior" in text
    assert "e0 of the file of pacemaker" in text
    assert main(["convert", "model.npz", "p.txt"]) == 1
    assert "*.xml or *.gap or *.yace" in capsys.readouterr().err
    assert main(["convert", "p.yace", "x.npz", "--species", "Si"]) == 1
    assert "names its species" in capsys.readouterr().err
    assert not Path("x.npz").exists()
