"""The package dpdata, written by others, finds the same in the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from helpers import cp2k_files, foreign_files
from helpers.foreign_files import SPECIES, crystal, crystals

from gapfit.data.files import structures
from gapfit.data.readers.options import ReadOptions

dpdata = pytest.importorskip("dpdata")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def agrees(data: dict[str, Any], found: list[Atoms], tolerance: float) -> None:
    """Compare; cells may be turned, atoms are in the same order."""
    assert len(data["energies"]) == len(found)
    names = np.array(data["atom_names"])[data["atom_types"]]
    for n, atoms in enumerate(found):
        assert names.tolist() == atoms.get_chemical_symbols()
        for theirs, ours in (
            (data["cells"][n], atoms.cell[:]),
            (data["coords"][n], atoms.positions),
            (data["energies"][n], atoms.get_potential_energy()),
            (data["forces"][n], atoms.get_forces()),
        ):
            np.testing.assert_allclose(theirs, ours, atol=tolerance)
        if "virials" in data:
            ours = -atoms.get_stress(voigt=False) * atoms.get_volume()
            np.testing.assert_allclose(
                data["virials"][n], ours, rtol=1e-5, atol=tolerance
            )


def ours(path: Path, **options: Any) -> list[Atoms]:
    return [atoms for _, atoms in structures(path, path.name, ReadOptions(**options))]


def test_deepmd(tmp_path: Path) -> None:
    path = foreign_files.deepmd(tmp_path / "system", crystals())
    system = dpdata.LabeledSystem(str(path), fmt="deepmd/npy")
    agrees(system.data, ours(path), 1e-12)


def test_what_dpdata_writes_from_ase(tmp_path: Path) -> None:
    system = dpdata.LabeledSystem(crystal(), fmt="ase/structure")
    system.to("deepmd/npy", str(tmp_path / "system"), prec=np.float64)
    (found,) = ours(tmp_path / "system")
    assert found.get_chemical_symbols() == crystal().get_chemical_symbols()
    np.testing.assert_allclose(found.get_stress(), crystal().get_stress(), atol=1e-9)
    np.testing.assert_allclose(found.get_forces(), crystal().get_forces(), atol=1e-9)


def test_n2p2(tmp_path: Path) -> None:
    path = tmp_path / "input.data"
    path.write_text(foreign_files.input_data(crystals()))
    system = dpdata.LabeledSystem(str(path), fmt="n2p2")
    agrees(system.data, ours(path, units="atomic"), 1e-8)


@pytest.mark.parametrize("version", [7, 2025])
def test_cp2k_output(tmp_path: Path, version: int) -> None:
    path = tmp_path / "cp2k.out"
    path.write_text(cp2k_files.output(crystal(), version))
    data = dict(dpdata.LabeledSystem(str(path), fmt="cp2k/output").data)
    if version == 2025:
        data.pop("virials", None)  # dpdata knows GPa alone
    # dpdata takes the three digits of the cell that old versions print.
    agrees(data, ours(path), 1e-6 if version == 2025 else 2e-3)


def test_lammps_dump(tmp_path: Path) -> None:
    path = tmp_path / "a.dump"
    path.write_text(foreign_files.dump(list(map(foreign_files.lower, crystals()))))
    system = dpdata.System(str(path), fmt="lammps/dump", type_map=list(SPECIES))
    found = ours(path, species=SPECIES)
    for n, atoms in enumerate(found):
        np.testing.assert_allclose(system.data["cells"][n], atoms.cell[:], atol=1e-8)
        names = np.array(system.data["atom_names"])[system.data["atom_types"]]
        assert names.tolist() == atoms.get_chemical_symbols()
        shift = system.data["coords"][n] - atoms.positions
        whole = np.linalg.solve(atoms.cell[:].T, (shift - shift[0]).T)
        np.testing.assert_allclose(whole, np.round(whole), atol=1e-6)
