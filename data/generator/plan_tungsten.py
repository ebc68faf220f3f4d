"""The tungsten plan."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bcc110, bcc111, bulk, surface

from . import structures as st
from .plan import Plan
from .potentials import FinnisSinclair
from .sampling import scaled, strained

A_BCC = 3.185  # Å

#: Temperature (K) and steps of 2 fs before each snapshot of a quench.
QUENCH = ((7000, 300), (5500, 300), (4200, 400), (3000, 400))


def plan_tungsten() -> Plan:
    """Return the tungsten plan."""
    plan = Plan("W")
    _crystals(plan)
    _strained(plan)
    _disorder(plan)
    _defects(plan)
    for r in (1.7, 2.0, 2.3, 2.8):
        plan.add("dimer", f"r{r:.2f}", st.box_dimer("W", "W", r, 7.0))
    return plan


def _crystals(plan: Plan) -> None:
    """Add the free atom and the crystals at several volumes."""
    bcc = bulk("W", "bcc", a=A_BCC)
    hcp = bulk("W", "hcp", a=2.78, c=4.96)
    atom = {"magmoms_try": [[6], [4]], "width": 0.01, "fixmagmom": True}
    plan.add("isolated_atom", "W", st.box_atom("W", 7.5), **atom)
    factors = [0.82, 0.88, 0.93, 0.97, 1.00, 1.03, 1.07, 1.12, 1.20]
    plan.volumes("bcc", bcc, factors)
    for name, phase, factors in (
        ("fcc", bulk("W", "fcc", a=4.03), [0.88, 0.92, 0.95, 1.0, 1.03, 1.06, 1.15]),
        ("sc", bulk("W", "sc", a=2.66), [0.9, 0.95, 1.0, 1.05, 1.12]),
        ("hcp", hcp, [0.89, 0.93, 0.97, 1.0, 1.04, 1.08]),
    ):
        plan.volumes(name, phase, factors, config_type=f"phase_{name}")
    for stage, factors in enumerate(([1.0], [0.92, 1.08])):
        plan.stage = stage
        a15 = st.a15("W", 5.06)
        plan.volumes("a15", a15, factors, config_type="phase_a15", kspacing=0.30)
    for ratio in (1.50, 1.70, 1.90):
        cell = bulk("W", "hcp", a=2.78, c=2.78 * ratio)
        plan.add("phase_hcp", f"ca{ratio:.2f}", cell, kgrid="fine")
    diamond = bulk("W", "diamond", a=5.65)
    plan.volumes("diamond", diamond, [0.9, 1.1], config_type="phase_diamond")
    plan.stage = 0


def _strained(plan: Plan) -> None:
    """Add strained and displaced bcc cells."""
    bcc = bulk("W", "bcc", a=A_BCC)
    cube = bulk("W", "bcc", a=A_BCC, cubic=True)
    double = cube * (1, 1, 2)
    kind, wide, narrow = "bulk_strained", (0.92, 1.08), (0.95, 1.05)
    plan.rattle("bcc1", bcc, 6, 0.0, 0.03, volume=wide, config_type=kind)
    plan.rattle("bcc2", cube, 8, 0.08, 0.02, volume=narrow)
    plan.rattle("bcc2b", cube, 4, 0.18, 0.03, volume=narrow)
    plan.rattle("bcc4", double, 4, 0.12, 0.02, volume=narrow)
    plan.stage = 1
    # paths that keep some symmetry, hence cheap: Bain, trigonal and orthorhombic;
    # all with the k-grid of the perfect crystal
    fine = {"kgrid": "fine", "kcell": bcc.cell}
    for ratio in (0.85, 0.92, 1.08, 1.16, 1.25, 1.33, 1.50, 1.60):
        stretch = ratio ** np.array([-1 / 3, -1 / 3, 2 / 3]) - 1
        plan.add(kind, f"bain-{ratio:.2f}", strained(bcc, np.diag(stretch)), **fine)
    for e in (-0.12, -0.05, 0.05, 0.12):
        shear = e * (np.ones((3, 3)) - np.eye(3))
        plan.add(kind, f"trigonal{e:+.2f}", strained(bcc, shear), **fine)
    far, near = (0.88, 1.12, 1.25, 1.41), (0.95, 1.05)
    for v, ratios, shears in (
        (0.94, far, (-0.08, 0.08)),
        (0.97, near, (-0.03, 0.03)),
        (1.03, near, (-0.03, 0.03)),
        (1.06, far, (-0.08, 0.08)),
    ):
        other = scaled(bcc, v)
        for ratio in ratios:
            stretch = ratio ** np.array([-1 / 3, -1 / 3, 2 / 3]) - 1
            cell = strained(other, np.diag(stretch))
            plan.add(kind, f"bain-{ratio:.2f}-v{v:.2f}", cell, **fine)
        for e in shears:
            shear = e * (np.ones((3, 3)) - np.eye(3))
            cell = strained(other, shear)
            plan.add(kind, f"trigonal{e:+.2f}-v{v:.2f}", cell, **fine)
    for e in (0.03, 0.05, 0.07, 0.09, 0.12, 0.15):
        cell = strained(bcc, np.diag([e, 1 / (1 + e) - 1, 0]))
        plan.add(kind, f"orthorhombic{e:+.2f}", cell, **fine)
    plan.rattle("bcc1b", bcc, 6, 0.0, 0.06, volume=wide, config_type=kind)
    plan.rattle("bcc2", cube, 8, 0.08, 0.02, start=8, volume=(0.90, 1.10))
    plan.rattle("bcc2b", cube, 6, 0.18, 0.03, start=4, volume=(0.92, 1.12))
    plan.rattle("bcc2c", cube, 4, 0.30, 0.04, volume=(0.95, 1.15))
    for name, phase in (
        ("fcc2", bulk("W", "fcc", a=4.03) * (1, 1, 2)),
        ("hcp2", bulk("W", "hcp", a=2.78, c=4.96)),
    ):
        plan.rattle(name, phase, 2, 0.10, 0.03, config_type=f"phase_{name[:3]}")
    plan.rattle("bcc4", double, 3, 0.12, 0.02, start=4, volume=narrow)
    plan.stage = 3
    plan.rattle("bcc8", bcc * (2, 2, 2), 3, 0.12, 0.01, volume=narrow)
    plan.rattle("bcc16", cube * (2, 2, 2), 2, 0.12, 0.01, volume=narrow)
    plan.stage = 0


def _disorder(plan: Plan) -> None:
    """Add liquid and random structures."""
    cube = bulk("W", "bcc", a=A_BCC, cubic=True)
    start = scaled(cube * (1, 1, 2), 1.1)
    potential = FinnisSinclair()
    plan.liquid("bcc4", start, potential, 12000, 6000, 4, n_melt=400, timestep=2.0)
    plan.stage = 1
    plan.random(["W"] * 2, [14.5, 16.5, 19.0], 2.15, 2)
    plan.random(["W"] * 4, [16.0, 19.0], 2.15, 2)
    plan.stage = 2
    for v in (15.5, 17.5, 20.0):
        _quench(plan, f"q4-v{v:g}", v, 4)
    plan.stage = 3
    _quench(plan, "q8-v17.5", 17.5, 8)
    plan.stage = 0


def _quench(plan: Plan, phase: str, volume: float, n_atoms: int) -> None:
    """Add one quench from random positions in a cube (`volume` in Å^3 an atom)."""
    plan.quench(
        phase,
        [(n_atoms * volume) ** (1 / 3)] * 3,
        FinnisSinclair(),
        QUENCH,
        n_atoms=n_atoms,
        d_min=2.1,
        t_melt=10000,
        n_melt=400,
        timestep=2.0,
        t_liquid=0,
    )


def _defects(plan: Plan) -> None:
    """Add vacancies and surfaces."""
    cube = bulk("W", "bcc", a=A_BCC, cubic=True)
    slab = {"a": A_BCC, "vacuum": 3.5, "periodic": True}
    s110 = bcc110("W", (1, 1, 5), **slab)
    s100 = surface(cube, (1, 0, 0), 3, vacuum=3.5, periodic=True)
    s111 = bcc111("W", (1, 1, 6), **slab)
    plan.stage = 2
    for name, atoms in (("110", s110), ("100", s100), ("111", s111)):
        for dz in (-0.10, 0.0, 0.10):  # outer layers moved along the normal
            moved = _relaxed(atoms, dz)
            plan.add("surface", f"{name}-dz{dz:+.2f}", moved, kgrid="fine")
    vacancy = st.without(cube * (2, 2, 1), 0)
    plan.rattle(
        "vac7", vacancy, 3, 0.05, 0.01, volume=(0.98, 1.02), config_type="vacancy"
    )
    for name, atoms in (("110", s110), ("100", s100)):
        plan.rattle(
            name, atoms, 2, 0.05, 0.01, volume=(1.0, 1.0), config_type="surface"
        )
    large = st.without(cube * (2, 2, 2), 0)
    plan.volumes("vac15", large, [0.97, 1.0, 1.03], config_type="vacancy")
    plan.volumes("vac7", vacancy, [0.96, 1.0, 1.04], config_type="vacancy")
    plan.stage = 0


def _relaxed(slab: Atoms, dz: float) -> Atoms:
    """Return a slab whose outermost layers are moved outwards by `dz` (Å)."""
    out = slab.copy()
    z = out.positions[:, 2].copy()
    out.positions[z > z.max() - 0.1, 2] += dz
    out.positions[z < z.min() + 0.1, 2] -= dz
    return out
