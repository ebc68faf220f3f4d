"""Physical properties of a crystal from a potential, with error bars from its posterior.

`compute` returns all of them; the functions it calls take any ASE calculator.
"""

from gapfit.properties.computation import compute
from gapfit.properties.defects import Vacancy, vacancy
from gapfit.properties.dimer import DimerCurve, dimer_curve
from gapfit.properties.elastic import Moduli, Response, elastic_response, moduli
from gapfit.properties.equation_of_state import (
    EquationOfState,
    birch_murnaghan,
    volume_scan,
)
from gapfit.properties.evaluators import by_calculator, by_samples, energy_std
from gapfit.properties.phonon_bands import Phonons, phonons
from gapfit.properties.prototypes import PROTOTYPES, check_prototype, prototype
from gapfit.properties.quantities import CrystalQuantity, compared, read_reference
from gapfit.properties.relax import relaxed, supercell
from gapfit.properties.results import PROPERTIES, Report, Settings
from gapfit.properties.stability import Stability, run_nve
from gapfit.properties.surfaces import Surface, slabs, surface

__all__ = [
    "PROPERTIES",
    "PROTOTYPES",
    "CrystalQuantity",
    "DimerCurve",
    "EquationOfState",
    "Moduli",
    "Phonons",
    "Report",
    "Response",
    "Settings",
    "Stability",
    "Surface",
    "Vacancy",
    "birch_murnaghan",
    "by_calculator",
    "by_samples",
    "check_prototype",
    "compared",
    "compute",
    "dimer_curve",
    "elastic_response",
    "energy_std",
    "moduli",
    "phonons",
    "prototype",
    "read_reference",
    "relaxed",
    "run_nve",
    "slabs",
    "supercell",
    "surface",
    "vacancy",
    "volume_scan",
]
