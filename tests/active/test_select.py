"""The choice of structures to label: what it promises, against slower ways."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import cluster, config, label, slab, wire
from helpers.selection import PER, bare, calm, candidates_of

import gapfit
from gapfit.active import candidates, greedy
from gapfit.active.shortlist import energy_variances, shortlisted
from gapfit.data.frame import structure_arrays
from gapfit.errors import DataError, GapfitError
from gapfit.testing import SAME_POSTERIOR

BY = ("std", "novelty", "d-optimal")


@pytest.fixture(scope="module")
def pool(varied):
    return bare(varied)


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("by", BY)
def test_the_best_is_picked_every_time(model, pool, by, per):
    """All scores computed after each pick give the same as bounds."""
    chosen = gapfit.select(model, pool, 6, by=by, per=per)
    found = candidates_of(model, [label(a.copy()) for a in pool], rows=by != "novelty")
    spaces = candidates.spaces_of(model)
    judge = greedy.criterion(by, per, model.n_sparse, spaces)
    before = [judge.score(own) for own in found]
    SAME_POSTERIOR.check(chosen.alone, np.take(before, chosen.indices))
    for n, score in zip(chosen.indices, chosen.scores, strict=True):
        scores = {own.index: judge.score(own) for own in found}
        assert max(scores, key=scores.get) == n
        SAME_POSTERIOR.check(score, scores[n])
        judge.observe(found.pop([own.index for own in found].index(n)))
    SAME_POSTERIOR.check(chosen.next_score, max(map(judge.score, found)))


@pytest.mark.parametrize("by", BY)
def test_the_unknown_comes_first(model, by):
    """An environment that the sparse points hardly correlate with is no known one."""
    pool = bare([*calm(8, seed=20), label(cluster()), *calm(8, seed=40)])
    chosen = gapfit.select(model, pool, 1, by=by)
    assert chosen.indices.tolist() == [8]
    assert chosen.scores[0] > 2 * chosen.next_score


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
    SAME_POSTERIOR.check(chosen.scores, plain.scores)


@pytest.mark.parametrize("by", BY)
def test_it_does_not_depend_on_order_and_memory(model, pool, by):
    plain = gapfit.select(model, pool, 5, by=by)
    order = np.random.default_rng(3).permutation(len(pool))
    other = gapfit.select(model, [pool[n] for n in order], 5, by=by)
    assert order[other.indices].tolist() == plain.indices.tolist()
    SAME_POSTERIOR.check(other.scores, plain.scores)
    small = gapfit.select(model, pool, 5, by=by, memory="1 GB")
    assert small.indices.tolist() == plain.indices.tolist()
    assert small.n_certain == plain.n_certain == 5


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
def test_a_shortlist_has_the_largest_variances_of_energies(model, per):
    pool = bare([*calm(12), *calm(6, rattle=0.1), *calm(6, rattle=0.04), label(slab())])
    frames = [structure_arrays(atoms) for atoms in pool]
    deviations = [p.energies_std for p in model.predict(pool, std="energies")]
    quick = [x.max() if per == "atom" else (x**2).sum() for x in deviations]
    indices = list(range(1, 25))
    for sizes, length in (((3, 5), 9), ((2, 8), 8), ((8, 5), 24)):
        per_pick, least = sizes
        found = shortlisted(
            model, frames, indices, 3, per, per_pick=per_pick, least=least
        )
        best = sorted(indices, key=lambda n: quick[n])[-length:]
        assert found == sorted(best)


def test_variances_of_energies_of_one_structure_at_a_time(model, varied):
    frames, indices = [structure_arrays(atoms) for atoms in varied], (5, 0, 9)
    together, alone = (
        energy_variances(model, frames, indices, batch_atoms=n) for n in (10**6, 1)
    )
    for x, y in zip(together, alone, strict=True):
        SAME_POSTERIOR.check(x, y)


def test_rows_are_computed_of_a_shortlist(model):
    pool = [Atoms("Si2", [[0, 0, 0], [2.3 + 5e-4 * n, 0, 0]]) for n in range(1010)]
    chosen = gapfit.select(model, pool, 2)
    assert (chosen.n_pool, chosen.n_listed) == (1010, 1000)
    frames = [structure_arrays(atoms) for atoms in pool]
    listed = shortlisted(model, frames, range(1010), 2, "atom")
    among = gapfit.select(model, [pool[n] for n in listed], 2)
    assert np.take(listed, among.indices).tolist() == chosen.indices.tolist()
    # Where nothing is computed but environments, there is none.
    assert gapfit.select(model, pool, 2, by="novelty").n_listed == 1010


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
