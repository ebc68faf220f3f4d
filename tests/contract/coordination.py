"""A descriptor from outside the package: the energy by the number of neighbours."""

from typing import Literal

import numpy as np

from gapfit.config import SparseTermConfig
from gapfit.config.base import described
from gapfit.data.frame import VOIGT
from gapfit.data.neighbours import separate
from gapfit.descriptors.kernels import SquaredExponential
from gapfit.descriptors.protocol import (
    Descriptor,
    Environments,
    KernelRows,
    LocalPrediction,
    PriorVariances,
)
from gapfit.descriptors.registry import register
from gapfit.descriptors.switch import Switch


class CoordinationConfig(SparseTermConfig):
    """Energy of an atom by the sum of switches of its neighbours, by species."""

    type: Literal["coordination"] = described("coordination", "kind of term")
    theta: float = described(1.0, "change of coordination that matters", gt=0)


class Coordination(Descriptor):
    atomic = True

    def __init__(self, config, species, *_):
        self.cutoff, self.blocks, self.n_features = config.r_cut, species, 1
        self.curve = SquaredExponential(config.delta, config.theta)
        self.lengths = np.array([config.theta])

    def kernel(self, left, right):
        return self.curve.derivatives(left[:, 0], right[:, 0])[0]

    def _counts(self, pairs):
        """Return species, coordination n, and dn by pair, position and strain."""
        r, i = np.linalg.norm(pairs.R, axis=1), pairs.i - pairs.start
        s, slope, _ = Switch(self.cutoff, 1.5)(r)
        g = (slope / r)[:, None] * pairs.R
        by_position = np.zeros((pairs.n_centres, pairs.n_atoms, 3))
        np.add.at(by_position, (i, pairs.j), -g)
        np.add.at(by_position, (i, pairs.i), g)
        by_strain = np.zeros((pairs.n_centres, pairs.n_frames, 6))
        tensor = np.stack([-pairs.R[:, x] * g[:, y] for x, y in VOIGT], axis=1)
        np.add.at(by_strain, (i, pairs.frame[pairs.i]), tensor)
        n = np.bincount(i, s, pairs.n_centres)
        return pairs.numbers[pairs.start : pairs.stop], n, (by_position, by_strain), g

    def environments(self, pairs):
        z, n, *_ = self._counts(pairs)
        at = {block: np.flatnonzero(z == block) for block in self.blocks}
        return {b: Environments(pairs.start + i, n[i, None]) for b, i in at.items()}

    def _kernels(self, pairs, sparse):
        z, n, *_ = self._counts(pairs)
        k = [self.curve.derivatives(n, x[:, 0])[:2] for x in sparse.values()]
        own = [(z == block)[:, None] for block in sparse]
        return np.concatenate([a * b for a, b in zip(k, own, strict=True)], axis=2)

    def covariances(self, pairs, sparse):
        k, _ = self._kernels(pairs, sparse)
        return k, np.full(len(k), self.curve.delta**2)

    def kernel_rows(self, pairs, sparse, *, gradients, virials=True):
        k, k1 = self._kernels(pairs, sparse)
        frames = np.arange(pairs.n_frames)[:, None]
        energies = (frames == pairs.frame[pairs.start : pairs.stop]) @ k
        seen = self._counts(pairs)[2]
        k1 = k1 if gradients else k1[:, :0]
        return KernelRows(energies, *(np.einsum("iax,im->axm", d, k1) for d in seen))

    def prior_variances(self, pairs, *, gradients):
        out = []
        for frame in separate(pairs):
            z, n, seen, _ = self._counts(frame)
            k, _, k2 = self.curve.derivatives(n, n) * (z[:, None] == z)
            seen = [d if gradients else d[:, :0] for d in seen]
            found = [np.einsum("iax,jax,ij->ax", d, d, -k2) for d in seen]
            out.append(PriorVariances(k.sum(keepdims=True)[0], *found))
        return PriorVariances.joined(out)

    def prepare(self, sparse, coefficients, **_):
        return sparse, np.concatenate(list(coefficients.values()))

    def predict(self, pairs, prepared, *, gradients, atom_virials=False):
        energies, slopes = self._kernels(pairs, prepared[0]) @ prepared[1]
        *_, seen, g = self._counts(pairs)
        forces, virials = (np.einsum("iax,i->ax", d, slopes) for d in seen)
        by_atom = np.zeros((pairs.n_atoms, 3, 3))
        pull = slopes[pairs.i - pairs.start, None] * g
        np.add.at(by_atom, pairs.j, -pairs.R[:, :, None] * pull[:, None])
        return LocalPrediction(energies, forces, virials, by_atom)


register(CoordinationConfig, Coordination)
