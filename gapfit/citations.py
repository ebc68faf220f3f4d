"""The papers behind the methods that a model uses."""

from __future__ import annotations

from collections.abc import Iterator

from gapfit._support.paper import Paper
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import is_foreign

__all__ = ["Paper", "papers"]


GAP = Paper(
    "bartok2010",
    "A. P. Bartók and M. C. Payne and R. Kondor and G. Csányi",
    "Gaussian Approximation Potentials: The Accuracy of Quantum Mechanics, without the "
    "Electrons",
    "Phys. Rev. Lett. 104, 136403",
    2010,
    "10.1103/PhysRevLett.104.136403",
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
D3 = Paper(
    "grimme2010",
    "S. Grimme and J. Antony and S. Ehrlich and H. Krieg",
    "A consistent and accurate ab initio parametrization of density functional dispersion "
    "correction (DFT-D) for the 94 elements H-Pu",
    "J. Chem. Phys. 132, 154104",
    2010,
    "10.1063/1.3382344",
)
D3_BJ = Paper(
    "grimme2011",
    "S. Grimme and S. Ehrlich and L. Goerigk",
    "Effect of the damping function in dispersion corrected density functional theory",
    "J. Comput. Chem. 32, 1456",
    2011,
    "10.1002/jcc.21759",
)
D3_REVISED = Paper(
    "smith2016",
    "D. G. A. Smith and L. A. Burns and K. Patkowski and C. D. Sherrill",
    "Revised Damping Parameters for the D3 Dispersion Correction to Density Functional "
    "Theory",
    "J. Phys. Chem. Lett. 7, 2197",
    2016,
    "10.1021/acs.jpclett.6b00780",
)
D3_LIBRARY = Paper(
    "ehlert2024",
    "S. Ehlert",
    "Simple DFT-D3: Library first implementation of the D3 dispersion correction",
    "J. Open Source Softw. 9(103), 7169",
    2024,
    "10.21105/joss.07169",
)
EWALD = Paper(
    "ewald1921",
    "P. P. Ewald",
    "Die Berechnung optischer und elektrostatischer Gitterpotentiale",
    "Ann. Phys. 369, 253",
    1921,
    "10.1002/andp.19213690304",
)


def papers(model: GAPModel) -> Iterator[tuple[str, Paper]]:
    """Yield the methods that a model uses, in words, each with its paper.

    Parameters
    ----------
    model : GAPModel
        The potential.
    """
    if model.record.pacemaker is None:
        yield "Gaussian approximation potentials", GAP
    used = [entry for term in model.terms for entry in term.descriptor.papers()]
    yield from dict.fromkeys(used)
    if not is_foreign(model):
        if any(term.config.points_method == "cur" for term in model.terms):
            yield "sparse points by leverage scores", LEVERAGE
        yield "solution of the sparse Gaussian process", SOLVER
    if model.posterior is not None:
        yield "standard deviations", SPARSE
    if model.calibration is not None:
        yield "conformal intervals", CONFORMAL
    if model.config.baseline.repulsion == "zbl":
        yield "screened nuclear repulsion (ZBL)", REPULSION
    if d3 := model.config.baseline.d3:
        yield "dispersion (DFT-D3)", D3
        if d3.damping.startswith("bj"):
            yield "its damping", D3_BJ
        if d3.damping.endswith("m"):
            yield "its parameters", D3_REVISED
        yield "its program", D3_LIBRARY
    if model.config.baseline.charges:
        yield "point charges (Ewald's sum)", EWALD
