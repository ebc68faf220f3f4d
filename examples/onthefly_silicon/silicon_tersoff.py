"""The reference of this example: Tersoff's silicon in ASE."""

from __future__ import annotations

from ase.calculators.tersoff import Tersoff, TersoffParameters

# Phys. Rev. B 39, 5566 (1989), but cut off between 2.6 and 3.6 Å instead of 2.7 and 3.0:
# forces from electrons are as smooth as that; the crystal has no neighbour in between.
SILICON = TersoffParameters(
    m=3.0,
    gamma=1.0,
    lambda3=0.0,
    c=1.0039e5,
    d=16.217,
    h=-0.59825,
    n=0.78734,
    beta=1.1e-6,
    lambda2=1.7322,
    B=471.18,
    R=3.1,
    D=0.5,
    lambda1=2.4799,
    A=1830.8,
)


def tersoff() -> Tersoff:
    """Return the calculator."""
    return Tersoff({("Si", "Si", "Si"): SILICON})
