"""Error bars of whatever a potential is used for, by samples of its posterior.

`propagate` computes a function with every sampled potential. `reweight` turns one
trajectory of the mean potential into the averages that every sample would have.
"""

from gapfit.propagation.ensemble import SampleEnergies, sample_energies
from gapfit.propagation.observables import Observable, radial_distribution
from gapfit.propagation.results import Average, Reweighting
from gapfit.propagation.spread import Spread, propagate
from gapfit.propagation.trajectory import reweight

__all__ = [
    "Average",
    "Observable",
    "Reweighting",
    "SampleEnergies",
    "Spread",
    "propagate",
    "radial_distribution",
    "reweight",
    "sample_energies",
]
