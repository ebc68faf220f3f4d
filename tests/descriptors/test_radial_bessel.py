"""SOAP in Bessel functions where atoms are closer than these are fitted for."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import config, labelled_frames, silicon

import gapfit

# Å; the functions are like GTOs from 1.5 Å on, and bonds of the data from 1.9 Å.
DISTANCES = np.arange(2.3, 0.95, -0.1)


def pushed(distance: float) -> Atoms:
    """Return a crystal, one atom of which was pushed along a bond, Å."""
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    bonds = atoms.get_distances(0, range(1, len(atoms)), mic=True, vector=True)
    lengths = np.linalg.norm(bonds, axis=1)
    shortest = np.argmin(lengths)
    atoms.positions[0] += bonds[shortest] * (1 - distance / lengths[shortest])
    return atoms


@pytest.mark.parametrize("size", [(8, 5.0), (12, 8.0), (8, 3.0)])
def test_closer_atoms_are_as_new_as_with_gtos(size):
    """With an oracle: GTOs, whose functions are known at all distances."""
    n_max, r_cut = size
    found = {}
    for rbf in ("gto", "bessel"):
        term = config(rbf=rbf, n_max=n_max, r_cut=r_cut, l_max=4, n_sparse=48)
        model = gapfit.fit(
            labelled_frames(silicon), term | {"calibration": {"method": "none"}}
        )
        scan = model.predict(
            [pushed(d) for d in DISTANCES],
            forces=False,
            stress=False,
            std="energies",
            novelty=True,
        )
        found[rbf] = np.array([[p.novelty.max(), p.energies_std.max()] for p in scan]).T
    closer = DISTANCES < 1.9
    assert (np.diff(found["bessel"][:, closer]) > 0).all()
    ratio = found["bessel"] / found["gto"]
    assert (ratio[:, closer] > 0.75).all()
    assert (ratio[:, closer] < 1.5).all()
