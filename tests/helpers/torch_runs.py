"""Models in torch against Python's predictions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pairs_of
from gapfit.model.gap_model import GAPModel
from gapfit.testing import Tolerance

__all__ = ["arguments", "assert_equal", "import_or_skip"]

ENERGIES = Tolerance("the same sum in another order, eV per atom", atol=1e-10)
SLOPES = Tolerance("the same derivatives in another order, eV/Å and eV/Å³", atol=1e-9)
VOIGT = (0, 4, 8, 5, 2, 1)


def import_or_skip(name: str) -> Any:
    """Return a package; skip the module without it.

    A folder of tests bears the name of a package, and importorskip would take it for that.
    """
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # of the package that it is in
        spec = None
    if spec is None or spec.origin is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    with warnings.catch_warnings():
        # They use what torch would like to be rid of, and doubt versions of each other.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        return import_module(name)


def arguments(structures: Sequence[Atoms], cutoff: float) -> tuple[Any, ...]:
    """Return the arguments of `Potential` with the pairs that gapfit finds."""
    torch = import_module("torch")
    frames = [as_frame(atoms, "a structure") for atoms in structures]
    pairs = pairs_of(frames, cutoff)
    positions = np.concatenate([frame.positions for frame in frames])
    cells = np.stack([frame.cell for frame in frames])
    images = pairs.R - positions[pairs.j] + positions[pairs.i]
    inverse = np.linalg.pinv(cells)[pairs.frame[pairs.i]]
    shifts = np.round(np.einsum("px,pxy->py", images, inverse))
    numbers, ends = (pairs.numbers, pairs.frame), np.stack([pairs.i, pairs.j])
    return tuple(map(torch.tensor, (positions, cells, *numbers, ends, shifts)))


def assert_equal(
    found: dict[str, Any], model: GAPModel, structures: list[Atoms]
) -> None:
    """Check energies, forces and stresses of structures that were given together."""
    wanted = model.predict(structures)
    energies = np.concatenate([one.energies for one in wanted])
    ENERGIES.check(found["energies"].numpy(), energies)
    SLOPES.check(
        found["forces"].numpy(), np.concatenate([one.forces for one in wanted])
    )
    totals = found["energy"].numpy() / [len(atoms) for atoms in structures]
    ENERGIES.check(totals, [one.energy / len(one.energies) for one in wanted])
    for stress, one in zip(found["stress"].numpy(), wanted, strict=True):
        if one.stress is not None:
            SLOPES.check(stress.ravel()[list(VOIGT)], one.stress)
