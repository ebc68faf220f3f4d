"""The papers behind the methods that a model uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gapfit.config.sections import Angle3bConfig, Distance2bConfig, SoapConfig
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_from_quip

__all__ = ["Paper", "papers"]


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes
    ----------
    key : str
        Key of the BibTeX entry.
    authors, title, where : str
        Authors as in BibTeX (``and`` between them), title, and journal with volume and
        page, or publisher.
    year : int
        Year of publication.
    doi : str
        DOI; empty if there is none.
    """

    key: str
    authors: str
    title: str
    where: str
    year: int
    doi: str = ""

    @property
    def text(self) -> str:
        """The reference on one line."""
        names = self.authors.split(" and ")
        authors = ", ".join(names) if len(names) < 4 else f"{names[0]} et al."
        doi = f", doi:{self.doi}" if self.doi else ""
        return f"{authors}, {self.title}, {self.where} ({self.year}){doi}"

    @property
    def bibtex(self) -> str:
        """The reference as a BibTeX entry."""
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "journal": self.where,
            "year": str(self.year),
            **({"doi": self.doi} if self.doi else {}),
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@article{{{self.key},\n{body}\n}}"


GAP = Paper(
    "bartok2010",
    "A. P. Bartók and M. C. Payne and R. Kondor and G. Csányi",
    "Gaussian Approximation Potentials: The Accuracy of Quantum Mechanics, without the "
    "Electrons",
    "Phys. Rev. Lett. 104, 136403",
    2010,
    "10.1103/PhysRevLett.104.136403",
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
POLYNOMIAL_WEIGHT = Paper(
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
_WEIGHTS = {"poly": POLYNOMIAL_WEIGHT, "pow": POWER_WEIGHT}
COMPRESSION = Paper(
    "darby2022",
    "J. P. Darby and J. R. Kermode and G. Csányi",
    "Compressing local atomic neighbourhood descriptors",
    "npj Comput. Mater. 8, 166",
    2022,
    "10.1038/s41524-022-00847-y",
)
SEVERAL_TERMS = Paper(
    "bartok2015",
    "A. P. Bartók and G. Csányi",
    "Gaussian approximation potentials: A brief tutorial introduction",
    "Int. J. Quantum Chem. 115, 1051",
    2015,
    "10.1002/qua.24927",
)
LEVERAGE = Paper(
    "mahoney2009",
    "M. W. Mahoney and P. Drineas",
    "CUR matrix decompositions for improved data analysis",
    "Proc. Natl. Acad. Sci. USA 106, 697",
    2009,
    "10.1073/pnas.0803205106",
)
SOLVER = Paper(
    "foster2009",
    "L. Foster and A. Waagen and N. Aijaz and M. Hurley and A. Luis and J. Rinsky and C. "
    "Satyavolu and M. J. Way and P. Gazis and A. Srivastava",
    "Stable and Efficient Gaussian Process Calculations",
    "J. Mach. Learn. Res. 10, 857",
    2009,
)
SPARSE = Paper(
    "quinonero2005",
    "J. Quiñonero-Candela and C. E. Rasmussen",
    "A Unifying View of Sparse Approximate Gaussian Process Regression",
    "J. Mach. Learn. Res. 6, 1939",
    2005,
)
CONFORMAL = Paper(
    "tibshirani2019",
    "R. J. Tibshirani and R. Foygel Barber and E. J. Candès and A. Ramdas",
    "Conformal Prediction Under Covariate Shift",
    "Adv. Neural Inf. Process. Syst. 32",
    2019,
)
REPULSION = Paper(
    "ziegler1985",
    "J. F. Ziegler and J. P. Biersack and U. Littmark",
    "The Stopping and Range of Ions in Solids",
    "Pergamon, New York",
    1985,
)


def papers(model: GAPModel) -> Iterator[tuple[str, Paper]]:
    """Yield the methods that a model uses, in words, each with its paper.

    Parameters
    ----------
    model : GAPModel
        The potential.
    """
    kinds = [term.config for term in model.terms]
    yield "Gaussian approximation potentials", GAP
    soaps = [kind for kind in kinds if isinstance(kind, SoapConfig)]
    here = [kind for kind in soaps if kind.rbf != "equispaced_gaussians"]
    if soaps:
        yield "SOAP, its kernel", SOAP
    if here:
        yield "SOAP as it is defined here, its radial basis", DSCRIBE
    weights = {kind.weighting.function for kind in here}
    for name, paper in _WEIGHTS.items():
        if name in weights:
            yield f"weighting {name!r} of neighbours", paper
    if any(kind.compression != "off" for kind in here):
        yield "compressed SOAP", COMPRESSION
    if any(isinstance(kind, Distance2bConfig | Angle3bConfig) for kind in kinds):
        yield "two- and three-body terms with SOAP", SEVERAL_TERMS
    if not is_from_quip(model):
        if any(kind.sparse_method == "cur" for kind in kinds):
            yield "sparse points by leverage scores", LEVERAGE
        yield "solution of the sparse Gaussian process", SOLVER
    if model.posterior is not None:
        yield "standard deviations", SPARSE
    if model.calibration is not None:
        yield "conformal intervals", CONFORMAL
    if model.config.baseline.repulsion == "zbl":
        yield "screened nuclear repulsion (ZBL)", REPULSION
