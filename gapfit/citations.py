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
