"""Whole potentials as torch modules."""

from __future__ import annotations

import builtins
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import (
    ROOT,
    STRUCTURES,
    cluster,
    silicon,
    slab,
    three_species,
)
from descriptor_contract import term_for
from helpers.torch_runs import arguments, assert_equal, import_or_skip

import gapfit
from gapfit.baseline.ase_calculator import NamedCalculator
from gapfit.baseline.baseline import Baseline
from gapfit.baseline.charges import PointCharges
from gapfit.config import EamDensityConfig
from gapfit.errors import GapfitError
from gapfit.quip import load as load_quip

torch = import_or_skip("torch")
# TorchScript is what metatomic needs.
SCRIPT = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_all_terms_and_a_baseline_equal_the_core(gst_full):
    structures = [three_species(), three_species() * (2, 1, 1)]
    given = arguments(structures, gst_full.cutoff)
    assert_equal(gapfit.torch.torch_model(gst_full)(*given), gst_full, structures)


@pytest.mark.parametrize(
    "name", ["P/gap.xml", "FeCrNi/gap.xml.gz", "SiC/gap.xml", "SiCO/gap.xml"]
)
def test_models_of_quip_equal_the_core(name):
    path = ROOT / "tests" / "quip_models" / name
    record = json.loads((path.parent / "reference.json").read_text())[0]
    atoms = Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)
    model = load_quip(path)
    found = gapfit.torch.torch_model(model)(*arguments([atoms], model.cutoff))
    assert_equal(found, model, [atoms])


def test_neighbours_from_torch_give_the_same(si_full):
    structures = [build() for name, build in STRUCTURES.items() if name[:5] != "three"]
    positions, cells, numbers, system, _, _ = arguments(structures, si_full.cutoff)
    pbc = torch.tensor(np.array([atoms.pbc for atoms in structures]))
    pairs = gapfit.torch.neighbour_list(positions, cells, pbc, system, si_full.cutoff)
    potential = gapfit.torch.torch_model(si_full)
    found = potential(positions, cells, numbers, system, *pairs)
    assert_equal(found, si_full, structures)


@SCRIPT
def test_torchscript_gives_the_same_bits(gst_full, tmp_path):
    density = term_for(EamDensityConfig(r_cut=4.2, form="cosine"), three_species())
    model = replace(gst_full, terms=(*gst_full.terms, density))
    potential = gapfit.torch.torch_model(model)
    torch.jit.save(torch.jit.script(potential), str(tmp_path / "potential.pt"))
    compiled = torch.jit.load(str(tmp_path / "potential.pt"))
    for structures in ([three_species()], [three_species() * (2, 1, 1)] * 2):
        given = arguments(structures, gst_full.cutoff)
        wanted, found = potential(*given), compiled(*given)
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_autograd_gives_forces(gst_full):
    structures = [three_species(), three_species() * (1, 2, 1)]
    positions, cells, numbers, system, pairs, shifts = arguments(
        structures, gst_full.cutoff
    )
    potential = gapfit.torch.torch_model(gst_full)
    positions.requires_grad_()
    R = potential.vectors(positions, cells, system, pairs, shifts)
    energies = potential.differentiable_energies(R, pairs, numbers)
    (gradient,) = torch.autograd.grad(energies.sum(), positions)
    wanted = [gst_full.predict(atoms) for atoms in structures]
    found = {"energies": energies.detach(), "forces": -gradient}
    for name, values in found.items():
        expected = np.concatenate([getattr(one, name) for one in wanted])
        np.testing.assert_allclose(values.numpy(), expected, atol=1e-9)


def test_derivatives_are_left_out_on_request(si_full):
    given = arguments([silicon()], si_full.cutoff)
    potential = gapfit.torch.torch_model(si_full)
    found = potential(*given, forces=False, stress=False)
    assert set(found) == {"energy", "energies"}
    assert torch.equal(found["energy"], potential(*given)["energy"])


def test_order_of_pairs_does_not_matter(si_full):
    structures = [slab(), cluster()]
    *atoms, pairs, shifts = arguments(structures, si_full.cutoff)
    order = torch.randperm(len(shifts), generator=torch.Generator().manual_seed(1))
    found = gapfit.torch.torch_model(si_full)(*atoms, pairs[:, order], shifts[order])
    assert_equal(found, si_full, structures)


def test_single_precision_is_near(gst_full):
    given = arguments([three_species()], gst_full.cutoff)
    potential = gapfit.torch.torch_model(gst_full)
    wanted = potential(*given)
    single = [x.float() if x.is_floating_point() else x for x in given]
    found = potential.float()(*single)
    assert found["forces"].dtype == torch.float32
    assert found["energies"].dtype == torch.float64
    np.testing.assert_allclose(found["forces"], wanted["forces"], atol=1e-4)
    np.testing.assert_allclose(found["energies"], wanted["energies"], atol=1e-5)


