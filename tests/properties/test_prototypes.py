"""Prototypes of crystals."""

from __future__ import annotations

import pytest
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from gapfit.errors import GapfitError
from gapfit.properties import (
    prototype,
)


@pytest.mark.parametrize(
    ("name", "formula", "contact"),
    [("fcc", "Cu", 2**0.5), ("bcc", "Cu", 2 / 3**0.5), ("hcp", "Cu", 1.0)],
)
def test_prototypes_find_their_lattice(name, formula, contact):
    """Copper's nearest neighbours are 2.4 to 2.7 Å apart in all of them."""
    found = prototype(name, formula, EMT())
    assert 2.3 < found.cell.lengths()[0] / contact < 2.8
    given = prototype(name, formula, EMT(), lattice=3.1)
    assert given.cell.lengths()[0] == pytest.approx(3.1)


def test_prototypes_that_cannot_be_are_refused():
    with pytest.raises(
        GapfitError, match="unknown prototype 'dimond'; known are sc, fcc"
    ):
        prototype("dimond", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Cu' cannot be built as rocksalt"):
        prototype("rocksalt", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Xx7' cannot be built as fcc"):
        prototype("fcc", "Xx7", EMT())
    with pytest.raises(GapfitError, match="lattice = -1 Å"):
        prototype("fcc", "Cu", EMT(), lattice=-1.0)
    repulsive = MorsePotential(epsilon=1.0, rho0=1.0, r0=50.0, rcut1=0.1, rcut2=0.12)
    with pytest.raises(
        GapfitError, match=r"no minimum .* give the lattice constant \(--lattice\)"
    ):
        prototype("fcc", "Cu", repulsive)
