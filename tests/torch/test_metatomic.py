"""Models in metatomic's format, through its own checks and its ASE calculator."""

from __future__ import annotations

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from ase.stress import voigt_6_to_full_3x3_stress
from builders import (
    THREE_BODY,
    TWO_BODY,
    cluster,
    config,
    labelled_frames,
    silicon,
    slab,
    three_species,
)
from helpers.torch_runs import import_or_skip

import gapfit
from gapfit.cli import main
from gapfit.testing import SAME_POTENTIAL

torch = import_or_skip("torch")
mta = import_or_skip("metatomic.torch")
ase_side = import_or_skip("metatomic_ase")
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def exported(gst_full, tmp_path_factory):
    path = tmp_path_factory.mktemp("metatomic") / "gst.pt"
    gapfit.torch.export_metatomic(gst_full, path)
    return path


def test_ase_equals_python(exported, gst_full):
    calculator = ase_side.MetatomicCalculator(
        exported, check_consistency=True, uncertainty_threshold=1000.0
    )
    for atoms in (three_species(), three_species() * (2, 1, 1)):
        atoms.calc = calculator
        wanted = gst_full.predict(atoms)
        for found, own in (
            (atoms.get_potential_energy(), wanted.energy),
            (atoms.get_potential_energies(), wanted.energies),
            (atoms.get_forces(), wanted.forces),
            (atoms.get_stress(), wanted.stress),
        ):
            SAME_POTENTIAL.check(found, own)


def test_open_boundaries(si_full, tmp_path):
    gapfit.torch.export_metatomic(si_full, tmp_path / "si.pt")
    calculator = ase_side.MetatomicCalculator(
        tmp_path / "si.pt", check_consistency=True
    )
    for atoms in (slab(), cluster(), silicon()):
        atoms.calc = calculator
        wanted = si_full.predict(atoms)
        SAME_POTENTIAL.check(atoms.get_potential_energy(), wanted.energy)
        SAME_POTENTIAL.check(atoms.get_forces(), wanted.forces)


def test_standard_deviations(si_full, tmp_path):
    gapfit.torch.export_metatomic(si_full, tmp_path / "si.pt")
    calculator = ase_side.MetatomicCalculator(
        tmp_path / "si.pt", check_consistency=True, uncertainty_threshold=1000.0
    )
    outputs = {"energy_uncertainty": mta.ModelOutput(unit="eV", sample_kind="atom")}
    found = calculator.run_model(slab(), outputs)["energy_uncertainty"].block().values
    wanted = si_full.predict(slab(), std="energies").energies_std
    np.testing.assert_allclose(found.squeeze(1), wanted, rtol=1e-6)
    gapfit.torch.export_metatomic(si_full, tmp_path / "less.pt", std=False)
    assert (tmp_path / "less.pt").stat().st_size < (tmp_path / "si.pt").stat().st_size


def test_novelty_of_a_model_without_soap(tmp_path):
    terms = [TWO_BODY, THREE_BODY]
    model = gapfit.fit(labelled_frames(silicon), {**config(), "terms": terms})
    gapfit.torch.export_metatomic(model, tmp_path / "si.pt", novelty=True)
    calculator = ase_side.MetatomicCalculator(
        tmp_path / "si.pt", check_consistency=True, uncertainty_threshold=1000.0
    )
    asked = {"energy_uncertainty": "eV", "gapfit::novelty": ""}
    outputs = {
        name: mta.ModelOutput(unit=unit, sample_kind="atom")
        for name, unit in asked.items()
    }
    found = calculator.run_model(slab(), outputs)
    std, novelty = (found[name].block().values.squeeze(1) for name in asked)
    assert found["gapfit::novelty"].block().properties.names == ["novelty"]
    np.testing.assert_allclose(
        std, model.predict(slab(), std="energies").energies_std, rtol=1e-6
    )
    wanted = model.predict(slab(), novelty=True).novelty
    np.testing.assert_allclose(novelty**2, wanted**2, atol=1e-11)
    outputs["gapfit::novelty"].sample_kind = "system"
    with pytest.raises(torch.jit.Error, match="gapfit::novelty is that of atoms"):
        calculator.run_model(slab(), outputs)


@pytest.mark.parametrize("kind", ["atom", "system"])
def test_samples(kind, si_full, tmp_path):
    gapfit.torch.export_metatomic(si_full, tmp_path / "si.pt", samples=3)
    calculator = ase_side.MetatomicCalculator(
        tmp_path / "si.pt", check_consistency=True
    )
    outputs = {"energy_ensemble": mta.ModelOutput(unit="eV", sample_kind=kind)}
    found = calculator.run_model(slab(), outputs)["energy_ensemble"].block().values
    wanted = [one.predict(slab()) for one in si_full.sample(3)]
    name = "energies" if kind == "atom" else "energy"
    own = np.array([getattr(one, name) for one in wanted]).reshape(3, -1)
    np.testing.assert_allclose(found.T, own, atol=1e-7)


def test_what_is_declared(exported, gst_full):
    model = mta.load_atomistic_model(exported)
    capabilities = model.capabilities()
    assert capabilities.atomic_types == list(gst_full.species)
    assert capabilities.interaction_range == gst_full.cutoff
    assert capabilities.dtype == "float64"
    assert capabilities.outputs["energy"].unit == "eV"
    (neighbours,) = model.requested_neighbor_lists()
    assert neighbours.cutoff == gst_full.cutoff
    assert neighbours.full_list


