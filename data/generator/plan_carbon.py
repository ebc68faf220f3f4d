"""The carbon plan."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, diamond100, diamond111, graphene

from . import structures as st
from .plan import Plan
from .potentials import Tersoff
from .sampling import scaled, strained

A_DIAMOND = 3.574  # Å
A_GRAPHENE = 2.467  # Å

#: Temperature (K) and steps of 0.5 fs before each snapshot of a quench.
QUENCH = ((7000, 500), (5500, 500), (4000, 600), (2500, 800), (800, 600))


def plan_carbon() -> Plan:
    """Return the carbon plan."""
    plan = Plan("C")
    _crystals(plan)
    _layers(plan)
    _disorder(plan)
    _defects(plan)
    for r in (0.9, 1.05, 1.25, 1.5, 1.9, 2.5, 3.2):
        dimer = st.box_dimer("C", "C", r, 7.0)
        plan.add("dimer", f"r{r:.2f}", dimer, magmoms=[1, 1])
    return plan


def _crystals(plan: Plan) -> None:
    """Add the free atom and the three-dimensional crystals."""
    diamond = bulk("C", "diamond", a=A_DIAMOND)
    cube = bulk("C", "diamond", a=A_DIAMOND, cubic=True)
    atom = {"magmoms": [2], "width": 0.01, "fixmagmom": True}
    plan.add("isolated_atom", "C", st.box_atom("C", 8.0), **atom)
    factors = [0.80, 0.86, 0.91, 0.95, 0.98, 1.00, 1.02, 1.05, 1.10, 1.18, 1.28]
    plan.volumes("diamond", diamond, factors)
    for name, a, factors in (
        ("sc", 1.77, [0.85, 0.90, 0.95, 1.0, 1.05, 1.10, 1.25]),
        ("fcc", 3.08, [0.9, 0.95, 1.0, 1.05, 1.10, 1.15]),
        ("bcc", 2.37, [0.9, 0.95, 1.0, 1.05, 1.10, 1.15]),
    ):
        phase = bulk("C", name, a=a)
        plan.volumes(name, phase, factors, config_type=f"phase_{name}")
    plan.rattle("dia2", diamond, 6, 0.04, 0.03, volume=(0.90, 1.12))
    plan.rattle("dia2b", diamond, 4, 0.10, 0.05, volume=(0.90, 1.15))
    plan.rattle("dia8", cube, 4, 0.04, 0.01)
    plan.rattle("dia8b", cube, 4, 0.10, 0.02)
    plan.rattle("dia8c", cube, 2, 0.18, 0.03)
    plan.stage = 1
    for name, phase in (
        ("lonsdaleite", st.lonsdaleite("C", 2.52)),
        ("bc8", st.bc8("C", 4.44, 0.0935)),
    ):
        kind = f"phase_{name}"
        plan.volumes(name, phase, [0.88, 1.0, 1.12], config_type=kind)
        plan.rattle(name, phase, 3, 0.06, 0.02, config_type=kind)
    plan.rattle("dia8", cube, 3, 0.04, 0.01, start=4, volume=(0.90, 1.12))
    plan.rattle("dia8b", cube, 4, 0.10, 0.02, start=4, volume=(0.90, 1.12))
    plan.rattle("dia2", diamond, 4, 0.04, 0.03, start=6, volume=(0.85, 1.20))
    plan.rattle("dia2c", diamond, 4, 0.02, 0.08, volume=(0.90, 1.12))
    plan.stage = 2
    row = diamond * (2, 2, 2)
    plan.rattle("dia16", row, 4, 0.07, 0.01, volume=(0.94, 1.06))
    plan.stage = 0


def _layers(plan: Plan) -> None:
    """Add graphene, graphite, chains and the path from graphite to diamond."""
    sheet = graphene("C2", a=A_GRAPHENE, size=(1, 1, 1), vacuum=4.0)
    sheet.pbc = True
    for a in (2.30, 2.40, 2.467, 2.54, 2.66):
        copy = sheet.copy()
        factors = np.array([[a / A_GRAPHENE], [a / A_GRAPHENE], [1]])
        copy.set_cell(copy.cell * factors, scale_atoms=True)
        plan.add("phase_graphene", f"a{a:.3f}", copy, kgrid="fine")
    for c in (5.6, 6.2, 6.8, 7.6):
        cell = st.graphite(A_GRAPHENE, c)
        plan.add("phase_graphite", f"c{c:.2f}", cell, kgrid="fine")
    for d in (1.15, 1.25, 1.30, 1.40, 1.55):
        chain = st.chain("C", d, 6.0)
        plan.add("phase_chain", f"d{d:.2f}", chain, kgrid="fine")
    chain = st.chain("C", 1.29, 6.0) * (1, 1, 2)
    kinds = ("phase_chain", "phase_graphene", "phase_graphite")
    graphite = st.graphite(A_GRAPHENE, 6.6)
    plan.rattle("chain4", chain, 2, 0.06, 0.02, config_type=kinds[0])
    plan.rattle("graphene4", sheet * (2, 1, 1), 4, 0.06, 0.02, config_type=kinds[1])
    plan.rattle("graphite4", graphite, 4, 0.07, 0.02, config_type=kinds[2])

    plan.stage = 1
    for x in (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        step = st.graphite_to_diamond(x)
        plan.add("graphite_to_diamond", f"x{x:.2f}", step, kgrid="fine")
    for k in range(6):
        step = st.graphite_to_diamond(0.15 + 0.14 * k)
        name, kind = f"path{k}", "graphite_to_diamond"
        plan.rattle(name, step * (2, 1, 1), 1, 0.07, 0.03, config_type=kind)
    for c in (5.8, 6.6, 7.4, 8.4):
        cell = st.graphite_stack(A_GRAPHENE, c, (0.0, 0.0))
        plan.add("phase_graphite", f"AA-c{c:.2f}", cell, kgrid="fine")
    for k in range(8):  # sliding layers at several spacings
        cell = st.graphite_stack(A_GRAPHENE, 5.2 + 0.45 * k, (0.13 * k, 0.29 * k))
        name = f"slide{k}"
        plan.rattle(name, cell, 1, 0.08, 0.02, config_type="phase_graphite")
    double = graphite * (2, 1, 1)
    plan.rattle("graphite8", double, 6, 0.05, 0.015, config_type=kinds[2])
    plan.rattle("graphite8b", double, 6, 0.13, 0.03, config_type=kinds[2])
    wide = sheet * (2, 2, 1)
    plan.rattle("graphene8", wide, 5, 0.06, 0.02, config_type=kinds[1])
    plan.rattle("graphene8b", wide, 5, 0.14, 0.04, config_type=kinds[1])
    plan.rattle("graphene7", st.without(wide, 0), 4, 0.05, 0.01, config_type="vacancy")
    plan.rattle("chain4", chain, 3, 0.06, 0.02, start=2, config_type=kinds[0])
    plan.stage = 0


def _disorder(plan: Plan) -> None:
    """Add liquid, amorphous and random structures."""
    cube = bulk("C", "diamond", a=A_DIAMOND, cubic=True)
    for v, t in ((1.05, 3000), (1.25, 4000), (1.5, 5000), (1.75, 3500)):
        plan.liquid(
            f"dia8-v{v:g}",
            scaled(cube, v),
            Tersoff("C"),
            14000,
            t,
            6,
            n_melt=500,
            n_run=200,
            timestep=0.5,
            config_type="amorphous",
        )
    plan.random(["C"] * 4, [6.5, 9.0], 1.20, 3)
    plan.random(["C"] * 6, [7.5, 11.0], 1.20, 5)
    plan.random(["C"] * 8, [6.0, 7.0, 8.5, 10.5, 13.0], 1.20, 4)
    plan.stage = 1
    # volumes of 5.7, 6.6, 8.0, 10, 12.5 Å^3 are 3.5, 3.0, 2.5, 2.0, 1.6 g/cm^3
    for v in (5.7, 6.6, 8.0, 10.0, 12.5):
        _quench(plan, f"q8-v{v:g}", [(8 * v) ** (1 / 3)] * 3, 8)
    for v in (6.6, 8.0, 10.0, 12.5):  # 5.75 Å: the longest edge with 2 k-points
        _quench(plan, f"q16-v{v:g}", [5.75, 5.75, 16 * v / 5.75**2], 16)
    for v in (7.2, 9.0, 11.0):
        side = (12 * v / 5.75) ** 0.5
        _quench(plan, f"q12-v{v:g}", [side, side, 5.75], 12)
    plan.stage = 2
    for v in (6.1, 7.2, 9.0, 11.0, 15.0):
        _quench(plan, f"q8-v{v:g}", [(8 * v) ** (1 / 3)] * 3, 8)
    for v in (5.9, 7.2, 9.0):
        _quench(plan, f"q16-v{v:g}", [5.75, 5.75, 16 * v / 5.75**2], 16)
    plan.random(["C"] * 8, [18.0, 26.0], 1.15, 3)
    plan.stage = 0


def _quench(
    plan: Plan, phase: str, lengths: list[float], n_atoms: int, gap: float = 0.0
) -> None:
    """Add one quench from random positions in a box (Å)."""
    plan.quench(
        phase,
        lengths,
        Tersoff("C"),
        QUENCH,
        n_atoms=n_atoms,
        d_min=1.2,
        t_melt=10000,
        n_melt=500,
        timestep=0.5,
        t_liquid=4000,
        gap=gap,
    )


def _defects(plan: Plan) -> None:
    """Add vacancies, interstitials, surfaces and edges."""
    cube = bulk("C", "diamond", a=A_DIAMOND, cubic=True)
    vacancy = st.without(cube, 0)
    plan.rattle(
        "vac7", vacancy, 4, 0.04, 0.01, volume=(0.96, 1.03), config_type="vacancy"
    )
    slab = {"a": A_DIAMOND, "vacuum": 3.5, "periodic": True}
    s111 = diamond111("C", (1, 1, 4), **slab)
    s100 = diamond100("C", (1, 1, 7), **slab)
    _surface(plan, "111", s111, 2, 0.05)
    _surface(plan, "100", s100, 2, 0.05)
    plan.stage = 1
    plan.rattle("vac7b", vacancy, 4, 0.09, 0.02, config_type="vacancy")
    site = st.with_interstitial(cube, (0.5, 0.5, 0.5))
    plan.rattle(
        "tet9", site, 4, 0.07, 0.01, volume=(1.0, 1.15), config_type="interstitial"
    )
    _surface(plan, "111", s111, 3, 0.05, start=2)
    _surface(plan, "100", s100, 2, 0.05, start=2)
    for rows, strain in ((2, 0.0), (3, 0.03), (4, -0.03)):
        ribbon = strained(st.ribbon(rows, 1.42, 6.0), np.diag([strain, 0, 0]))
        _surface(plan, f"ribbon{rows}", ribbon, 2, 0.05)
    plan.stage = 2
    dimers = st.diamond100_dimers("C", A_DIAMOND, 6, 1.40, 3.5)
    _surface(plan, "100-2x1", dimers, 3, 0.04)
    _quench(plan, "slab12-v8", [4.4, 4.4, 12 * 8.0 / 4.4**2], 12, gap=4.0)
    plan.stage = 0


def _surface(
    plan: Plan, name: str, slab: Atoms, n: int, sigma: float, start: int = 0
) -> None:
    """Add displaced slabs or ribbons (standard deviation `sigma`, Å)."""
    plan.rattle(
        name,
        slab,
        n,
        sigma,
        0.01,
        start=start,
        volume=(1.0, 1.0),
        config_type="surface",
    )
