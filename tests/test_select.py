"""The choice of structures to label: what it promises, against slower ways."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from conftest import cluster, config, label, labelled_frames, silicon, slab, wire
from scipy.linalg import cho_factor, cho_solve

import gapfit
from gapfit.active import candidates, greedy
from gapfit.active import select as selection
from gapfit.cli import main
from gapfit.data.dataset import read
from gapfit.data.neighbours import pairs_of
from gapfit.errors import DataError, GapfitError
from gapfit.model.rows import row_block

BY = ("std", "novelty", "d-optimal")
PER = ("atom", "structure")


def calm(n, *, rattle=0.03, seed=0, repeat=1) -> list[Atoms]:
    """Diamond that hardly moves."""
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=True) * (repeat, 1, 1)
        atoms.rattle(rattle, seed=seed + k)
        frames.append(label(atoms))
    return frames


def bare(frames) -> list[Atoms]:
    out = [atoms.copy() for atoms in frames]
    for atoms in out:
        atoms.info.clear()
    return out


@pytest.fixture(scope="module")
def model():
    """A model that knows diamond and nothing else."""
    return gapfit.fit(calm(4), config(n_sparse=12, zeta=4, atom_sigma=0.4))


@pytest.fixture(scope="module")
def varied() -> list[Atoms]:
    """Labelled structures that range from known to unknown."""
    frames = [*calm(4, seed=50), *calm(3, rattle=0.15, seed=60), label(wire())]
    return [*frames, label(slab()), label(cluster())]


@pytest.fixture(scope="module")
def pool(varied):
    return bare(varied)


def candidates_of(model, atoms, *, rows=True, spaces=None):
    frames = read(atoms, model.config.data).frames
    spaces = candidates.spaces_of(model) if spaces is None else spaces
    numbers = range(len(frames))
    return list(candidates.candidates(model, frames, numbers, spaces, rows=rows))


# Against the posterior computed anew ---------------------------------------------------


class Posterior:
    """Covariance of all coefficients by plain inversion, with labels added to it."""

    def __init__(self, model) -> None:
        self.model = model
        self.whitening, R = model.posterior.whitening, model.posterior.R
        self.precision = R.T @ R

    def rows(self, atoms):
        frames = read([atoms], self.model.config.data).frames
        block = row_block(
            frames, self.model.terms, self.model.e0, self.model.config.sigma
        )
        return self.whitening.apply(block.K), block

    def add(self, atoms) -> None:
        phi, block = self.rows(atoms)
        phi = phi / block.sigma[:, None]
        self.precision = self.precision + phi.T @ phi

    def of_forces(self, atoms) -> np.ndarray:
        """Variance of the force vector on each atom."""
        phi, block = self.rows(atoms)
        phi = phi[block.kind == 1]
        inverse = cho_solve(cho_factor(self.precision), phi.T)
        return np.einsum("nm,mn->n", phi, inverse).reshape(-1, 3).sum(axis=1)

    def gain(self, atoms) -> float:
        before = np.linalg.slogdet(self.precision)[1]
        later = Posterior(self.model)
        later.precision = self.precision
        later.add(atoms)
        return 0.5 * (np.linalg.slogdet(later.precision)[1] - before)


def expected(posterior, by, per, atoms) -> float:
    if by == "d-optimal":
        return posterior.gain(atoms) / (len(atoms) if per == "atom" else 1)
    variances = posterior.of_forces(atoms)
    return np.sqrt(variances.max() if per == "atom" else variances.sum())


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("by", ["std", "d-optimal"])
def test_scores_are_those_of_the_posterior_with_the_labels(model, varied, by, per):
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion(by, per, model.n_sparse, [])
    posterior = Posterior(model)
    for pick in (7, 4, 9, 0, 8, 5):
        for own, atoms in zip(found, varied, strict=True):
            wanted = expected(posterior, by, per, atoms)
            # Of what is not looked at in between, several picks are caught up with.
            if own.index != 1 or pick == 5:
                assert judge.score(own) == pytest.approx(wanted, rel=1e-8)
        judge.observe(found[pick])
        posterior.add(varied[pick])


def test_picking_is_like_appending(model, varied):
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion("std", "atom", model.n_sparse, [])
    judge.observe(found[9])
    judge.observe(found[5])
    posterior = Posterior(gapfit.append(model, [varied[9], varied[5]]))
    for own, atoms in zip(found, varied, strict=True):
        wanted = expected(posterior, "std", "atom", atoms)
        assert judge.score(own) == pytest.approx(wanted, rel=1e-8)


def test_many_picks_lose_no_digits(model):
    """Far more labels than coefficients, of which the last are kept by themselves."""
    frames = calm(20, rattle=0.1, seed=70)
    found = candidates_of(model, frames, spaces=[])
    judge = greedy.criterion("std", "structure", model.n_sparse, [])
    posterior = Posterior(model)
    for n in range(1, 20):
        judge.score(found[n])
        judge.observe(found[n])
        posterior.add(frames[n])
    for n in (0, 7, 19):
        wanted = expected(posterior, "std", "structure", frames[n])
        assert judge.score(found[n]) == pytest.approx(wanted, rel=1e-8)


def test_labels_are_of_the_kinds_that_the_model_was_fitted_to(varied):
    settings = config(n_sparse=12)
    settings["data"] |= {"use_forces": False, "use_stress": False}
    model = gapfit.fit(labelled_frames(silicon), settings)
    found = candidates_of(model, varied, spaces=[])
    judge = greedy.criterion("d-optimal", "structure", model.n_sparse, [])
    posterior = Posterior(model)
    for own, atoms in zip(found, varied, strict=True):
        assert len(own.rows.labels) == 1
        assert own.rows.forces.shape == (len(atoms), 3, 3 * len(atoms) + 1)
        assert judge.score(own) == pytest.approx(posterior.gain(atoms), rel=1e-8)


def test_what_lies_outside_is_conditioned_on_what_was_picked(
    model, varied, monkeypatch
):
    for module in (candidates, greedy):
        monkeypatch.setattr(module, "LEAST", 0.0)
    (space,) = candidates.spaces_of(model)
    found = candidates_of(model, varied, rows=False)
    judge = greedy.criterion("novelty", "atom", model.n_sparse, [space])
    frames = read(varied, model.config.data).frames
    descriptor, points = space.descriptor, model.terms[0].sparse[14]
    values = [
        descriptor.environments(pairs_of([frame], descriptor.cutoff))[14].values
        for frame in frames
    ]
    K_mm = descriptor.kernel(points, points)
    K_mm[np.diag_indices(12)] += model.posterior.whitening.jitter[0] * K_mm[0, 0]

    def rest(a, b):
        k_a, k_b = (descriptor.kernel(points, x) for x in (a, b))
        return descriptor.kernel(a, b) - k_a.T @ np.linalg.solve(K_mm, k_b)

    picked = np.zeros((0, values[0].shape[1]))
    for pick in (9, 7, 6):
        noisy = rest(picked, picked) + space.noise * np.eye(len(picked))
        for own, x in zip(found, values, strict=True):
            cross = rest(picked, x)
            left = rest(x, x) - cross.T @ np.linalg.solve(noisy, cross)
            wanted = np.sqrt(np.diag(left).max() / model.terms[0].config.delta ** 2)
            assert judge.score(own) == pytest.approx(wanted, rel=1e-6)
        judge.observe(found[pick])
        picked = np.concatenate([picked, values[pick]])


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("by", BY)
def test_the_best_is_picked_every_time(model, pool, by, per):
    """All scores computed after each pick give the same as bounds."""
    chosen = gapfit.select(model, pool, 6, by=by, per=per)
    found = candidates_of(model, [label(a.copy()) for a in pool], rows=by != "novelty")
    spaces = candidates.spaces_of(model)
    judge = greedy.criterion(by, per, model.n_sparse, spaces)
    before = [judge.score(own) for own in found]
    np.testing.assert_allclose(chosen.alone, np.take(before, chosen.indices), rtol=1e-9)
    for n, score in zip(chosen.indices, chosen.scores, strict=True):
        scores = {own.index: judge.score(own) for own in found}
        assert max(scores, key=scores.get) == n
        assert score == pytest.approx(scores[n], rel=1e-9)
        judge.observe(found.pop([own.index for own in found].index(n)))
    assert chosen.left == pytest.approx(max(map(judge.score, found)), rel=1e-9)


# What is chosen ------------------------------------------------------------------------


@pytest.mark.parametrize("by", BY)
def test_the_unknown_comes_first(model, by):
    """An environment that the sparse points hardly correlate with is no known one."""
    pool = bare([*calm(8, seed=20), label(cluster()), *calm(8, seed=40)])
    chosen = gapfit.select(model, pool, 1, by=by)
    assert chosen.indices.tolist() == [8]
    assert chosen.scores[0] > 2 * chosen.left


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("by", BY)
def test_near_duplicates_are_left(by, per):
    """With labels so exact that what they tell is known."""
    settings = config(n_sparse=12, zeta=4, atom_sigma=0.4)
    settings["sigma"] = {"energy": 1e-4, "forces": 1e-3, "virial": 1e-3}
    model = gapfit.fit(calm(4), settings)
    kinds = bare([*calm(4, rattle=0.2, seed=80), label(wire()), label(slab())])
    pool = []
    for k in range(3):
        for atoms in kinds:
            near = atoms.copy()
            near.rattle(1e-4, seed=k)
            pool.append(near)
    chosen = gapfit.select(model, pool, len(kinds), by=by, per=per)
    assert sorted(chosen.indices % len(kinds)) == list(range(len(kinds)))
    assert np.all(np.diff(chosen.scores) <= 1e-12)
    assert np.all(chosen.scores <= chosen.alone * (1 + 1e-12))


def test_equal_structures_are_left_out(model, pool):
    again = [*pool[:3], *pool, *pool[5:7]]
    chosen = gapfit.select(model, again, 4, labelled=[pool[9], pool[8], pool[8]])
    assert (chosen.n_pool, chosen.n_labelled, chosen.n_repeated) == (15, 2, 5)
    plain = gapfit.select(model, pool[:8], 4)
    first = [again.index(pool[n]) for n in plain.indices]
    assert chosen.indices.tolist() == first
    np.testing.assert_allclose(chosen.scores, plain.scores, rtol=1e-9)


@pytest.mark.parametrize("by", BY)
def test_it_does_not_depend_on_order_batches_and_memory(model, pool, by, monkeypatch):
    plain = gapfit.select(model, pool, 5, by=by)
    order = np.random.default_rng(3).permutation(len(pool))
    other = gapfit.select(model, [pool[n] for n in order], 5, by=by)
    assert order[other.indices].tolist() == plain.indices.tolist()
    np.testing.assert_allclose(other.scores, plain.scores, rtol=1e-9)
    monkeypatch.setattr(candidates, "_BATCH_ATOMS", 1)
    one_by_one = gapfit.select(model, pool, 5, by=by, memory="1 GB")
    assert one_by_one.indices.tolist() == plain.indices.tolist()
    assert one_by_one.n_certain == plain.n_certain == 5


def test_of_a_larger_pool_the_best_are_kept(model):
    pool = bare([*calm(30, rattle=0.1, seed=200), *calm(30, rattle=0.02, seed=300)])
    whole = gapfit.select(model, pool, 10)
    some = gapfit.select(model, pool, 10, memory="1 MB")
    assert whole.n_kept == 60
    assert 10 < some.n_kept < 40
    assert 0 < some.n_certain < 10
    certain = some.indices[: some.n_certain].tolist()
    assert certain == whole.indices[: some.n_certain].tolist()
    with pytest.raises(GapfitError, match=r"only \d+ candidates fit into half of the"):
        gapfit.select(model, pool, 10, memory="100 kB")


@pytest.mark.parametrize("per", PER)
def test_rows_are_computed_of_a_shortlist(model, per, monkeypatch):
    pool = bare([*calm(12), *calm(6, rattle=0.1), *calm(6, rattle=0.04), label(slab())])
    whole = gapfit.select(model, pool, 3, per=per)
    monkeypatch.setattr(selection, "SHORTLIST", 3)
    monkeypatch.setattr(selection, "LEAST_LISTED", 5)
    short = gapfit.select(model, pool, 3, per=per)
    assert (whole.n_listed, short.n_listed) == (25, 9)
    deviations = [p.energies_std for p in model.predict(pool, std="energies")]
    quick = [x.max() if per == "atom" else (x**2).sum() for x in deviations]
    best = np.argsort(quick)[-9:].tolist()
    assert set(short.indices.tolist()) <= set(best)
    among = gapfit.select(model, [pool[n] for n in sorted(best)], 3, per=per)
    assert np.sort(best)[among.indices].tolist() == short.indices.tolist()
    # Where nothing is computed but environments, there is none.
    assert gapfit.select(model, pool, 3, by="novelty").n_listed == 25


def test_large_structures_are_compressed(model, monkeypatch):
    frames = [*calm(3, rattle=0.08, repeat=3, seed=7), *calm(2, rattle=0.15, repeat=2)]
    few = candidates_of(model, frames, spaces=[])
    monkeypatch.setattr(candidates, "MAX_ROWS", 1000)
    every = candidates_of(model, frames, spaces=[])
    assert {len(own.rows.basis) for own in few} == {min(32, model.n_sparse)}
    assert [len(own.rows.basis) for own in every] == [79, 79, 79, 55, 55]
    judges = [greedy.criterion("std", "atom", model.n_sparse, []) for _ in range(2)]
    for n in (0, 3):
        for a, b in zip(few, every, strict=True):
            assert judges[0].score(a) == pytest.approx(judges[1].score(b), rel=1e-6)
        judges[0].observe(few[n])
        judges[1].observe(every[n])


@pytest.mark.parametrize("n_sparse", [70, 40, 20])
def test_forces_left_out_shrink_with_the_rest(n_sparse):
    """Of an atom whose rows are kept by half the variance is that of all."""
    rng = np.random.default_rng(0)
    psi, sigma = rng.normal(size=(61, n_sparse)), np.full(61, 0.1)
    is_force = np.arange(61) > 0
    rows = candidates.compressed(psi, sigma, is_force, np.full(61, True))
    variances = ((0.1 * psi[1:]) ** 2).sum(axis=1).reshape(-1, 3).sum(axis=1)
    kept = ((rows.forces @ rows.basis) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(kept, variances, rtol=1e-10)
    # The best rank: what the labels tell is what the largest singular values tell.
    singular = np.linalg.svd(psi, compute_uv=False)[:32]
    found = np.linalg.svd(rows.labels @ rows.basis, compute_uv=False)
    np.testing.assert_allclose(found, singular, rtol=1e-10)


# Mistakes ------------------------------------------------------------------------------


def test_unknown_species_are_named_with_their_frames(model, pool):
    mixed = Atoms("SiGe", [[0, 0, 0], [2.4, 0, 0]], cell=[9, 9, 9], pbc=True)
    with pytest.raises(DataError, match=r"2 problems") as caught:
        gapfit.select(model, [pool[0], mixed, pool[1], mixed], 1)
    assert "frame 1: contains Ge, which the model does not know (it knows Si)" in str(
        caught.value
    )
    assert "frame 3: contains Ge" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n = 0: give the number of structures, 1 or more"),
        ({"n": 2.5}, "n = 2.5: give"),
        ({"n": 11}, r"n = 11: the pool has 10 structures .*\(10 in all, 0 of them"),
        ({"by": "chance"}, "by = 'chance': it must be one of 'std', 'novelty', 'd-opt"),
        ({"per": "cell"}, "per = 'cell': it must be one of 'atom', 'structure'"),
        ({"memory": "much"}, "memory = 'much': give a number with a unit"),
    ],
)
def test_bad_choices(model, pool, options, message):
    with pytest.raises(GapfitError, match=message):
        gapfit.select(model, pool, **{"n": 2} | options)


def test_models_that_cannot_judge(pool):
    settings = config(n_sparse=12)
    settings["run"] = {"store_posterior": False}
    with pytest.raises(GapfitError, match=r"run\.store_posterior = true"):
        gapfit.select(gapfit.fit(calm(4), settings), pool, 2)
    settings = config() | {"terms": [{"type": "distance_2b", "r_cut": 4.0}]}
    pairs = gapfit.fit(calm(4), settings)
    with pytest.raises(GapfitError, match="the model has no SOAP term"):
        gapfit.select(pairs, pool, 2, by="novelty")
    assert len(gapfit.select(pairs, pool, 2).indices) == 2


# The command ---------------------------------------------------------------------------


@pytest.fixture
def files(model, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("model.npz")
    for n, atoms in enumerate(pool):
        atoms = atoms.copy()
        atoms.info["name"] = f"structure {n}"
        atoms.arrays["colour"] = np.arange(len(atoms))
        atoms.write(f"{n // 6}.xyz", format="extxyz", append=True)
    return ["model.npz", "0.xyz", "1.xyz"]


def test_the_command(model, pool, files, capsys):
    wanted = gapfit.select(model, pool, 4, by="d-optimal")
    options = ["-n", "4", "--by", "d-optimal"]
    written = ["--output", "chosen.extxyz", "--indices", "chosen.txt"]
    assert main(["select", *files, *options, *written]) == 0
    out = capsys.readouterr().out
    assert "structures  10\n  candidates  10\n" in out
    assert "Chosen by d-optimal, per atom" in out
    assert out.endswith("Written\n  chosen.extxyz\n  chosen.txt\n")
    with open("chosen.txt", encoding="utf-8") as stream:
        assert [int(line) for line in stream] == wanted.indices.tolist()
    found = ase.io.read("chosen.extxyz", ":")
    for rank, atoms in enumerate(found):
        n = wanted.indices[rank]
        assert atoms.info["gapfit_rank"] == rank
        assert atoms.info["gapfit_pool_index"] == n
        assert atoms.info["gapfit_score"] == pytest.approx(
            wanted.scores[rank], rel=1e-6
        )
        assert atoms.info["name"] == f"structure {n}"
        assert atoms.arrays["colour"].tolist() == list(range(len(atoms)))
        np.testing.assert_allclose(atoms.positions, pool[n].positions, atol=1e-7)


def test_the_command_in_json(files, capsys):
    argv = ["select", *files, "-n", "2", "--labelled", "1.xyz", "--json"]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_pool"], found["n_labelled"], found["n_kept"]) == (10, 4, 6)
    assert len(found["chosen"]) == 2
    assert found["chosen"][0]["source"].startswith("0.xyz, frame ")
    assert found["chosen"][0]["score"] >= found["chosen"][1]["score"] >= found["left"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing would be written; give --output OUT.extxyz, --indices FILE or"),
        (["--output", "0.xyz"], "0.xyz: is an input and would be replaced"),
        (["--indices", "model.npz"], "model.npz: is an input"),
        (["--output", "out.cif"], "out.cif: ends in '.cif'; give a name"),
        (["--output", "no/out.xyz"], "no/out.xyz: there is no folder no"),
        (["--json", "--memory", "5"], "memory = '5': give a number with a unit"),
    ],
)
def test_bad_arguments(files, capsys, argv, message):
    assert main(["select", *files, "-n", "2", *argv]) == 1
    assert capsys.readouterr().err.startswith(f"gapfit: error: {message}")
