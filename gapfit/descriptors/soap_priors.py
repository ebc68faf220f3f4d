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
from gapfit.descriptors.row_points import SparsePoints
from gapfit.descriptors.soap_engine import SoapEngine
from gapfit.threads import blas_threads

__all__ = ["soap_priors"]

# Memory for derivatives of environments, bytes.
_MOST_BYTES = 200e6
# Environments whose covariances with all others of a frame are formed together.
_CHUNK_ROWS = 512
# With unit vectors as points, the kernel rows are derivatives of the features.
_LINEAR = DotProductKernel(1.0, 1.0)


def soap_priors(
    engine: SoapEngine,
    kernel: DotProductKernel,
    species: tuple[int, ...],
    blocks: Sequence[int],
    pairs: Pairs,
    *,
    gradients: bool,
    most_bytes: float = _MOST_BYTES,
    chunk_rows: int = _CHUNK_ROWS,
) -> PriorVariances:
    """Return the prior variances of one frame.

    Parameters
    ----------
    engine : SoapEngine
        Evaluates the power spectra.
    kernel : DotProductKernel
        Kernel of the local energies.
    species : tuple of int
        Atomic numbers that the engine knows, ascending.
    blocks : sequence of int
        Central species that have a local energy.
    pairs : Pairs
        Neighbours of all atoms of one frame.
    gradients : bool
        Whether those of forces and virials are wanted.
    most_bytes : float
        Memory for derivatives with respect to positions, bytes; at least those of one
        atom. 9 n_features numbers for each atom of a species and n_features² numbers are
        needed in addition.
    chunk_rows : int
        Environments whose covariances with all others are formed together.
    """
    n_atoms = pairs.n_atoms if gradients else 0
    energies = np.zeros(1)
    forces, virials = np.zeros((n_atoms, 3)), np.zeros((n_atoms and 1, 6))
    q, _ = engine.environments(pairs)
    for block in blocks:
        members = np.flatnonzero(pairs.numbers == block)
        with blas_threads():
            energies += _energy_variance(kernel, q[members], chunk_rows)
        if not gradients or len(members) == 0:
            continue
        features = _FeatureDerivatives(engine, species, block)
        strains = features.strains(pairs, members)
        with blas_threads():
            virials += _slope_variances(kernel, q[members], strains, chunk_rows)
        for atom, centres, slopes in _moved(features, pairs, members, most_bytes):
            with blas_threads():
                forces[atom] += _slope_variances(kernel, q[centres], slopes, chunk_rows)
    # Where symmetry makes a variance zero, rounding may make it negative.
    return PriorVariances(energies, np.maximum(forces, 0.0), np.maximum(virials, 0.0))


def _energy_variance(
    kernel: DotProductKernel, units: np.ndarray, chunk_rows: int
) -> float:
    """Return the variance of the sum of local energies, eV²."""
    return sum(
        float(kernel.matrix(units[start : start + chunk_rows], units).sum())
        for start in range(0, len(units), chunk_rows)
    )


def _slope_variances(
    kernel: DotProductKernel, units: np.ndarray, slopes: np.ndarray, chunk_rows: int
) -> np.ndarray:
    """Return the variances of derivatives of a sum of local energies.

    Parameters
    ----------
    kernel : DotProductKernel
        Kernel of the local energies.
    units : (n, n_features) float64
        Unit power spectra.
    slopes : (n, m, n_features) float64
        Their derivatives along m directions.
    chunk_rows : int
        As for `soap_priors`.

    Returns
    -------
    (m,) float64
        Variance along each direction.
    """
    total = np.zeros(slopes.shape[1])
    for start in range(0, len(units), chunk_rows):
        rows = slice(start, start + chunk_rows)
        T = units[rows] @ units.T
        _, slope = kernel.value_and_slope(T)
        curvature = kernel.curvature(T)
        for x in range(len(total)):
            d = slopes[:, x]
            mixed = d[rows] @ units.T
            mixed *= units[rows] @ d.T
            total[x] += np.vdot(slope, d[rows] @ d.T) + np.vdot(curvature, mixed)
    return total


class _FeatureDerivatives:
    """Derivatives of the unit power spectra of one central species."""

    def __init__(
        self, engine: SoapEngine, species: tuple[int, ...], block: int
    ) -> None:
        self.engine = engine
        self.species = species
        self.block = block
        self.n_features = n = engine.n_features
        units, none = SparsePoints(np.eye(n)), SparsePoints(np.zeros((0, n)))
        self.points = [units if z == block else none for z in species]

    def strains(self, pairs: Pairs, centres: np.ndarray) -> np.ndarray:
        """Return derivatives -dû/dε of some centres, (n, 6, n_features), Voigt order."""
        none = np.zeros(pairs.n_atoms, dtype=bool)
        near, _ = self._renamed(pairs, centres, none, apart=True)
        return self._rows(near)[1]

    def motions(
        self, pairs: Pairs, centres: np.ndarray, moving: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return derivatives of the features of some centres with moving atoms.

        Parameters
        ----------
        pairs : Pairs
            Neighbours of all atoms of a frame.
        centres : (n,) int64
            Indices of the centres, ascending.
        moving : (n_atoms,) bool
            Atoms that move.

        Returns
        -------
        slopes : (n + m, 3, n_features) float64
            -dû/dR with the position of each centre, its images fixed; then with those of
            neighbours and their images, 1/Å.
        keys : (m,) int64
            Keys of the latter, ascending: atom × n + position of the centre.
        """
        near, keys = self._renamed(pairs, centres, moving, apart=False)
        return self._rows(near)[0][: len(centres) + len(keys)], keys

    def _renamed(
        self, pairs: Pairs, centres: np.ndarray, moving: np.ndarray, *, apart: bool
    ) -> tuple[Pairs, np.ndarray]:
        """Return neighbours of some centres as if no two centres had any in common.

        The atoms are the centres; then the moving neighbours of each, one for all images of
        an atom; then one of each species for all others. With `apart`, each centre is a
        frame.
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
    features: _FeatureDerivatives,
    pairs: Pairs,
    members: np.ndarray,
    most_bytes: float,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each atom, the centres whose features depend on it, and the derivatives.

    Centres (n,) int64 among `members`, derivatives (n, 3, n_features) float64. Groups of
    atoms are treated together, which bounds the memory.
    """
    has_features = np.zeros(pairs.n_atoms, dtype=bool)
    has_features[members] = True
    felt = np.bincount(pairs.j[has_features[pairs.i]], minlength=pairs.n_atoms)
    # The rows of the centres themselves are fewer than those of their neighbours.
    group = np.cumsum(48 * features.n_features * felt) // most_bytes
    for number in np.unique(group):
        moving = group == number
        near = moving.copy()
        near[pairs.i[moving[pairs.j]]] = True
        centres = members[near[members]]
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
