"""Potentials of other programs, damaged: refused in a few lines, or finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from mutations import Refused, mutants, read_or_refused

from gapfit.model.gap_model import GAPModel

__all__ = ["finite_or_refused", "fuzz"]

Load = Callable[[Path], GAPModel]


def finite_or_refused(load: Load, content: bytes, path: Path) -> bool:
    """Return whether a file is read; its predictions must be finite."""
    path.write_bytes(content)
    model = read_or_refused(lambda: load(path))
    if isinstance(model, Refused):
        return False
    z = model.species
    positions = [[0.0, 0, 0], [2.1, 0, 0], [0.3, 2.4, 0], [0, 0.4, 2.2]]
    atoms = Atoms([z[0], z[-1], z[0], z[-1]], positions, cell=[9.0] * 3, pbc=True)
    found = read_or_refused(lambda: model.predict(atoms))
    if isinstance(found, Refused):
        return False
    assert np.isfinite(found.energy)
    assert np.isfinite(found.forces).all()
    assert np.isfinite(found.stress).all()
    return True


def fuzz(
    load: Load, sound: bytes, path: Path, n: int, seed: int, tokens: Sequence[bytes]
) -> None:
    """Read mutants of a sound file; most damage is noticed, that of labels is not."""
    assert finite_or_refused(load, sound, path)
    read = 0
    for k, content in enumerate(mutants([sound], n, seed=seed, tokens=tokens)):
        try:
            read += finite_or_refused(load, content, path)
        except Exception as error:
            error.add_note(f"mutant {k} of seed {seed}")
            raise
    assert 0 < read < 0.7 * n