@pytest.mark.filterwarnings("ignore:`compute_requested_neighbors` is deprecated")
def test_chosen_atoms_of_several_structures(exported, gst_full):
    model = mta.load_atomistic_model(exported)
    structures = [three_species(), three_species() * (2, 1, 1)]
    systems = mta.systems_to_torch(structures, dtype=torch.float64)
    import_or_skip("vesin.metatomic").compute_requested_neighbors(
        systems, system_length_unit="angstrom", model=model
    )
    chosen = [[0, 1], [0, 5], [1, 0], [1, 12]]
    names = ["system", "atom"]
    options = mta.ModelEvaluationOptions(
        length_unit="angstrom",
        outputs={"energy": mta.ModelOutput(unit="meV", sample_kind="atom")},
        selected_atoms=mta_labels(names, chosen),
    )
    values = model(systems, options, check_consistency=True)["energy"].block().values
    wanted = [gst_full.predict(structures[s]).energies[k] for s, k in chosen]
    np.testing.assert_allclose(values.squeeze(1).numpy() / 1000, wanted, atol=1e-10)
    options.outputs = {"energy": mta.ModelOutput(unit="eV", sample_kind="system")}
    values = model(systems, options, check_consistency=True)["energy"].block().values
    wanted = [sum(wanted[:2]), sum(wanted[2:])]
    np.testing.assert_allclose(values.squeeze(1).numpy(), wanted, atol=1e-10)


@pytest.mark.filterwarnings("ignore:`compute_requested_neighbors` is deprecated")
def test_domains_with_ghosts_as_those_of_lammps(exported, gst_full):
    """Ranks have the neighbours of their atoms as atoms, and add up forces on them."""
    atoms = three_species() * (2, 1, 1)
    first, second, images = neighbor_list("ijS", atoms, gst_full.cutoff)
    energy, forces = 0.0, np.zeros((len(atoms), 3))
    for own in (range(5), range(5, len(atoms))):
        seen = np.isin(first, own)
        beyond = images[seen].any(axis=1) | ~np.isin(second[seen], own)
        ghosts = np.column_stack([second[seen], images[seen]])[beyond]
        ghosts = np.unique(ghosts, axis=0)
        original = np.concatenate([own, ghosts[:, 0]])
        positions = atoms.positions[original]
        positions[len(own) :] += ghosts[:, 1:] @ atoms.cell.array
        part, gradient = energy_of_domain(
            exported, atoms.numbers[original], positions, len(own)
        )
        energy += part
        np.add.at(forces, original, -gradient)
    wanted = gst_full.predict(atoms)
    SAME_POTENTIAL.check(energy, wanted.energy)
    SAME_POTENTIAL.check(forces, wanted.forces)


def energy_of_domain(path, numbers, positions, n_own: int):
    """Return the energy of the first atoms, and its gradient with all positions."""
    model = mta.load_atomistic_model(path)
    system = mta.System(
        types=torch.tensor(numbers, dtype=torch.int32),
        positions=torch.tensor(positions, requires_grad=True),
        cell=torch.zeros(3, 3, dtype=torch.float64),
        pbc=torch.zeros(3, dtype=torch.bool),
    )
    import_or_skip("vesin.metatomic").compute_requested_neighbors(
        [system], system_length_unit="angstrom", model=model
    )
    options = mta.ModelEvaluationOptions(
        length_unit="angstrom",
        outputs={"energy": mta.ModelOutput(unit="eV", sample_kind="system")},
        selected_atoms=mta_labels(["system", "atom"], [[0, k] for k in range(n_own)]),
    )
    found = model([system], options, check_consistency=True)["energy"].block().values
    found.backward()
    return found.item(), system.positions.grad.numpy()


def mta_labels(names: list[str], values: list[list[int]]):
    labels = import_or_skip("metatensor.torch").Labels
    return labels(names, torch.tensor(values, dtype=torch.int32))


def test_the_command(si_model, tmp_path, capsys):
    si_model.save(tmp_path / "model.npz")
    given = [str(tmp_path / "model.npz"), str(tmp_path / "model.pt")]
    assert main(["export-metatomic", *given, "--novelty"]) == 0
    assert "model.pt" in capsys.readouterr().out
    outputs = mta.load_atomistic_model(tmp_path / "model.pt").capabilities().outputs
    assert set(outputs) == {"energy", "energy_uncertainty", "gapfit::novelty"}
    atoms = silicon()
    atoms.calc = ase_side.MetatomicCalculator(tmp_path / "model.pt")
    wanted = si_model.predict(silicon())
    SAME_POTENTIAL.check(atoms.get_potential_energy(), wanted.energy)


def test_ipi_equals_python(gst_full, exported, tmp_path):
    driver = import_or_skip("ipi.pes.metatomic").MetatomicDriver
    units = import_or_skip("ipi.utils.units").UnitMap
    eV, angstrom = units["energy"]["electronvolt"], units["length"]["angstrom"]
    atoms = three_species() * (2, 1, 1)
    atoms.write(tmp_path / "template.extxyz")
    potential = driver(
        tmp_path / "template.extxyz", str(exported), check_consistency=True
    )
    for seed in (1, 2):
        atoms.rattle(0.05, seed=seed)
        energy, forces, virial, _ = potential(
            atoms.cell.T * angstrom, atoms.positions * angstrom
        )
        wanted = gst_full.predict(atoms)
        stress = voigt_6_to_full_3x3_stress(wanted.stress)
        SAME_POTENTIAL.check(energy / eV, wanted.energy)
        # Its eV/Å is not its eV over its Å, but one with fewer digits.
        SAME_POTENTIAL.check(forces / units["force"]["ev/ang"], wanted.forces)
        SAME_POTENTIAL.check(virial / eV, -stress * atoms.get_volume())
