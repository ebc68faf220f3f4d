"""The silicon plan."""

from __future__ import annotations

from ase import Atoms
from ase.build import bulk, diamond100, diamond111, surface

from . import structures as st
from .plan import Plan
from .potentials import Tersoff
from .sampling import scaled

A_DIAMOND = 5.47  # Å

#: Temperature (K) and steps of 1 fs before each snapshot of a quench.
QUENCH = ((3500, 400), (2500, 400), (1800, 500), (1200, 600), (500, 500))


def plan_silicon() -> Plan:
    """Return the silicon plan."""
    plan = Plan("Si")
    _crystals(plan)
    _defects(plan)
    _disorder(plan)
    for r in (1.4, 1.7, 2.0, 2.3, 2.7, 3.3, 4.0):
        dimer = st.box_dimer("Si", "Si", r, 8.0)
        plan.add("dimer", f"r{r:.2f}", dimer, magmoms=[1, 1])
    return plan


def _crystals(plan: Plan) -> None:
    """Add the free atom and the crystals."""
    diamond = bulk("Si", "diamond", a=A_DIAMOND)
    cube = bulk("Si", "diamond", a=A_DIAMOND, cubic=True)
    tin = st.beta_tin("Si", 4.81)
    phases = {
        "sc": bulk("Si", "sc", a=2.53),
        "fcc": bulk("Si", "fcc", a=3.87),
        "hcp": bulk("Si", "hcp", a=2.70, c=4.60),
        "bcc": bulk("Si", "bcc", a=3.09),
    }
    atom = {"magmoms": [2], "width": 0.01, "fixmagmom": True}
    plan.add("isolated_atom", "Si", st.box_atom("Si", 9.0), **atom)
    factors = [0.80, 0.86, 0.91, 0.95, 0.98, 1.00, 1.02, 1.05, 1.10, 1.16, 1.24]
    plan.volumes("diamond", diamond, factors)
    for name, phase, factors in (
        ("betatin", tin, [0.88, 0.92, 0.95, 0.98, 1.00, 1.03, 1.06, 1.14]),
        ("sc", phases["sc"], [0.88, 0.92, 0.95, 0.98, 1.00, 1.03, 1.07, 1.18]),
        ("fcc", phases["fcc"], [0.90, 0.94, 0.97, 1.00, 1.04, 1.08, 1.20]),
        ("hcp", phases["hcp"], [0.88, 0.92, 0.96, 1.00, 1.05, 1.10]),
        ("bcc", phases["bcc"], [0.88, 0.92, 0.96, 1.00, 1.05, 1.10]),
    ):
        plan.volumes(name, phase, factors, config_type=f"phase_{name}")
    plan.rattle("dia2", diamond, 6, 0.06, 0.03, volume=(0.90, 1.12))
    plan.rattle("dia2b", diamond, 4, 0.15, 0.05, volume=(0.90, 1.12))
    plan.rattle("dia8", cube, 4, 0.05, 0.01)
    plan.rattle("dia8b", cube, 4, 0.15, 0.02)
    plan.rattle("dia8c", cube, 2, 0.28, 0.03)
    plan.rattle("betatin", tin, 3, 0.10, 0.04, config_type="phase_betatin")
    plan.rattle("sc2", phases["sc"] * (1, 1, 2), 2, 0.10, 0.04, config_type="phase_sc")

    plan.stage = 1
    for name, phase in (
        ("lonsdaleite", st.lonsdaleite("Si", 3.86)),
        ("bc8", st.bc8("Si", 6.64, 0.1003)),
    ):
        kind = f"phase_{name}"
        plan.volumes(name, phase, [0.90, 1.0, 1.10], config_type=kind)
        plan.rattle(name, phase, 2, 0.08, 0.02, config_type=kind)
    for name, phase in phases.items():
        double = phase * (1, 1, 2) if len(phase) == 1 else phase
        kind = f"phase_{name}"
        plan.rattle(f"{name}2b", double, 2, 0.12, 0.03, config_type=kind)
    plan.rattle("betatin", tin, 3, 0.10, 0.04, start=3, config_type="phase_betatin")
    plan.rattle("dia2", diamond, 3, 0.06, 0.03, start=6, volume=(0.85, 1.18))
    plan.rattle("dia2c", diamond, 3, 0.02, 0.08, volume=(0.90, 1.12))
    plan.rattle("dia8", cube, 4, 0.05, 0.01, start=4, volume=(0.92, 1.08))
    plan.rattle("dia8b", cube, 4, 0.15, 0.02, start=4, volume=(0.92, 1.08))
    plan.rattle("dia8d", cube, 4, 0.22, 0.02)
    plan.stage = 2
    plan.rattle("dia16", diamond * (2, 2, 2), 4, 0.10, 0.01)
    plan.stage = 0


