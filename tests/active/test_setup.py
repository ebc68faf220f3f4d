"""What learning starts from, and mistakes in its configuration."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
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
    made = first_structures(setup.jobs, config)
    assert len(made) == 2
    assert not np.allclose(made[0].cell, made[1].cell)
    for atoms in made:
        np.testing.assert_array_equal(atoms.cell.array[2], slab.cell.array[2])
        assert (
            np.abs(atoms.cell.array[:2, :2] / slab.cell[0, 0] - np.eye(2)).max() < 0.02
        )
    again = first_structures(setup.jobs, config)
    np.testing.assert_array_equal(made[1].positions, again[1].positions)


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
