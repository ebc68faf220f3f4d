"""Plans of sets that are not shipped: P, and Ge2Sb2Te5 and Fe7Cr2Ni, never run.

Check the cutoff and the k-points before using the last two; Fe7Cr2Ni is planned
without magnetism, which real alloys of these elements have.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell

from .plan import Plan
from .sampling import random_molecules, rattled, rng_for
from .structures import (
    a7,
    black_phosphorus,
    box_atom,
    box_dimer,
    hexagonal_cell,
    tetrahedron,
)


def plan_phosphorus() -> Plan:
    """Return the phosphorus plan."""
    plan = Plan("P")
    black = black_phosphorus()
    atom = {"width": 0.01, "fixmagmom": True}
    plan.add("isolated_atom", "P", box_atom("P", 9.0), magmoms=[3], **atom)
    plan.volumes("black", black, [0.85, 0.90, 0.95, 1.0, 1.05, 1.1, 1.18])
    cubic = bulk("P", "sc", a=2.39)
    plan.volumes("sc", cubic, [0.85, 0.93, 1.0, 1.08, 1.2], config_type="phase_sc")
    arsenic = a7("P", 3.377, 8.806, 0.215)
    plan.volumes("a7", arsenic, [0.88, 0.94, 1.0, 1.06, 1.15], config_type="phase_a7")
    molecule = tetrahedron("P", 2.2)
    molecule.set_cell([8.5] * 3)
    molecule.pbc = True
    molecule.center()
    plan.rattle("P4", molecule, 4, 0.06, 0.0, volume=(1, 1), config_type="molecule")
    plan.rattle("black", black, 6, 0.07, 0.02, volume=(0.93, 1.08))
    plan.rattle("blackb", black, 5, 0.18, 0.03, volume=(0.93, 1.08))
    plan.rattle("a7", arsenic, 4, 0.10, 0.03, volume=(0.9, 1.1))
    for r in (1.4, 1.65, 1.9, 2.2, 2.7, 3.4):
        plan.add("dimer", f"r{r:.2f}", box_dimer("P", "P", r, 8.0))
    plan.random(["P"] * 4, [17.0, 23.0], 1.95, 4)
    plan.random(["P"] * 6, [19.0, 26.0], 1.95, 3)
    for k, volume in enumerate([26.0, 28.0, 30.0, 32.0]):
        label = f"white-{k}"
        box = random_molecules(tetrahedron("P", 2.2), 2, "P" + label, volume, 2.9)
        shaken = rattled(box, "P" + label, 0.06)
        plan.add("molecular", label, shaken)
    plan.random(["P"] * 8, [20.0, 24.0], 2.0, 3)
    return plan


def plan_gst() -> Plan:
    """Return the Ge2Sb2Te5 plan (not validated)."""
    plan = Plan("Ge2Sb2Te5")
    # Kooi-De Hosson stacking Te-Sb-Te-Ge-Te-Te-Ge-Te-Sb, P-3m1, 9 atoms
    symbols = ["Te", "Sb", "Te", "Ge", "Te", "Te", "Ge", "Te", "Sb"]
    z = [0.0, 0.107, 0.206, 0.313, 0.415, 0.585, 0.687, 0.794, 0.893]
    xy = [(0, 0), (2 / 3, 1 / 3), (1 / 3, 2 / 3)] * 3
    crystal = Atoms(
        symbols,
        cell=hexagonal_cell(4.25, 17.6),
        scaled_positions=[[x, y, t] for (x, y), t in zip(xy, z, strict=True)],
        pbc=True,
    )
    atom = {"width": 0.01, "fixmagmom": True}
    for symbol, moment in (("Ge", 2), ("Sb", 3), ("Te", 2)):
        box = box_atom(symbol, 9.0)
        plan.add("isolated_atom", symbol, box, magmoms=[moment], **atom)
    plan.volumes("hex", crystal, [0.90, 1.0, 1.10])
    plan.rattle("hex", crystal, 5, 0.08, 0.02)
    plan.rattle("hexb", crystal, 4, 0.22, 0.03)
    plan.random(symbols, [27.0, 31.0], 2.5, 4)
    plan.random(["Ge", "Te"] * 2, [26.0], 2.45, 2)
    plan.random(["Sb", "Sb", "Te", "Te"], [30.0], 2.6, 2)
    return plan


def plan_alloy() -> Plan:
    """Return the Fe7Cr2Ni plan (not validated, not magnetic)."""
    plan = Plan("Fe7Cr2Ni")
    rng = rng_for("Fe7Cr2Ni:order")
    row = make_supercell(bulk("Fe", "fcc", a=3.52), np.diag([1, 2, 5]))
    atom = {"width": 0.01, "fixmagmom": True}
    for symbol, moment in (("Fe", 4), ("Cr", 6), ("Ni", 2)):
        box = box_atom(symbol, 7.0)
        plan.add("isolated_atom", symbol, box, magmoms=[moment], **atom)
    for k in range(4):
        atoms = row.copy()
        symbols = rng.permutation(["Fe"] * 7 + ["Cr"] * 2 + ["Ni"])
        atoms.set_chemical_symbols(list(symbols))
        plan.rattle(f"fcc-nm{k}", atoms, 2, 0.06, 0.02)
    for k in range(4):
        atoms = bulk("Fe", "fcc", a=3.52, cubic=True)
        last = ["Fe", "Cr"] if k % 2 else ["Cr", "Ni"]
        atoms.set_chemical_symbols(list(rng.permutation(["Fe", "Fe", *last])))
        plan.rattle(f"fcc4-nm{k}", atoms, 2, 0.07, 0.02)
    return plan
