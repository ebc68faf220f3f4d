"""Models in torch-sim, through its own check, relaxations and dynamics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from builders import random_term
from helpers.stand_in_device import stand_in
from helpers.torch_runs import import_or_skip

import gapfit
from gapfit.testing import SAME_POTENTIAL

torch = import_or_skip("torch")
ts = import_or_skip("torch_sim")
CPU = torch.device("cpu")
MAX_STEPS = pytest.mark.filterwarnings(
    "ignore:Optimize has reached max steps", "ignore:All systems have reached the max"
)
# Names before version 0.4, the first for Python 3.12 alone, and since.
if hasattr(ts, "unit_cell_fire"):
    NVT, RELAXATION = ts.nvt_langevin, {"optimizer": ts.unit_cell_fire}
else:
    NVT = ts.Integrator.nvt_langevin
    RELAXATION = {
        "optimizer": ts.Optimizer.fire,
        "init_kwargs": {"cell_filter": ts.CellFilter.unit},
    }


def crystals(n: int, repeat: int = 1, symbol: str = "Si") -> list:
    out = [bulk(symbol, cubic=True) * repeat for _ in range(n)]
    for seed, atoms in enumerate(out):
        atoms.rattle(0.05, seed=seed)
    return out


def test_torch_sim_finds_it_valid(si_model):
    """Its check has crystals of silicon, iron or magnesium, and benzene."""
    from torch_sim.models.interface import validate_model_outputs

    atoms = bulk("Si", cubic=True)
    species = (1, 6, 12, 14, 26)
    atoms.numbers[:5] = species
    term = random_term(atoms)
    model = replace(
        si_model,
        species=species,
        e0={z: -0.1 * z for z in species},
        terms=(term,),
        posterior=None,
    )
    found = gapfit.torch.torch_sim_model(model, device="cpu")
    validate_model_outputs(found, CPU, torch.float64)


def test_many_structures_equal_python(si_full):
    structures = [*crystals(3), *crystals(2, 2)]
    state = ts.io.atoms_to_state(structures, CPU, torch.float64)
    found = gapfit.torch.torch_sim_model(si_full, device="cpu")(state)
    wanted = si_full.predict(structures)
    for name in ("energies", "forces"):
        own = np.concatenate([getattr(one, name) for one in wanted])
        SAME_POTENTIAL.check(found[name].numpy(), own)
    stress = found["stress"].flatten(1)[:, [0, 4, 8, 5, 2, 1]]
    SAME_POTENTIAL.check(stress.numpy(), np.stack([one.stress for one in wanted]))


@MAX_STEPS
def test_relaxation_and_dynamics_run(si_full):
    model = gapfit.torch.torch_sim_model(si_full, device="cpu")
    start = ts.io.atoms_to_state(crystals(3), CPU, torch.float64)
    relaxed = ts.optimize(system=start, model=model, max_steps=60, **RELAXATION)
    assert (model(relaxed)["energy"] < model(start)["energy"]).all()
    before = model.pairs.n_searches
    end = ts.integrate(
        system=relaxed,
        model=model,
        integrator=NVT,
        n_steps=20,
        temperature=300,
        timestep=0.001,
    )
    # The lists of moving atoms serve for several steps, and are right.
    assert model.pairs.n_searches - before < 5
    wanted = si_full.predict(end.to_atoms())
    found = model(end)["energy"].numpy()
    SAME_POTENTIAL.check(found, np.array([one.energy for one in wanted]))


@MAX_STEPS
def test_relaxation_on_another_device_is_the_same(si_full):
    energies = {}
    for device in (CPU, stand_in()):
        model = gapfit.torch.torch_sim_model(si_full, device=device)
        relaxed = ts.optimize(
            system=ts.io.atoms_to_state(crystals(2), device, torch.float64),
            model=model,
            max_steps=5,
            **RELAXATION,
        )
        assert relaxed.positions.device.type == device.type
        energies[device.type] = model(relaxed)["energy"].cpu()
    SAME_POTENTIAL.check(energies["cpu"].numpy(), energies["standin"].numpy())


@pytest.mark.slow
def test_a_hundred_structures_run_at_constant_temperature(si_full):
    model = gapfit.torch.torch_sim_model(si_full, device="cpu")
    end = ts.integrate(
        system=crystals(100, 2),
        model=model,
        integrator=NVT,
        n_steps=30,
        temperature=300,
        timestep=0.001,
    )
    assert end.positions.shape == (6400, 3)
    assert torch.isfinite(model(end)["energy"]).all()
