"""dscribe as the definition of SOAP: its basis, and itself as a slow engine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from gapfit.descriptors.expansion import Features, species_index
from gapfit.descriptors.radial import RadialBasis, Weighting
from gapfit.errors import ConfigError
from gapfit.neighbours import Pairs

__all__ = ["DscribeEngine", "gto_basis"]


def gto_basis(r_cut: float, n_max: int, l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Return dscribe's GTO exponents and orthonormalising coefficients.

    Parameters
    ----------
    r_cut : float
        Cutoff of the basis, Å.
    n_max, l_max : int
        Number of radial functions; highest angular momentum.

    Returns
    -------
    alphas : (l_max + 1, n_max) float64
        1/Å².
    betas : (l_max + 1, n_max, n_max) float64

    Raises
    ------
    ConfigError
        The overlap matrix is too ill-conditioned to be orthonormalised.
    """
    from dscribe.descriptors import SOAP
    from scipy.linalg import LinAlgWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            soap = SOAP(r_cut=r_cut, n_max=n_max, l_max=l_max, species=["H"])
    except (ValueError, LinAlgWarning) as error:
        raise ConfigError(
            f"the radial basis n_max = {n_max}, r_cut = {r_cut} Å is linearly dependent to "
            f"machine precision ({error}); use n_max = 8 to 12 or a longer cutoff"
        ) from error
    return (
        np.reshape(soap._alphas, (l_max + 1, n_max)).astype(float),
        np.reshape(soap._betas, (l_max + 1, n_max, n_max)).astype(float),
    )


def _weighting_options(weighting: Weighting) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if weighting.function != "none":
        options.update(function=weighting.function, r0=weighting.r0, c=weighting.c)
        if weighting.function in ("poly", "pow"):
            options["m"] = weighting.m
        if weighting.function in ("pow", "exp"):
            options["d"] = weighting.d
    if weighting.w0 is not None:
        options["w0"] = weighting.w0
    return options


class DscribeEngine:
    """SOAP through ``dscribe.descriptors.SOAP`` on the explicit cluster of each centre.

    Clusters are not periodic, which avoids dscribe's wrong periodic derivatives for
    subsets of centres; derivatives are dscribe's central differences (error 1e-8).
    """

    def __init__(
        self,
        species: tuple[int, ...],
        *,
        r_cut: float,
        n_max: int,
        l_max: int,
        sigma: float,
        weighting: Weighting,
    ) -> None:
        from dscribe.descriptors import SOAP

        self.species = species
        self.features = Features(len(species), n_max, l_max)
        self.soap = SOAP(
            r_cut=r_cut,
            n_max=n_max,
            l_max=l_max,
            sigma=sigma,
            weighting=_weighting_options(weighting),
            species=list(species),
        )
        alphas, betas = gto_basis(r_cut, n_max, l_max)
        self.cutoff = RadialBasis(
            alphas, betas, sigma=sigma, r_cut=r_cut, weighting=weighting
        ).cutoff

    def expand(self, pairs: Pairs) -> DscribeExpansion:
        """Return the power spectra of the centres of a pair list."""
        return DscribeExpansion(self, pairs)


class DscribeExpansion:
    """Power spectra of the clusters around each centre; see `Expansion`."""

    def __init__(self, engine: DscribeEngine, pairs: Pairs) -> None:
        self.engine = engine
        self.pairs = pairs
        self.centre = pairs.i - pairs.start
        self._neighbour = species_index(engine.species, pairs.numbers)[pairs.j]
        centres = range(pairs.n_centres)
        self.p = np.array(
            [engine.soap.create(self._cluster(c), centers=[0])[0] for c in centres]
        ).reshape(pairs.n_centres, len(engine.features))

    def _cluster(self, centre: int) -> Any:
        from ase import Atoms

        mine = self.centre == centre
        numbers = self.pairs.numbers
        return Atoms(
            numbers=np.r_[
                numbers[self.pairs.start + centre], numbers[self.pairs.j[mine]]
            ],
            positions=np.vstack([np.zeros(3), self.pairs.R[mine]]),
        )

    def pair_species(self) -> np.ndarray:
        """Return the index of each neighbour's species, shape (n_pairs,)."""
        return self._neighbour

    def derivatives(self, pairs: np.ndarray, species: int) -> np.ndarray:
        """Return dp_i/dR_j of the active features, (n, 3, n_active); see `Expansion`."""
        active = self.engine.features.active[species]
        D = np.empty((len(pairs), 3, len(active)))
        for centre in np.unique(self.centre[pairs]):
            first = np.searchsorted(self.centre, centre)
            here = self.centre[pairs] == centre
            D[here] = self._cluster_derivatives(int(centre))[pairs[here] - first][
                ..., active
            ]
        return D

    def _cluster_derivatives(self, centre: int) -> np.ndarray:
        """Return dp/dR of all neighbours of a centre, (n_neighbours, 3, n_features)."""
        out = self.engine.soap.derivatives(
            self._cluster(centre),
            centers=[0],
            attach=True,
            method="numerical",
            return_descriptor=False,
        )
        return np.asarray(out)[0, 1:]

    def adjoint(self, gradient: np.ndarray) -> np.ndarray:
        """Return dE/dR of every pair (n_pairs, 3) from dE/dp (n_centres, n_features)."""
        parts = [
            self._cluster_derivatives(centre) @ gradient[centre]
            for centre in np.unique(self.centre)
        ]
        return np.concatenate([*parts, np.zeros((0, 3))])
