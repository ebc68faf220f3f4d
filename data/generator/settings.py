"""DFT settings of each system."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: SCF criteria: eV, and electrons per valence electron.
CONVERGENCE: Final = {"energy": 1e-5, "density": 1e-5}

#: Config types computed in a large box at the Gamma point, without stress.
BOX_TYPES: Final = frozenset({"isolated_atom", "dimer", "molecule"})


@dataclass(frozen=True)
class Settings:
    """DFT settings of one system (PBE, PAW, plane waves).

    Parameters
    ----------
    ecut : float
        Plane-wave cutoff, eV.
    k_fine : float
        Largest k-point spacing of symmetric cells, 1/Å including 2π
        (Gamma-centred grids).
    k_plain : float
        Largest k-point spacing of cells without symmetry, 1/Å including 2π
        (shifted Monkhorst-Pack grids, rounded up to even numbers).
    width : float
        Fermi-Dirac smearing, eV.
    folder : str, optional
        Name of the shipped folder; empty for systems that are not shipped.
    validated : bool, default True
        Whether cutoff and k-points were tested.
    rmm_diis : bool, default False
        Try the RMM-DIIS eigensolver first: about 1.3 times faster for sp
        elements; Davidson is the fallback.
    setups : dict of str to str, optional
        PAW data sets other than the default.
    """

    ecut: float
    k_fine: float
    k_plain: float
    width: float
    folder: str = ""
    validated: bool = True
    rmm_diis: bool = False
    xc: str = "PBE"
    setups: dict[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the settings as plain data, for the JSON files."""
        return {
            "code": "GPAW",
            "mode": "plane waves, PAW",
            "convergence": dict(CONVERGENCE),
            "k_spacing_convention": "1/Å including 2π; N = ceil(|b| / spacing)",
            "energy": "free energy E - TS (eV), relative to GPAW's reference atoms",
            **asdict(self),
        }


# W: k_plain = 0.52 (2-atom cell: 4x4x4) was tried first: 13 meV/atom and 129 meV/Å
# off; 0.25 (8x8x8) agrees to 0.2 meV/atom with the symmetric grid on perfect bcc.
# W at 400 eV has 0.6-0.9 GPa of Pulay stress, hence 500 eV.
# P: with k_fine = 0.30, k_plain = 0.40 black phosphorus was 4 meV/atom off and rattled
# 16 meV/Å; with three quarters of that 2 meV/atom and 4 meV/Å. Random (metallic) cells
# stay 27 meV/Å off. 450 instead of 350 eV changes energies by 2 meV/atom.
# Ge2Sb2Te5 at 300 eV has 1.6 GPa of Pulay stress, at 450 eV 0.4 GPa and forces 1 meV/Å
# off (against 600 eV); k_plain = 0.40 is 2 meV/atom and 22 meV/Å off on disordered rock
# salt, hence 0.30.
# Fe7Cr2Ni at 400 eV has 1.7 GPa of Pulay stress and forces 12 meV/Å off, hence 500 eV;
# k_plain = 0.36 is 1 meV/atom and 3 meV/Å off (4-atom cell against 8x8x8).
SYSTEMS: Final = {
    "Si": Settings(300, 0.22, 0.36, 0.1, folder="silicon", rmm_diis=True),
    "C": Settings(600, 0.31, 0.55, 0.1, folder="carbon", rmm_diis=True),
    "W": Settings(500, 0.28, 0.25, 0.2, folder="tungsten"),
    "P": Settings(350, 0.22, 0.27, 0.1, folder="phosphorus", rmm_diis=True),
    "Ge2Sb2Te5": Settings(450, 0.28, 0.30, 0.1, folder="ge2sb2te5"),
    "Fe7Cr2Ni": Settings(500, 0.30, 0.36, 0.15, folder="fe7cr2ni", setups={"Ni": "10"}),
}
