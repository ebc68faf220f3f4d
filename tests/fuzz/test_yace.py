"""Files .yace that are damaged in seeded ways: one short error, or finite predictions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from helpers.expansions import expansion_model
from mutations import Refused, mutants, read_or_refused

from gapfit.pacemaker import load, save

TOKENS = (
    *(b"elements: [Si]\n", b"  0:\n", b"    - {}\n", b"[0, 0]:", b"mus: [0]", b"ns:"),
    *(b"ls: [1]", b"ms_combs: [1]", b"rank: 4", b"radbasename: ChebExpCos", b"---\n"),
)


def finite_or_refused(content: bytes, path) -> bool:
    """Return whether a file is read; its predictions must be finite."""
    path.write_bytes(content)
    model = read_or_refused(lambda: load(path))
    if isinstance(model, Refused):
        return False
    z = model.species
    positions = [[0.0, 0, 0], [2.1, 0, 0], [0.3, 2.4, 0], [0, 0.4, 2.2]]
    atoms = Atoms([z[0], z[-1], z[0], z[-1]], positions, cell=[9.0] * 3, pbc=True)
    prediction = read_or_refused(lambda: model.predict(atoms))
    if isinstance(prediction, Refused):
        return False
    assert np.isfinite(prediction.energy)
    assert np.isfinite(prediction.forces).all()
    assert np.isfinite(prediction.stress).all()
    return True


def fuzz(tmp_path, n: int, seed: int) -> None:
    table = {"r_cut": 4.0, "orders": [1, 2, 3], "n_max": [2, 2, 1], "l_max": [0, 1, 1]}
    path = tmp_path / "p.yace"
    sound = save(expansion_model(table, species=(8, 14)), path).read_bytes()
    assert finite_or_refused(sound, path)
    read = 0
    for k, content in enumerate(mutants([sound], n, seed=seed, tokens=TOKENS)):
        try:
            read += finite_or_refused(content, path)
        except Exception as error:
            error.add_note(f"mutant {k} of seed {seed}")
            raise
    assert 0 < read < 0.7 * n


def test_damaged_files_are_one_short_error_or_finite(tmp_path):
    fuzz(tmp_path, 250, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files(tmp_path, seed):
    fuzz(tmp_path, 5_000, seed=100 + seed)
