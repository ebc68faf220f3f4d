"""Structures that strain a search for pairs, and a search over explicit images."""

from __future__ import annotations

from itertools import product

import numpy as np

from gapfit.data.frame import Frame


def grid(cell, pbc=True, counts=(3, 3, 3), seed=0) -> Frame:
    """Return a rattled grid of atoms in a cell."""
    cell = np.asarray(cell, dtype=float)
    points = np.array(list(product(*map(range, counts)))) / counts
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, size=points.shape)
    return Frame(
        numbers=np.full(len(points), 14),
        positions=points @ cell + noise,
        cell=cell,
        pbc=np.broadcast_to(pbc, 3).copy(),
    )


def angled(degrees: float) -> np.ndarray:
    """Return a cell whose first and last vectors are at an angle."""
    angle = np.radians(degrees)
    return 9 * np.array([[1, 0, 0], [0, 1, 0], [np.cos(angle), 0, np.sin(angle)]])


def moved(frame: Frame, cells: int = 4) -> Frame:
    """Return a frame whose atoms are whole cells away from where they were."""
    rng = np.random.default_rng(5)
    added = rng.integers(-cells, cells + 1, size=(frame.n_atoms, 3)) @ frame.cell
    return Frame(frame.numbers, frame.positions + added, frame.cell, frame.pbc)


def far_clusters() -> Frame:
    near = grid(np.eye(3) * 7, False)
    positions = [near.positions, near.positions + np.array([1e5, -1e5, 3e4])]
    return Frame(np.full(54, 14), np.concatenate(positions), np.eye(3), near.pbc)


STRESSED = {
    "cubic": (lambda: grid(np.eye(3) * 9), 4.7),
    "acute": (lambda: grid(angled(30)), 4.7),
    "obtuse": (lambda: grid(angled(150)), 4.7),
    "skewed_far": (lambda: grid([[9, 0, 0], [50, 9, 0], [-31, 77, 9]]), 4.7),
    "left_handed": (lambda: grid(np.eye(3)[[1, 0, 2]] * 8), 4.7),
    "three_cells": (lambda: grid(np.diag([2.0, 2.1, 2.2]), counts=(1, 1, 1)), 6.3),
    "needle": (lambda: grid(np.diag([30.0, 2.0, 2.5]), counts=(12, 1, 1)), 5.0),
    "outside": (lambda: moved(grid(angled(60))), 4.7),
    "slab": (lambda: grid(angled(110), [True, True, False]), 4.7),
    "slab_ac": (lambda: grid(angled(30), [True, False, True]), 4.7),
    "wire": (lambda: grid(angled(80), [False, True, False]), 4.7),
    "tilted_wire": (lambda: grid(angled(50), [False, False, True]), 4.7),
    "molecule": (lambda: grid(angled(70), False), 4.7),
    "far_clusters": (far_clusters, 4.7),
    "sparse": (lambda: grid(np.eye(3) * 90), 4.7),
    "dense": (lambda: grid(np.eye(3) * 4), 4.7),
}


def explicit_images(positions, cell, pbc, cutoff):
    """Return i, j, R of all pairs, by trying all images that could matter."""
    inverse = np.linalg.inv(cell)
    fractions = np.ptp(positions @ inverse, axis=0)
    most = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + fractions).astype(int)
    shifts = np.array(list(product(*(range(-m, m + 1) for m in most * pbc))))
    i, j, R = [], [], []
    for shift in shifts:
        vectors = positions[None] - positions[:, None] + shift @ cell
        near = np.linalg.norm(vectors, axis=2) < cutoff
        if not shift.any():
            np.fill_diagonal(near, False)
        a, b = np.nonzero(near)
        i.append(a)
        j.append(b)
        R.append(vectors[a, b])
    return np.concatenate(i), np.concatenate(j), np.concatenate(R)
