"""Small models of two species with standard deviations, and their dense algebra."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from builders import cluster, config, label
from scipy.linalg import block_diag

import gapfit
from gapfit.data.dataset import read
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity
from gapfit.evaluation.residuals import (
    Residuals,
)
from gapfit.gp.observations import RowBlock
from gapfit.model.rows import row_block

METHODS = ("cholesky", "qr")
# Smooth where it ends, or finite differences would be as rough.
SMOOTH = {"function": "poly", "r0": 3.8, "c": 1.0, "m": 3.0}
SOAP = {"r_cut": 3.8, "n_max": 3, "l_max": 2, "n_sparse": 12, "zeta": 3}
PAIR = {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 5, "delta": 1.0, "theta": 0.5}
# Sigmas and jitter are so large that the normal equations hold without whitening.
SIGMA = {
    "energy": 0.1,
    "forces": 1.0,
    "virial": 1.0,
    "config_types": {"odd": {"energy": 0.3, "forces": 2.5}},
}


def salt(seed: int) -> Atoms:
    """Return a rattled, strained crystal of two species."""
    rng = np.random.default_rng(seed)
    atoms = bulk("NaCl", "rocksalt", a=5.1, cubic=True)
    atoms.numbers[:] = [14, 32] * 4
    strain = np.eye(3) + 0.04 * rng.normal(size=(3, 3))
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.rattle(0.15, rng=rng)
    return atoms


def molecule(seed: int) -> Atoms:
    atoms = cluster()
    atoms.numbers[::2] = 32
    atoms.rattle(0.1, seed=seed)
    return atoms


def frames_of(n: int = 3) -> list[Atoms]:
    found = [label(salt(k), config_type="odd" if k % 2 else "even") for k in range(n)]
    return [*found, label(molecule(1), config_type="molecule")]


def settings(method: str = "cholesky", **more: object) -> dict:
    wanted = {
        "terms": [PAIR, SOAP],
        "sigma": SIGMA,
        "solver": {"method": method, "jitter": 1e-4},
        "calibration": {"method": "none"},
    }
    return config() | wanted | more


def frame_of(model: gapfit.GAPModel, atoms: Atoms) -> Frame:
    """Return a structure with labels, so that it has rows."""
    return read([label(atoms.copy())], model.config.data).frames[0]


def rows_of(model: gapfit.GAPModel, frames: list[Frame]) -> RowBlock:
    return row_block(frames, model.terms, model.e0, model.config.sigma)


def kernel_matrix(model: gapfit.GAPModel) -> np.ndarray:
    """Return K_mm with the jitter of the fit."""
    blocks = [t.descriptor.kernel(p, p) for t in model.terms for p in t.sparse.values()]
    jitter = model.record.jitter
    return block_diag(
        *(
            K + own * np.mean(np.diag(K)) * np.eye(len(K))
            for K, own in zip(blocks, jitter, strict=True)
        )
    )


def normal_matrix(model: gapfit.GAPModel) -> np.ndarray:
    """Return K_mm + K_mn Λ^-1 K_nm."""
    train = rows_of(model, read(frames_of(), model.config.data).frames)
    scaled = train.K / train.sigma[:, None]
    return kernel_matrix(model) + scaled.T @ scaled


def brute_covariance(model: gapfit.GAPModel, atoms: Atoms) -> dict[str, np.ndarray]:
    """Return the covariance of energy, forces and virial from normal equations."""
    block = rows_of(model, [frame_of(model, atoms)])
    whole = block.K @ np.linalg.solve(normal_matrix(model), block.K.T)
    return {
        quantity: whole[np.ix_(own, own)]
        for quantity in Quantity
        for own in [np.flatnonzero(block.kind == quantity.position)]
    }


def unexplained(model: gapfit.GAPModel, atoms: Atoms) -> dict[str, np.ndarray]:
    """Return what the sparse points leave of the prior variances."""
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    prior = np.zeros(0)
    found = [
        t.descriptor.prior_variances(pairs.within(t.descriptor.cutoff), gradients=True)
        for t in model.terms
    ]
    for name in ("energies", "forces", "virials"):
        own = sum(np.ravel(getattr(part, name)) for part in found)
        prior = np.concatenate([prior, own])
    block = rows_of(model, [frame_of(model, atoms)])
    explained = block.K @ np.linalg.solve(kernel_matrix(model), block.K.T)
    left = prior - np.diag(explained)
    return {q: left[block.kind == q.position] for q in Quantity}


def residuals(
    rng: np.random.Generator,
    config_type: str,
    factor: float,
    n: int = 24,
    floor: float = 0.02,
    quantity: Quantity = Quantity.FORCES,
) -> Residuals:
    std = np.exp(rng.normal(-2, 0.8, n))
    error = np.hypot(factor * std, floor) * rng.normal(size=n)
    return Residuals(quantity, config_type, 8, 100.0, error, std, np.full(n, 0.05))
