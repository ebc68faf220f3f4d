"""Structures to choose from, and a posterior by plain inversion."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from builders import label
from scipy.linalg import cho_factor, cho_solve

from gapfit.active import candidates
from gapfit.data.dataset import read
from gapfit.model.rows import row_block

PER = ("atom", "structure")


def calm(n, *, rattle=0.03, seed=0, repeat=1) -> list[Atoms]:
    """Diamond that hardly moves."""
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=True) * (repeat, 1, 1)
        atoms.rattle(rattle, seed=seed + k)
        frames.append(label(atoms))
    return frames


def bare(frames) -> list[Atoms]:
    out = [atoms.copy() for atoms in frames]
    for atoms in out:
        atoms.info.clear()
    return out


def candidates_of(model, atoms, *, rows=True, spaces=None, **options):
    frames = read(atoms, model.config.data).frames
    spaces = candidates.spaces_of(model) if spaces is None else spaces
    numbers = range(len(frames))
    return list(
        candidates.candidates(model, frames, numbers, spaces, rows=rows, **options)
    )


class Posterior:
    """Covariance of all coefficients by plain inversion, with labels added to it."""

    def __init__(self, model) -> None:
        self.model = model
        self.whitening, R = model.posterior.whitening, model.posterior.R
        self.precision = R.T @ R

    def rows(self, atoms):
        frames = read([atoms], self.model.config.data).frames
        block = row_block(
            frames, self.model.terms, self.model.e0, self.model.config.sigma
        )
        return self.whitening.apply(block.K), block

    def add(self, atoms) -> None:
        phi, block = self.rows(atoms)
        phi = phi / block.sigma[:, None]
        self.precision = self.precision + phi.T @ phi

    def of_forces(self, atoms) -> np.ndarray:
        """Variance of the force vector on each atom."""
        phi, block = self.rows(atoms)
        phi = phi[block.kind == 1]
        inverse = cho_solve(cho_factor(self.precision), phi.T)
        return np.einsum("nm,mn->n", phi, inverse).reshape(-1, 3).sum(axis=1)

    def gain(self, atoms) -> float:
        before = np.linalg.slogdet(self.precision)[1]
        later = Posterior(self.model)
        later.precision = self.precision
        later.add(atoms)
        return 0.5 * (np.linalg.slogdet(later.precision)[1] - before)
