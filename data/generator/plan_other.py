"""Plans of phosphorus, Ge2Sb2Te5 and the steel Fe7Cr2Ni."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell

from .plan import Plan
from .sampling import random_molecules, rattled, rng_for, scaled
from .structures import (
    a7,
    black_phosphorus,
    box_atom,
    box_dimer,
    hexagonal_cell,
    tetrahedron,
    trigonal_chain,
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


#: Starting moments (Bohr magnetons) of the ferromagnetic state.
MOMENTS: Final = {"Fe": 2.5, "Cr": 1.0, "Ni": 0.6}

#: Moments of the free atoms.
ATOM_MOMENTS: Final = {"Ge": 2, "Sb": 3, "Te": 2, "Fe": 4, "Cr": 6, "Ni": 2}


def _add_atoms(plan: Plan, symbols: Sequence[str], side: float) -> None:
    """Add the isolated atoms."""
    for symbol in symbols:
        box = box_atom(symbol, side)
        moment = [ATOM_MOMENTS[symbol]]
        # Their open shells do not converge with less.
        width = 0.1 if symbol in ("Ge", "Ni") else 0.01
        options = {"width": width, "fixmagmom": True}
        plan.add("isolated_atom", symbol, box, magmoms=moment, **options)


def _rock_salt(label: str, a: float) -> Atoms:
    """Return disordered rock salt, 9 atoms on 10 sites: 2 Ge, 2 Sb, a hole; 5 Te."""
    cell = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * a / 2
    row = make_supercell(
        Atoms("GeTe", cell=cell, scaled_positions=[[0] * 3, [0.5] * 3], pbc=True),
        [[-1, 1, 1], [1, 0, 1], [1, 1, -2]],
    )
    cations = row.symbols.search("Ge")
    order = rng_for(label).permutation(["Ge", "Ge", "Sb", "Sb", "X"])
    row.symbols[cations] = order
    del row[row.symbols.search("X")]
    return row


def plan_gst() -> Plan:
    """Return the Ge2Sb2Te5 plan."""
    plan = Plan("Ge2Sb2Te5")
    _add_atoms(plan, ["Ge", "Sb", "Te"], 8.0)
    # Stacking Te-Sb-Te-Ge-Te-Te-Ge-Te-Sb (Petrov), P-3m1, 9 atoms
    symbols = ["Te", "Sb", "Te", "Ge", "Te", "Te", "Ge", "Te", "Sb"]
    z = [0.0, 0.107, 0.206, 0.313, 0.415, 0.585, 0.687, 0.794, 0.893]
    xy = [(0, 0), (2 / 3, 1 / 3), (1 / 3, 2 / 3)] * 3
    crystal = Atoms(
        symbols,
        cell=hexagonal_cell(4.25, 17.6),
        scaled_positions=[[x, y, t] for (x, y), t in zip(xy, z, strict=True)],
        pbc=True,
    )
    plan.volumes("hex", crystal, [0.88, 0.94, 1.0, 1.06, 1.13])
    salt = bulk("GeTe", "rocksalt", a=6.01)
    plan.volumes("gete", salt, [0.86, 0.93, 1.0, 1.08, 1.2], config_type="binary_eos")
    elements = {
        "ge": bulk("Ge", "diamond", a=5.76),
        "sb": a7("Sb", 4.37, 11.5, 0.234),
        "te": trigonal_chain("Te", 4.50, 5.96, 0.269),
    }
    for name, atoms in elements.items():
        factors = [0.85, 0.93, 1.0, 1.08, 1.2]
        plan.volumes(name, atoms, factors, config_type="element_eos")
        plan.rattle(name, atoms, 2, 0.1, 0.03, config_type="element_rattled")
    plan.rattle("hex", crystal, 5, 0.08, 0.02)
    plan.rattle("hexb", crystal, 4, 0.22, 0.03)
    for k in range(12):
        cell = _rock_salt(f"Ge2Sb2Te5:salt{k}", 6.02)
        sigma = 0.06 if k < 4 else 0.15
        plan.rattle(f"salt{k}", cell, 1, sigma, 0.03, config_type="rock_salt")
    plan.random(symbols, [27.0, 30.0, 34.0], 2.5, 4)
    plan.random(["Ge", "Te"] * 2, [26.0], 2.45, 2)
    plan.random(["Sb", "Sb", "Te", "Te"], [30.0], 2.6, 2)
    for first, second in combinations_with_replacement(("Ge", "Sb", "Te"), 2):
        for r in (1.9, 2.4, 3.2):
            box = box_dimer(first, second, r, 7.5)
            plan.add("dimer", f"{first}{second}-r{r:.2f}", box)
    return plan


def _ferromagnetic(atoms: Atoms) -> list[float]:
    return [MOMENTS[symbol] for symbol in atoms.symbols]


def plan_alloy() -> Plan:
    """Return the Fe7Cr2Ni plan: fcc, random occupations, ferromagnetic start."""
    plan = Plan("Fe7Cr2Ni")
    _add_atoms(plan, ["Fe", "Cr", "Ni"], 7.0)
    row = make_supercell(bulk("Fe", "fcc", a=3.58), [[-2, 1, 1], [0, 0, 2], [1, 2, -1]])
    cube = bulk("Fe", "fcc", a=3.58, cubic=True)
    # All Fe2CrNi occupations of the cube are alike.
    atoms = _occupied(cube, "Fe7Cr2Ni:eos0", ["Fe", "Fe", "Cr", "Ni"])
    factors = [0.86, 0.93, 0.965, 1.0, 1.035, 1.07]
    plan.volumes("fcc4-0", atoms, factors, magmoms=_ferromagnetic(atoms))
    fours = {
        "Fe3Cr": ["Fe", "Fe", "Fe", "Cr"],
        "Fe3Ni": ["Fe", "Fe", "Fe", "Ni"],
        "Fe2CrNi": ["Fe", "Fe", "Cr", "Ni"],
        "Fe2Cr2": ["Fe", "Fe", "Cr", "Cr"],
        "Fe4": ["Fe"] * 4,
    }
    for name, symbols in fours.items():
        for k in range({"Fe2Cr2": 5, "Fe4": 8}.get(name, 16)):
            atoms = _occupied(cube, f"Fe7Cr2Ni:{name}{k}", symbols)
            sigma = (0.05, 0.09, 0.15)[k % 3]
            _add_magnetic(plan, f"{name}-{k}", atoms, sigma)
    for k in range(16):
        atoms = _occupied(row, f"Fe7Cr2Ni:row{k}", ["Fe"] * 7 + ["Cr"] * 2 + ["Ni"])
        _add_magnetic(plan, f"fcc10-{k}", atoms, (0.04, 0.08, 0.14)[k % 3])
    return plan


def _occupied(sites: Atoms, label: str, symbols: Sequence[str]) -> Atoms:
    """Return the sites with the symbols in an order that `label` fixes."""
    atoms = sites.copy()
    atoms.set_chemical_symbols(list(rng_for(label).permutation(symbols)))
    return atoms


def _add_magnetic(plan: Plan, label: str, atoms: Atoms, sigma: float) -> None:
    """Add one displaced, strained copy with a ferromagnetic start."""
    factor = rng_for("Fe7Cr2Ni:vol" + label).uniform(0.93, 1.08)
    moved = rattled(scaled(atoms, factor), "Fe7Cr2Ni" + label, sigma, 0.02)
    plan.add("fcc_rattled", label, moved, magmoms=_ferromagnetic(moved))
