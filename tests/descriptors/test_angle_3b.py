"""The three-body term: plain sums, exact algebra, tables, derivatives, mixtures."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from builders import (
    STRUCTURES,
    config,
    label,
    labelled_frames,
    silicon,
    without_tables,
)

import gapfit
from gapfit import _core
from gapfit.config.sections import Angle3bConfig
from gapfit.data.frame import structure_arrays, to_voigt
from gapfit.data.neighbours import core_pairs, pair_list, pairs_of
from gapfit.descriptors.blocks import triplet_key
from gapfit.descriptors.switch import Switch
from gapfit.model.terms import FittedTerm, build_term
from gapfit.testing import (
    FORCE_SLOPE,
    REORDERED_SUMS,
    ROUNDING,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    TABULATED,
    crossing_jumps,
    forces_error,
    invariance_errors,
    stress_error,
)
from gapfit.threads import use_threads

pytestmark = pytest.mark.core

R_CUT, WIDTH, THETA, DELTA = 4.2, 0.9, (1.1, 1.4, 0.9), 0.4
SETTINGS = {
    "type": "angle_3b",
    "r_cut": R_CUT,
    "width": WIDTH,
    "theta": list(THETA),
    "delta": DELTA,
    "n_sparse": 40,
}
PAIR = {"type": "distance_2b", "r_cut": 4.5, "width": 0.8, "theta": 0.6, "delta": 1.0}
SOAP = {"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 20}
MIXTURES = {"3b": [SETTINGS], "2b + 3b + SOAP": [PAIR, SETTINGS, SOAP]}


def random_term(atoms: Atoms, **settings: object) -> FittedTerm:
    """Return a term with points near and between the triplets of a structure."""
    species = tuple(sorted(set(atoms.numbers.tolist())))
    term = build_term(Angle3bConfig(**SETTINGS | settings), species, {})
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    rng, sparse = np.random.default_rng(4), {}
    for block, found in term.descriptor.environments(pairs).items():
        points = found.values[rng.permutation(len(found.values))[:23]]
        sparse[block] = points + rng.normal(scale=0.3, size=points.shape)
    coefficients = {block: rng.normal(size=len(p)) for block, p in sparse.items()}
    return replace(term, sparse=sparse, coefficients=coefficients)


def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    d = (left[..., :, None, :] - right[..., None, :, :]) / np.array(THETA)
    return DELTA**2 * np.exp(-0.5 * (d**2).sum(axis=-1))


def triplets(
    atoms: Atoms, r_cut: float = R_CUT
) -> list[tuple[int, int, float, np.ndarray]]:
    """Return centre, block, product of the switches and q: a plain loop."""
    pairs = pair_list(structure_arrays(atoms), 6.0)
    found = []
    for i in range(len(atoms)):
        inside = np.linalg.norm(pairs.R, axis=1) < r_cut
        near = np.flatnonzero((pairs.i == i) & inside)
        for a, b in combinations(near, 2):
            r = np.linalg.norm(pairs.R[[a, b]], axis=1)
            opposite = np.linalg.norm(pairs.R[a] - pairs.R[b])
            t = np.clip((r - r_cut + WIDTH) / WIDTH, 0, 1)
            s = np.prod(1 - 10 * t**3 + 15 * t**4 - 6 * t**5)
            z = atoms.numbers[[i, pairs.j[a], pairs.j[b]]].tolist()
            low, high = sorted(z[1:])
            q = np.array([r.sum(), (r[0] - r[1]) ** 2, opposite])
            found.append((i, 1_000_000 * z[0] + 1000 * low + high, s, q))
    return found


def three_body(*more: dict, **changes: object) -> dict:
    return config() | {"terms": [SETTINGS | changes, *more]}


@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_is_the_sum_over_all_triplets(name):
    """Against a plain loop; the pair list is longer than the cutoff."""
    atoms = STRUCTURES[name]()
    term = random_term(atoms)
    expected = np.zeros(len(atoms))
    for i, block, s, q in triplets(atoms):
        k = kernel(q[None], term.sparse[block])[0]
        expected[i] += s * (k @ term.coefficients[block])
    assert np.ptp(expected) > 0 or name == "one_atom"
    assert np.abs(expected).max() > 0.1
    pairs = pair_list(structure_arrays(atoms), 6.0)
    found = term.predict(pairs, gradients=True, atom_virials=True)
    TABULATED.check(found.energies, expected)
    total = to_voigt(found.atom_virials.sum(axis=0))
    REORDERED_SUMS.check(total, found.virials[0])
    alone = term.predict(pairs, gradients=False)
    np.testing.assert_array_equal(alone.energies, found.energies)
    assert alone.forces.shape[0] == 0


@pytest.mark.parametrize(
    ("name", "theta"),
    [
        ("silicon", [0.4, 0.4, 0.4]),
        ("silicon", [1.1, 0.3, 0.8]),
        ("silicon", [4.0, 9.0, 3.0]),
        ("three_species", [1.5, 1.5, 1.5]),
        ("three_species", [2.0, 1.0, 3.0]),
    ],
)
def test_the_table_equals_the_kernel_sum(name, theta):
    atoms = STRUCTURES[name]()
    term = random_term(atoms, theta=theta, r_cut=3.6)
    pairs = pair_list(structure_arrays(atoms), 3.6)
    table = term.predict(pairs, gradients=True, atom_virials=True)
    exact = without_tables(term).predict(pairs, gradients=True, atom_virials=True)
    assert not np.array_equal(table.energies, exact.energies)
    TABULATED.check((table.energies - exact.energies).sum())
    TABULATED.check(table.energies, exact.energies)
    np.testing.assert_allclose(table.forces, exact.forces, atol=2e-7)
    np.testing.assert_allclose(table.virials, exact.virials, atol=1e-6)


def test_the_table_holds_the_widest_and_the_narrowest_triplets():
    """The corners of its domain: atoms nearly touching, or at the cutoff."""
    term = random_term(silicon())
    r = [0.3001, 0.35, R_CUT / 2, R_CUT - 1e-3]
    shapes = [
        Atoms("Si3", [[0, 0, 0], [a, 0, 0], [b * np.cos(t), b * np.sin(t), 0]])
        for a in r
        for b in r
        for t in (1.2, np.pi)
    ]
    pairs = pairs_of([structure_arrays(atoms) for atoms in shapes], R_CUT)
    some = {14014014: np.random.default_rng(0).uniform(0.3, 8.0, (50, 3))}
    c = {14014014: np.random.default_rng(1).normal(size=50)}
    term = replace(term, sparse=some, coefficients=c)
    table = term.predict(pairs, gradients=True)
    exact = without_tables(term).predict(pairs, gradients=True)
    TABULATED.check(table.energies, exact.energies)
    assert np.abs(table.forces - exact.forces).max() < 2e-7


QUIP = """
import sys
import numpy as np
from ase.io import read
from quippy.descriptors import Descriptor
descriptor = Descriptor(sys.argv[3])
np.save(sys.argv[2], descriptor.calc(read(sys.argv[1]))["data"])
"""


@pytest.mark.skipif(find_spec("quippy") is None, reason="needs quippy-ase")
def test_q_is_that_of_quip(tmp_path):
    """In a process of its own: quippy brings another BLAS."""
    atoms = silicon()
    write(tmp_path / "atoms.xyz", atoms, format="extxyz")
    files = [str(tmp_path / "atoms.xyz"), str(tmp_path / "q.npy")]
    options = f"angle_3b cutoff={R_CUT} Z=14 Z1=14 Z2=14"
    subprocess.run([sys.executable, "-c", QUIP, *files, options], check=True)
    # Every triplet comes twice, with its neighbours in either order.
    theirs = np.load(files[1])
    theirs = theirs[np.lexsort(np.round(theirs, 5).T)][::2]
    term = random_term(atoms)
    pairs = pair_list(structure_arrays(atoms), R_CUT)
    ours = term.descriptor.environments(pairs)[14014014].values
    assert len(ours) == len(theirs) > 100
    ours = ours[np.lexsort(np.round(ours, 5).T)]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)  # digits of the file


@pytest.mark.parametrize("name", ["silicon", "sheared", "one_atom", "three_species"])
@pytest.mark.parametrize("terms", MIXTURES.values(), ids=MIXTURES)
def test_mixtures_have_consistent_derivatives(name, terms):
    frames = labelled_frames(STRUCTURES[name], 4)
    model = gapfit.fit(frames, config() | {"terms": terms})
    atoms = frames[1]
    # A pair of the sheared cell is so near the cutoff that larger steps would cross it,
    # and the third derivative of the switch jumps there.
    FORCE_SLOPE.check(forces_error(model, atoms, step=2e-4))
    STRESS_SLOPE.check(stress_error(model, atoms))
    errors = invariance_errors(model, atoms, np.random.default_rng(1))
    SAME_POTENTIAL.check([*errors.values()])


def test_nothing_jumps_at_the_cutoff():
    model = gapfit.fit(labelled_frames(silicon, 3), three_body())
    atoms = Atoms("Si3", [[0, 0, 0], [0, 2.4, 0], [3, 0, 0]])
    energy, forces = crossing_jumps(model, atoms, 0, R_CUT)
    assert energy < 1e-10
    assert forces < 1e-9
    inside, outside = (atoms.copy() for _ in range(2))
    inside.positions[2, 0] = R_CUT - 0.4
    outside.positions[2, 0] = 9.0
    values = [model.predict(a).energy for a in (inside, outside)]
    assert abs(values[0] - values[1]) > 1e-4  # there is something to switch off


def test_variance_is_that_of_an_exact_gaussian_process():
    """All triplets as sparse points, forces left out: dense algebra over energies."""
    frames = labelled_frames(silicon, 3)
    settings = three_body(r_cut=3.6, n_sparse=5000, sparse_method="random")
    settings["data"] = settings["data"] | {"use_forces": False, "use_stress": False}
    settings["e0"] = {"Si": 0.0}
    settings["solver"] = {"jitter": 1e-10}
    model = gapfit.fit(frames, settings)

    def shares(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
        found = triplets(atoms, 3.6)
        weights = np.zeros((len(atoms), len(found)))
        for n, (i, _, s, _) in enumerate(found):
            weights[i, n] = s
        return weights, np.array([q for *_, q in found])

    def covariance(a: tuple, b: tuple) -> np.ndarray:
        return a[0] @ kernel(a[1], b[1]) @ b[0].T

    known = [shares(atoms) for atoms in frames]
    K = np.array([[covariance(a, b).sum() for b in known] for a in known])
    noise = np.diag([8 * 0.002**2] * 3)
    test = shares(silicon(50))
    k = np.array([covariance(test, a).sum(axis=1) for a in known])
    prior = np.diag(covariance(test, test))
    expected = prior - np.einsum("ni,ni->i", k, np.linalg.solve(K + noise, k))
    found = model.predict(silicon(50), std=True).energies_std
    np.testing.assert_allclose(found**2, expected, rtol=2e-3)


def test_covariances_of_several_species_equal_plain_sums():
    atoms = STRUCTURES["three_species"]()
    term = random_term(atoms)
    whole = pair_list(structure_arrays(atoms), R_CUT)
    found = triplets(atoms)
    expected = np.zeros((len(atoms), term.n_sparse))
    prior = np.zeros(len(atoms))
    first = 0
    for block, points in term.sparse.items():
        for i in range(len(atoms)):
            own = [(s, q) for c, b, s, q in found if (c, b) == (i, block)]
            if own:
                s, q = np.array([s for s, _ in own]), np.array([q for _, q in own])
                expected[i, first : first + len(points)] = s @ kernel(q, points)
                prior[i] += s @ kernel(q, q) @ s
        first += len(points)
    for chunk in whole.chunks(60):
        k_m, variance = term.descriptor.covariances(chunk, term.sparse)
        own = slice(chunk.start, chunk.stop)
        np.testing.assert_allclose(k_m, expected[own], atol=1e-12)
        ROUNDING.check(variance, prior[own])


def test_rows_do_not_depend_on_the_number_of_threads():
    atoms = STRUCTURES["three_species"]() * (2, 1, 1)
    term = random_term(atoms)
    extra = np.random.default_rng(0).normal(4.0, 1.0, (101, 3))
    term.sparse[term.descriptor.blocks[3]] = extra
    pairs = pair_list(structure_arrays(atoms), R_CUT)
    found = []
    for n_threads in (1, 3, 8):
        with use_threads(n_threads):
            found.append(
                term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
            )
    for rows in found[1:]:
        for a, b in zip(vars(rows).values(), vars(found[0]).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_change_nothing_but_rounding():
    atoms = STRUCTURES["three_species"]() * (3, 2, 2)
    term = random_term(STRUCTURES["three_species"]())
    pairs = pair_list(structure_arrays(atoms), R_CUT)
    found = []
    for n_threads in (1, 3, 3):
        with use_threads(n_threads):
            prediction = term.predict(pairs, gradients=True, atom_virials=True)
            found.append((prediction, term.descriptor.covariances(pairs, term.sparse)))
    for n in (1, 2):
        for k in (0, 1):
            np.testing.assert_array_equal(found[n][1][k], found[0][1][k])
        for a, b in zip(
            vars(found[n][0]).values(), vars(found[0][0]).values(), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-11)
    np.testing.assert_array_equal(found[1][0].forces, found[2][0].forces)


@pytest.mark.parametrize(
    ("theta", "tables"),
    [([0.3, 0.5, 0.3], False), ([2, 3, 2], True)],
    ids=["sums", "tables"],
)
def test_everything_survives_the_model_file(tmp_path, theta, tables):
    frames = labelled_frames(STRUCTURES["three_species"], 3)
    model = gapfit.fit(frames, three_body(PAIR, SOAP, r_cut=3.6, theta=theta))
    assert (model.terms[0].descriptor.grid(18) is not None) is tables
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    a, b = (m.predict(frames[0], std=True) for m in (model, loaded))
    np.testing.assert_array_equal(a.forces, b.forces)
    np.testing.assert_array_equal(a.energies_std, b.energies_std)
    kinds = ["angle_3b", "distance_2b", "soap"]
    assert [term.config.type for term in loaded.terms] == kinds
    assert len(loaded.terms[0].sparse) == 3 * 6
    assert {p.shape[1] for p in loaded.terms[0].sparse.values()} == {3}


def test_blocks_are_named_by_the_centre_first():
    descriptor = random_term(STRUCTURES["three_species"]()).descriptor
    labels = [descriptor.label(block) for block in descriptor.blocks]
    assert len(set(labels)) == 18
    assert descriptor.label(triplet_key(52, 51, 32)) == "Te-Ge-Sb"
    assert triplet_key(52, 51, 32) in descriptor.blocks


def test_triplets_of_species_that_never_meet_get_no_potential():
    frames = labelled_frames(silicon, 2)
    lone = label(Atoms("Ge", [[0, 0, 0]]))
    model = gapfit.fit([*frames, lone], three_body())
    n_sparse = [len(points) for points in model.terms[0].sparse.values()]
    assert n_sparse[0] > 10
    assert n_sparse[1:] == [0] * 5
    together = Atoms("SiGe2", [[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0]])
    found = model.predict(together, std=True)
    assert np.isfinite(found.energies_std).all()
    assert found.energy == pytest.approx(model.e0[14] + 2 * model.e0[32], abs=1e-12)


@pytest.mark.parametrize("term", [SETTINGS, PAIR], ids=["3b", "2b"])
@pytest.mark.parametrize("method", ["uniform", "fps", "kmeans", "cur", "random"])
def test_nearly_equal_environments_count_once(term, method):
    """A crystal with the rounding of a text file has few shapes of triangles."""
    crystal = silicon()
    crystal.positions = (
        np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]] * 2) * 1.36
    )
    crystal.positions[4:] += 1.36
    crystal.cell = np.eye(3) * 5.44
    frames = [crystal.copy() for _ in range(4)]
    for n, frame in enumerate(frames):
        frame.rattle(1e-6, seed=n)
        label(frame)
    model = gapfit.fit(frames, config() | {"terms": [term | {"sparse_method": method}]})
    # Distances 2.36 and 3.85 Å; triangles of two, one and no bonds.
    points = next(iter(model.terms[0].sparse.values()))
    theta = np.array(term["theta"])
    rounded = {tuple(row) for row in np.round(points / theta, 1)}
    assert len(rounded) == len(points) == (2 if term is PAIR else 8)


def stillinger_weber(atoms: Atoms) -> Atoms:
    """Label with pairs and angles: finite differences of a plain sum."""

    def energy(moved: Atoms) -> float:
        pairs = pair_list(structure_arrays(moved), 3.6)
        r = np.linalg.norm(pairs.R, axis=1)
        s = Switch(3.6, 1.0)(r)[0]
        total = 0.5 * np.sum(s * 2.0 * ((2.2 / r) ** 4 - (2.2 / r) ** 2))
        for i in range(len(moved)):
            own = pairs.i == i
            unit = pairs.R[own] / r[own][:, None]
            angle = (unit @ unit.T + 1 / 3) ** 2 * np.outer(s[own], s[own])
            total += 0.5 * (angle.sum() - np.trace(angle)) * 1.5
        return float(total)

    forces = np.zeros((len(atoms), 3))
    for index in np.ndindex(forces.shape):
        moved = [atoms.copy(), atoms.copy()]
        for copy, step in zip(moved, (1e-4, -1e-4), strict=True):
            copy.positions[index] += step
        forces[index] = (energy(moved[1]) - energy(moved[0])) / 2e-4
    atoms.calc = SinglePointCalculator(atoms, energy=energy(atoms), forces=forces)
    return atoms


def test_angles_are_learnt():
    frames = [stillinger_weber(a) for a in labelled_frames(silicon, 8)]
    unseen = [stillinger_weber(silicon(90 + n)) for n in range(2)]
    settings = config() | {"e0": {"Si": 0.0}, "sigma": {"energy": 1e-3, "forces": 0.01}}
    pair = PAIR | {"r_cut": 3.6}
    angle = SETTINGS | {"r_cut": 3.6, "delta": 1.0, "n_sparse": 150}

    def error(*terms: dict) -> float:
        model = gapfit.fit(frames, settings | {"terms": list(terms)})
        misses = [model.predict(a).forces - a.get_forces() for a in unseen]
        return float(np.sqrt(np.mean(np.square(misses))))

    size = np.sqrt(np.mean(np.square([a.get_forces() for a in unseen])))
    alone, both = error(pair), error(pair, angle)
    assert alone > 0.1 * size
    assert both < 0.2 * alone


def test_bad_arguments_of_the_core_are_refused():
    pairs = core_pairs(pair_list(structure_arrays(silicon()), 3.0), (14,))
    block = np.zeros((1, 1, 1), dtype=np.int32)
    good = _core.TripletRange(block, 3.0, 0.5, False)
    three = (1.0, 1.0, 1.0)
    for change in ((block[0], 3.0, 0.5), (block, 3.0, 4.0), (block, np.inf, 0.5)):
        with pytest.raises((TypeError, ValueError)):
            _core.TripletRange(*change, False)
    with pytest.raises(ValueError, match="lengths"):
        _core.TripletKernel(1.0, (1.0, 0.0, 1.0), False, False)
    with pytest.raises(ValueError, match="six knots"):
        _core.TripletPotential(np.zeros((6, 6, 7)), three, three)
    with pytest.raises(ValueError, match="spacings"):
        _core.TripletPotential(np.zeros((6, 6, 8)), three, (1.0, -1.0, 1.0))
    kernel = _core.TripletKernel(1.0, three, False, False)
    with pytest.raises(ValueError, match="one coefficient"):
        _core.TripletPotential(kernel, np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="one potential"):
        _core.triplet_energies(pairs, good, [], True, False, 1)
    points = [np.ones((2, 3))]
    energies = np.zeros((1, 2))
    _core.add_triplet_rows(pairs, good, kernel, points, False, energies, None, None, 1)
    assert energies.min() > 0
    with pytest.raises(ValueError, match="observations"):
        _core.add_triplet_rows(
            pairs, good, kernel, points, True, energies, None, None, 1
        )
    more = _core.TripletRange(block + 1, 3.0, 0.5, False)
    with pytest.raises(ValueError, match="points for each block"):
        _core.add_triplet_rows(
            pairs, more, kernel, points, False, energies, None, None, 1
        )


def test_dimers_have_no_triplets():
    """A term without sparse points contributes nothing, and stops nothing."""
    dimers = [
        label(Atoms("Si2", [[0, 0, 0], [r, 0, 0]])) for r in np.arange(2.0, 3.0, 0.1)
    ]
    pair = {"type": "distance_2b", "r_cut": 4.0}
    settings = config() | {"terms": [pair, {"type": "angle_3b"}]}
    model = gapfit.fit(dimers, settings)
    assert model.terms[1].n_sparse == 0
    FORCE_SLOPE.check(forces_error(model, dimers[3]))
    assert np.isfinite(model.predict(silicon(), std=True).energies_std).all()


def test_sides_in_any_order_have_one_length():
    with pytest.raises(ValueError, match="depend on the order of the sides"):
        Angle3bConfig(coordinates="distances", theta=[1.0, 1.0, 1.2])
