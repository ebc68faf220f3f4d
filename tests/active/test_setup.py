"""What learning starts from, and mistakes in its configuration."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.learning import Counting, config_of, learn, settings

import gapfit
from gapfit.active.setup import Setup, first_structures
from gapfit.cli import main
from gapfit.config.learn import LearnConfig
from gapfit.config.toml import validated
from gapfit.errors import GapfitError

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


def test_first_structures_are_strained_only_where_they_are_periodic(tmp_path):
    slab = bulk("Cu", cubic=True)
    slab.center(vacuum=5.0, axis=2)
    slab.pbc = (True, True, False)
    ase.io.write(tmp_path / "cu.extxyz", slab)
    config = validated(LearnConfig, settings(tmp_path), "config")
    setup = Setup.read(config, tmp_path, EMT())
    made = [atoms for _, atoms in first_structures(setup)]
    assert len(made) == 2
    assert not np.allclose(made[0].cell, made[1].cell)
    for atoms in made:
        np.testing.assert_array_equal(atoms.cell.array[2], slab.cell.array[2])
        assert (
            np.abs(atoms.cell.array[:2, :2] / slab.cell[0, 0] - np.eye(2)).max() < 0.02
        )
    _, again = first_structures(setup)[1]
    np.testing.assert_array_equal(made[1].positions, again.positions)


def test_species_without_data_and_a_reference_without_name_are_refused(tmp_path):
    config = settings(tmp_path)
    with pytest.raises(GapfitError, match=r"\[reference\]: `calculator` is missing"):
        gapfit.learn(config, tmp_path / "out", base=tmp_path)
    frame = bulk("Al")
    frame.calc = EMT()
    frame.get_potential_energy()
    ase.io.write(tmp_path / "al.extxyz", frame)
    config["learning"], config["data"] = {}, {"train": "al.extxyz"}
    with pytest.raises(
        GapfitError, match=r"contains Cu, which data\.train does not have"
    ):
        learn(config, tmp_path / "out")
    config = settings(tmp_path, reference={"calculator": "no.such:Thing"})
    with pytest.raises(GapfitError, match=r"\[reference\] calculator 'no.such:Thing'"):
        gapfit.learn(config, tmp_path / "out", base=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_missing_e0_is_told_before_the_reference_is_called(tmp_path):
    calculator = Counting()
    config = settings(tmp_path, e0={})
    with pytest.raises(
        GapfitError, match=r"atom for Cu: give it under .* isolated_atoms"
    ):
        learn(config, tmp_path / "out", calculator)
    assert calculator.n_calls == 0
    assert not (tmp_path / "out").exists()
    (tmp_path / "given").mkdir()
    for e0 in ({"Cu": 3.5}, {"method": "least_squares"}):
        setup = validated(LearnConfig, settings(tmp_path, e0=e0), "config")
        assert Setup.read(setup, tmp_path, calculator).lone == []


def test_the_reference_computes_isolated_atoms(tmp_path):
    config = settings(tmp_path, {"steps": 4, "temperature": 100}, e0={})
    config["learning"]["isolated_atoms"] = True
    calculator = Counting()
    model = learn(config, tmp_path / "out", calculator)
    frames = ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")
    kinds = [atoms.info["config_type"] for atoms in frames[:3]]
    assert kinds == ["isolated_atom", "bootstrap", "bootstrap"]
    assert len(frames[0]) == 1
    assert model.e0[29] == pytest.approx(frames[0].get_potential_energy())
    assert model.record.n_frames == calculator.n_calls == len(frames)


def test_isolated_atoms_in_the_data_are_not_computed_again(tmp_path):
    frames = [bulk("Cu", cubic=True), Atoms("Cu", cell=[12] * 3, pbc=True)]
    for atoms in frames:
        atoms.calc = EMT()
        atoms.get_forces()
    ase.io.write(tmp_path / "some.extxyz", frames)
    config = settings(tmp_path, e0={}, data={"train": "some.extxyz"})
    config["learning"]["isolated_atoms"] = True
    checked = validated(LearnConfig, config, "config")
    assert Setup.read(checked, tmp_path, EMT()).lone == []


def test_labelled_frames_of_one_learning_are_given_to_another(whole, tmp_path):
    """Under the same name; the model is then sure of the same simulation."""
    config, told = config_of(whole, tmp_path), []
    (tmp_path / "labelled.extxyz").write_bytes(
        (whole[0] / "labelled.extxyz").read_bytes()
    )
    config |= {"data": {"train": "labelled.extxyz"}, "learning": {}}
    calculator = Counting()
    model = learn(config, tmp_path / "out", calculator, report=told.append)
    assert calculator.n_calls < whole[3] - 2
    assert model.record.n_frames == whole[3] + calculator.n_calls
    assert model.config.data.train == ["labelled.extxyz", "labelled.extxyz"]
    first = whole[1].predict(bulk("Cu", cubic=True)).energy
    assert model.predict(bulk("Cu", cubic=True)).energy == pytest.approx(
        first, abs=0.05
    )


def test_all_mistakes_of_a_configuration_are_listed(tmp_path, capsys):
    (tmp_path / "learn.toml").write_text(
        "[threshold]\nforce = 0.3\nevery = 0\n[lerning]\nbootstrap = 3\n[[runs]]\n"
        'start = "a.xyz"\nmethod = "langvin"\n[[terms]]\n'
    )
    assert main(["learn", str(tmp_path / "learn.toml")]) == 1
    error = capsys.readouterr().err
    for text in (
        "the table [data] is missing; it must give `train`",
        "line 2: [threshold]: unknown key `force`; did you mean `forces`?",
        "line 3: [threshold]: `every` = 0 must be a whole number >= 1",
        "line 4: unknown table [lerning]; did you mean [learning]?",
        'line 8: [[runs]] 1: `method` = "langvin" must be "langevin" or "nve"',
    ):
        assert text in error
    for table, text in (
        ({}, "give forces, forces_relative, energies or energies_relative"),
        ({"forces": 1.0, "forces_relative": 1.0}, "not both"),
    ):
        with pytest.raises(GapfitError, match=text):
            validated(LearnConfig, settings(tmp_path, threshold=table), "config")
    without = settings(tmp_path, run={"store_sums": False})
    with pytest.raises(GapfitError, match="needs store_posterior and store_sums"):
        validated(LearnConfig, without, "config")