def _defects(plan: Plan) -> None:
    """Add vacancies, interstitials and surfaces."""
    cube = bulk("Si", "diamond", a=A_DIAMOND, cubic=True)
    vacancy = st.without(cube, 0)
    plan.rattle(
        "vac7", vacancy, 4, 0.06, 0.01, volume=(0.96, 1.02), config_type="vacancy"
    )
    slab = {"vacuum": 4.0, "periodic": True}
    s111 = diamond111("Si", (1, 1, 4), a=A_DIAMOND, **slab)
    s100 = diamond100("Si", (1, 1, 7), a=A_DIAMOND, **slab)
    s110 = surface(cube, (1, 1, 0), 2, **slab)
    _surface(plan, "111", s111, 2)
    _surface(plan, "100", s100, 2)
    _surface(plan, "110", s110, 1)
    plan.stage = 1
    plan.rattle("vac7b", vacancy, 4, 0.12, 0.02, config_type="vacancy")
    pair = st.without(vacancy, 0)
    plan.rattle("vac6", pair, 3, 0.08, 0.01, config_type="vacancy")
    for name, position in (("tet9", (0.5, 0.5, 0.5)), ("hex9", (0.625, 0.625, 0.375))):
        site = st.with_interstitial(cube, position)
        plan.rattle(
            name, site, 3, 0.08, 0.01, volume=(1.0, 1.1), config_type="interstitial"
        )
    _surface(plan, "111", s111, 3, start=2)
    _surface(plan, "100", s100, 2, start=2)
    plan.stage = 2
    dimers = st.diamond100_dimers("Si", A_DIAMOND, 6, 2.35, 4.0)
    _surface(plan, "100-2x1", dimers, 4)
    _surface(plan, "110", s110, 1, start=1)
    plan.stage = 0


def _surface(plan: Plan, name: str, slab: Atoms, n: int, start: int = 0) -> None:
    """Add displaced slabs."""
    plan.rattle(
        name,
        slab,
        n,
        0.06,
        0.01,
        start=start,
        volume=(1.0, 1.0),
        config_type="surface",
    )


def _disorder(plan: Plan) -> None:
    """Add liquid, amorphous and random structures."""
    cube = bulk("Si", "diamond", a=A_DIAMOND, cubic=True)
    for v, t in ((0.92, 2500), (1.0, 2000), (1.0, 1200), (1.10, 3000)):
        plan.liquid(f"dia8-v{v:g}", scaled(cube, v), Tersoff("Si"), 7000, t, 6)
    plan.random(["Si"] * 4, [15.0, 20.0], 1.95, 4)
    plan.random(["Si"] * 6, [17.0, 23.0], 1.95, 4)
    plan.random(["Si"] * 8, [15.5, 17.5, 20.0, 24.0], 1.95, 4)
    plan.stage = 1
    for v in (16.5, 18.0, 20.0, 22.0):
        _quench(plan, f"q8-v{v:g}", [(8 * v) ** (1 / 3)] * 3, 8)
    for v in (18.5, 20.5):  # 8.75 Å: the longest edge with 2 k-points
        side = (16 * v / 8.75) ** 0.5
        _quench(plan, f"q16-v{v:g}", [side, side, 8.75], 16)
    plan.stage = 2
    for v in (15.5, 17.2, 19.0, 21.0, 25.0):
        _quench(plan, f"q8-v{v:g}", [(8 * v) ** (1 / 3)] * 3, 8)
    plan.stage = 0


def _quench(plan: Plan, phase: str, lengths: list[float], n_atoms: int) -> None:
    """Add one quench from random positions in a box (Å)."""
    plan.quench(
        phase,
        lengths,
        Tersoff("Si"),
        QUENCH,
        n_atoms=n_atoms,
        d_min=2.0,
        t_melt=5000,
        n_melt=500,
        timestep=1.0,
        t_liquid=1800,
    )
