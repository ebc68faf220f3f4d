"""Prior variances of energies, forces and virials of a SOAP term.

With T = û·û' and derivatives d of the unit power spectra û, derivatives of two local
energies have the covariance k'(T) d·d' + k''(T) (d·û') (d'·û): the second derivative of
k(T). Local energies of different central species are independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gapfit.data.neighbours import Pairs
from gapfit.descriptors.kernels import DotProductKernel
from gapfit.descriptors.protocol import PriorVariances
from gapfit.descriptors.soap_engine import Points, SoapEngine
from gapfit.threads import blas_threads

__all__ = ["soap_priors"]

#: Derivatives of environments held at once, bytes.
_MOST_BYTES = 200e6
#: Environments whose covariances with all others of a frame are formed together.
_ROWS = 512
# Its rows are derivatives of dot products with unit vectors: of the features themselves.
_LINEAR = DotProductKernel(1.0, 1.0)


def soap_priors(
    engine: SoapEngine,
    kernel: DotProductKernel,
    species: tuple[int, ...],
    blocks: Sequence[int],
    pairs: Pairs,
    *,
    gradients: bool,
) -> PriorVariances:
    """Return the prior variances of one frame.

    Parameters
    ----------
    engine : SoapEngine
        Evaluates the power spectra.
    kernel : DotProductKernel
        Of the local energies.
    species : tuple of int
        Atomic numbers that the engine knows, ascending.
    blocks : sequence of int
        Central species that have a local energy.
    pairs : Pairs
        Neighbours of all atoms of one frame.
    gradients : bool
        Whether those of forces and virials are wanted.

    Notes
    -----
    Takes 0.2 GB at most for derivatives as atoms move, besides 9 n_features numbers for
    each atom of a species, and the square of n_features.
    """
    n_atoms = pairs.n_atoms if gradients else 0
    energies = np.zeros(1)
    forces, virials = np.zeros((n_atoms, 3)), np.zeros((n_atoms and 1, 6))
    q, _ = engine.environments(pairs)
    for block in blocks:
        own = np.flatnonzero(pairs.numbers == block)
        with blas_threads():
            energies += _energy_variance(kernel, q[own])
        if not gradients or len(own) == 0:
            continue
        features = _Features(engine, species, block)
        strains = features.strains(pairs, own)
        with blas_threads():
            virials += _slope_variances(kernel, q[own], strains)
        for atom, centres, slopes in _moved(features, pairs, own):
            with blas_threads():
                forces[atom] += _slope_variances(kernel, q[centres], slopes)
    # Rounding may leave less than nothing where symmetry leaves nothing.
    return PriorVariances(energies, np.maximum(forces, 0.0), np.maximum(virials, 0.0))


def _energy_variance(kernel: DotProductKernel, units: np.ndarray) -> float:
    """Return the variance of the sum of local energies, eV²."""
    return sum(
        float(kernel.matrix(units[start : start + _ROWS], units).sum())
        for start in range(0, len(units), _ROWS)
    )


def _slope_variances(
    kernel: DotProductKernel, units: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """Return the variances of derivatives of a sum of local energies.

    Parameters
    ----------
    kernel : DotProductKernel
        Of the local energies.
    units : (n, n_features) float64
        Unit power spectra.
    slopes : (n, m, n_features) float64
        Their derivatives along m directions.

    Returns
    -------
    (m,) float64
    """
    total = np.zeros(slopes.shape[1])
    for start in range(0, len(units), _ROWS):
        rows = slice(start, start + _ROWS)
        T = units[rows] @ units.T
        _, slope = kernel.value_and_slope(T)
        curvature = kernel.curvature(T)
        for x in range(len(total)):
            d = slopes[:, x]
            mixed = d[rows] @ units.T
            mixed *= units[rows] @ d.T
            total[x] += np.vdot(slope, d[rows] @ d.T) + np.vdot(curvature, mixed)
    return total


class _Features:
    """Derivatives of the unit power spectra of one central species."""

    def __init__(
        self, engine: SoapEngine, species: tuple[int, ...], block: int
    ) -> None:
        self.engine = engine
        self.species = species
        self.block = block
        self.n_features = n = engine.n_features
        units, none = Points(np.eye(n)), Points(np.zeros((0, n)))
        self.points = [units if z == block else none for z in species]

    def strains(self, pairs: Pairs, centres: np.ndarray) -> np.ndarray:
        """Return derivatives -dû/dε of some centres, (n, 6, n_features), Voigt order."""
        none = np.zeros(pairs.n_atoms, dtype=bool)
        near, _ = self._renamed(pairs, centres, none, apart=True)
        return self._rows(near)[1]

    def motions(
        self, pairs: Pairs, centres: np.ndarray, moving: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return derivatives of the features of some centres as atoms move.

        Parameters
        ----------
        pairs : Pairs
            Neighbours of all atoms of a frame.
        centres : (n,) int64
            Ascending.
        moving : (n_atoms,) bool
            Atoms that move.

        Returns
        -------
        slopes : (n + m, 3, n_features) float64
            -dû/dR as each centre moves, its images staying, then of centres as a neighbour
            and its images move, 1/Å.
        keys : (m,) int64
            Of the latter, atom × n + position of the centre, ascending.
        """
        near, keys = self._renamed(pairs, centres, moving, apart=False)
        return self._rows(near)[0][: len(centres) + len(keys)], keys

    def _renamed(
        self, pairs: Pairs, centres: np.ndarray, moving: np.ndarray, *, apart: bool
    ) -> tuple[Pairs, np.ndarray]:
        """Return neighbours of some centres as if no two centres had any in common.

        Atoms are the centres, then the moving neighbours of each, images of one atom being
        one, then all others as one atom of each species. Each centre is a frame if they
        are to be kept apart.
        """
        n = len(centres)
        place = np.full(pairs.n_atoms, -1)
        place[centres] = np.arange(n)
        chosen = place[pairs.i] >= 0
        i, j = place[pairs.i[chosen]], pairs.j[chosen]
        counted = moving[j]
        keys, inverse = np.unique(j[counted] * n + i[counted], return_inverse=True)
        named = n + len(keys) + np.searchsorted(self.species, pairs.numbers[j])
        named[counted] = n + inverse
        numbers = (np.full(n, self.block), pairs.numbers[keys // n], self.species)
        frame = np.zeros(n + len(keys) + len(self.species), dtype=np.int64)
        frame[:n] = np.arange(n) if apart else 0
        near = Pairs(
            numbers=np.concatenate(numbers),
            frame=frame,
            n_frames=n if apart else 1,
            i=i,
            j=named,
            R=pairs.R[chosen],
            first=np.searchsorted(i, np.arange(n + 1)),
            start=0,
            stop=n,
        )
        return near, keys

    def _rows(self, near: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return force and virial rows of the features."""
        energies = np.zeros((near.n_frames, self.n_features))
        forces = np.zeros((near.n_atoms, 3, self.n_features))
        virials = np.zeros((near.n_frames, 6, self.n_features))
        self.engine.add_rows(near, self.points, _LINEAR, energies, forces, virials)
        return forces, virials


def _moved(
    features: _Features, pairs: Pairs, own: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each atom, centres whose features change as it moves, and the derivatives.

    Centres (n,) int64 among `own`, derivatives (n, 3, n_features) float64; for groups of
    atoms, so that memory has a bound.
    """
    has_features = np.zeros(pairs.n_atoms, dtype=bool)
    has_features[own] = True
    felt = np.bincount(pairs.j[has_features[pairs.i]], minlength=pairs.n_atoms)
    # Centres have rows of their own besides, fewer than those of their neighbours.
    group = np.cumsum(48 * features.n_features * felt) // _MOST_BYTES
    for number in np.unique(group):
        moving = group == number
        near = moving.copy()
        near[pairs.i[moving[pairs.j]]] = True
        centres = own[near[own]]
        if len(centres) == 0:
            continue
        slopes, keys = features.motions(pairs, centres, moving)
        atom_of, place = np.divmod(keys, len(centres))
        for atom in np.flatnonzero(moving):
            rows = np.arange(*np.searchsorted(atom_of, [atom, atom + 1]))
            at, rows = place[rows], rows + len(centres)
            if has_features[atom]:
                itself = np.searchsorted(centres, atom)
                at, rows = np.append(at, itself), np.append(rows, itself)
            yield int(atom), centres[at], slopes[rows]
