"""Papers on the descriptors of gapfit."""

from __future__ import annotations

from collections.abc import Iterator

from gapfit._support.paper import Paper
from gapfit.config.terms import SoapConfig
from gapfit.config.turbo import TURBO_BASES

__all__ = ["ACE", "EAM_DENSITY", "SEVERAL_TERMS", "soap_papers"]

ACE = Paper(
    "drautz2019",
    "R. Drautz",
    "Atomic cluster expansion for accurate and transferable interatomic potentials",
    "Phys. Rev. B 99, 014104",
    2019,
    "10.1103/PhysRevB.99.014104",
)
SOAP = Paper(
    "bartok2013",
    "A. P. Bartók and R. Kondor and G. Csányi",
    "On representing chemical environments",
    "Phys. Rev. B 87, 184115",
    2013,
    "10.1103/PhysRevB.87.184115",
)
DSCRIBE = Paper(
    "himanen2020",
    "L. Himanen and M. O. J. Jäger and E. V. Morooka and F. Federici Canova and Y. S. "
    "Ranawat and D. Z. Gao and P. Rinke and A. S. Foster",
    "DScribe: Library of descriptors for machine learning in materials science",
    "Comput. Phys. Commun. 247, 106949",
    2020,
    "10.1016/j.cpc.2019.106949",
)
CARO = Paper(
    "caro2019",
    "M. A. Caro",
    "Optimizing many-body atomic descriptors for enhanced computational performance of "
    "machine learning based interatomic potentials",
    "Phys. Rev. B 100, 024112",
    2019,
    "10.1103/PhysRevB.100.024112",
)
POWER_WEIGHT = Paper(
    "willatt2018",
    "M. J. Willatt and F. Musil and M. Ceriotti",
    "Feature optimization for atomistic machine learning yields a data-driven construction "
    "of the periodic table of the elements",
    "Phys. Chem. Chem. Phys. 20, 29661",
    2018,
    "10.1039/C8CP05921G",
)
COMPRESSION = Paper(
    "darby2022",
    "J. P. Darby and J. R. Kermode and G. Csányi",
    "Compressing local atomic neighbourhood descriptors",
    "npj Comput. Mater. 8, 166",
    2022,
    "10.1038/s41524-022-00847-y",
)
CONTRACTION = Paper(
    "goscinski2021",
    "A. Goscinski and F. Musil and S. Pozdnyakov and J. Nigam and M. Ceriotti",
    "Optimal radial basis for density-based atomic representations",
    "J. Chem. Phys. 155, 104106",
    2021,
    "10.1063/5.0057229",
)
_SEVERAL_TERMS = Paper(
    "bartok2015",
    "A. P. Bartók and G. Csányi",
    "Gaussian approximation potentials: A brief tutorial introduction",
    "Int. J. Quantum Chem. 115, 1051",
    2015,
    "10.1002/qua.24927",
)
#: Use and paper of terms of pairs and triplets.
SEVERAL_TERMS = ("two- and three-body terms with SOAP", _SEVERAL_TERMS)
_TABGAP = Paper(
    "byggmastar2022",
    "J. Byggmästar and K. Nordlund and F. Djurabekova",
    "Simple machine-learned interatomic potentials for complex alloys",
    "Phys. Rev. Materials 6, 083801",
    2022,
    "10.1103/PhysRevMaterials.6.083801",
)
#: Use and paper of terms of the density of neighbours.
EAM_DENSITY = ("terms of the embedded-atom density", _TABGAP)
_WEIGHTS = {"poly": CARO, "pow": POWER_WEIGHT}


def soap_papers(config: SoapConfig) -> Iterator[tuple[str, Paper]]:
    """Yield the methods that a SOAP term uses, in words, each with its paper."""
    yield "SOAP, its kernel", SOAP
    if config.rbf in TURBO_BASES:
        yield "SOAP as it is defined here, densities of soap_turbo", CARO
    if config.rbf in ("equispaced_gaussians", *TURBO_BASES):
        return
    yield "SOAP as it is defined here, its radial basis", DSCRIBE
    function = config.weighting.function
    if function in _WEIGHTS:
        yield f"weighting {function!r} of neighbours", _WEIGHTS[function]
    if config.compression != "off":
        yield "compressed SOAP", COMPRESSION
    if config.channels != "all":
        yield "contracted densities", CONTRACTION