@SCRIPT
@pytest.mark.parametrize("single", [0, 1])
def test_other_precisions_are_refused(single, si_full):
    given = list(arguments([silicon()], si_full.cutoff))
    potential = gapfit.torch.torch_model(si_full)
    given[single] = given[single].float()
    with pytest.raises(ValueError, match="positions and cells must be float64"):
        potential(*given)
    with pytest.raises(torch.jit.Error, match="positions and cells must be float64"):
        torch.jit.script(potential)(*given)
    with pytest.raises(ValueError, match="positions and cells must be float32"):
        potential.float()(*given)


@SCRIPT
def test_a_compiled_potential_is_not_rounded(si_full):
    given = arguments([silicon()], si_full.cutoff)
    single = [x.float() if x.is_floating_point() else x for x in given]
    potential = gapfit.torch.torch_model(si_full)
    with pytest.raises(torch.jit.Error, match=r"call \.float\(\) before torch\.jit"):
        torch.jit.script(potential).float()(*single)
    potential = gapfit.torch.torch_model(si_full).float()
    found, wanted = torch.jit.script(potential)(*single), potential(*single)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["position", "cell"])
def test_what_is_not_finite_gives_nan(what, wrong, si_full):
    structures = [silicon(), slab()]
    positions, cells, numbers, system, _, _ = arguments(structures, si_full.cutoff)
    pbc = torch.tensor(np.array([atoms.pbc for atoms in structures]))
    potential = gapfit.torch.torch_model(si_full)

    def found() -> dict:
        listed = (positions, cells, pbc, system, si_full.cutoff)
        pairs = gapfit.torch.neighbour_list(*listed)
        return potential(positions, cells, numbers, system, *pairs)

    wanted = found()
    if what == "position":
        positions[3, 1] = wrong
    else:
        cells[0, 1, 2] = wrong
    spoilt = found()
    assert torch.isnan(spoilt["energies"][3])
    assert torch.isnan(spoilt["forces"][3, 1])
    for name in ("energy", "stress", "virial"):
        assert torch.isnan(spoilt[name][0]).all()
        np.testing.assert_allclose(spoilt[name][1], wanted[name][1], atol=1e-9)


def test_results_are_not_tied_to_autograd(si_full):
    positions, cells, *others = arguments([silicon()], si_full.cutoff)
    potential = gapfit.torch.torch_model(si_full)
    found = potential(positions.requires_grad_(), cells.requires_grad_(), *others)
    assert not any(values.requires_grad for values in found.values())
    pbc = torch.ones([1, 3], dtype=torch.bool)
    neighbours = gapfit.torch.neighbour_list(positions, cells, pbc, others[1], 4.0)
    assert not any(values.requires_grad for values in neighbours)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same(gst_full):
    structures = [three_species(), three_species() * (2, 1, 1)]
    given = [x.cuda() for x in arguments(structures, gst_full.cutoff)]
    found = gapfit.torch.torch_model(gst_full).cuda()(*given)
    found = {name: values.cpu() for name, values in found.items()}
    assert_equal(found, gst_full, structures)


@pytest.mark.parametrize("number", [1, 33, 200, -1])
def test_unknown_species_are_refused(number, gst_full):
    given = list(arguments([three_species()], gst_full.cutoff))
    given[2][3] = number
    with pytest.raises(ValueError, match=f"unknown atomic number {number}: .*32, 51"):
        gapfit.torch.torch_model(gst_full)(*given)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (NamedCalculator("ase.calculators.morse:MorsePotential", {}, True), "Morse"),
        (PointCharges({14: 0.0}), "charges"),
    ],
)
def test_baselines_of_whole_structures_are_refused(si_model, part, name):
    model = replace(si_model, baseline=Baseline(of_structures=(part,)))
    with pytest.raises(GapfitError, match=f"torch cannot compute .*{name}"):
        gapfit.torch.torch_model(model)


def test_a_missing_package_is_named(monkeypatch):
    real = builtins.__import__

    def without(name: str, *args: object, **options: object) -> object:
        if name.partition(".")[0] == "torch_sim":
            raise ImportError("no torch_sim here")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "gapfit.torch.torch_sim", raising=False)
    with pytest.raises(GapfitError, match=r"no torch_sim here.*gapfit\[torch-sim\]"):
        _ = gapfit.torch.torch_sim_model


def test_unknown_names_are_no_missing_packages():
    assert Path(gapfit.torch.__file__).is_file()
    with pytest.raises(AttributeError, match="no attribute 'something'"):
        _ = gapfit.torch.something
