"""Terms of a potential: a descriptor with its sparse points and coefficients."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gapfit.config import SoapConfig, Term
from gapfit.descriptors import Descriptor, Sparse
from gapfit.descriptors.expansion import NativeEngine, SoapEngine
from gapfit.descriptors.radial import RadialBasis, Weighting
from gapfit.descriptors.soap import Soap
from gapfit.kernels import DotProductKernel

__all__ = ["FittedTerm", "build_term", "new_basis"]


@dataclass(frozen=True, eq=False, repr=False)
class FittedTerm:
    """One term: what it computes, its sparse points and their coefficients.

    Attributes
    ----------
    config : SoapConfig
        Hyperparameters.
    basis : dict of str to ndarray
        Tables that define the descriptor, stored with the model.
    descriptor : Descriptor
        Evaluates kernels and energies.
    sparse : dict of int to (n_sparse, n_features) float64
        Sparse points by block.
    coefficients : dict of int to (n_sparse,) float64
        Coefficients c by block, 1/eV; empty before the fit.
    """

    config: Term
    basis: dict[str, np.ndarray]
    descriptor: Descriptor
    sparse: Sparse = field(default_factory=dict)
    coefficients: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def n_sparse(self) -> int:
        """Number of sparse points in all blocks."""
        return sum(len(points) for points in self.sparse.values())


def new_basis(config: Term) -> dict[str, np.ndarray]:
    """Return the basis tables of a term, from dscribe."""
    from gapfit.descriptors.dscribe_soap import gto_basis

    alphas, betas = gto_basis(config.r_cut, config.n_max, config.l_max)
    return {"alphas": alphas, "betas": betas}


def build_term(
    config: Term, species: tuple[int, ...], basis: dict[str, np.ndarray]
) -> FittedTerm:
    """Return a term without sparse points.

    Parameters
    ----------
    config : SoapConfig
        Hyperparameters.
    species : tuple of int
        Atomic numbers of the potential, ascending.
    basis : dict of str to ndarray
        From `new_basis` or from a model file.
    """
    kernel = DotProductKernel(config.delta, config.zeta)
    descriptor = Soap(_soap_engine(config, species, basis), kernel, species)
    return FittedTerm(config, basis, descriptor)


def _soap_engine(
    config: SoapConfig, species: tuple[int, ...], basis: dict[str, np.ndarray]
) -> SoapEngine:
    chosen = config.weighting
    weighting = Weighting(
        chosen.function,
        chosen.r0 or config.r_cut,
        chosen.c,
        chosen.d,
        chosen.m,
        chosen.w0,
    )
    if config.engine == "dscribe":
        from gapfit.descriptors.dscribe_soap import DscribeEngine

        return DscribeEngine(
            species,
            r_cut=config.r_cut,
            n_max=config.n_max,
            l_max=config.l_max,
            sigma=config.sigma,
            weighting=weighting,
        )
    radial = RadialBasis(
        basis["alphas"],
        basis["betas"],
        sigma=config.sigma,
        r_cut=config.r_cut,
        weighting=weighting,
    )
    return NativeEngine(species, radial)
