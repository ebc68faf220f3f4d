"""Candidates of a search, parts of the data, and sizes and times of trials."""

from __future__ import annotations

import numpy as np
import pytest
from builders import labelled_frames, silicon, three_species
from helpers.tuning import settings

from gapfit._support.progress import silent
from gapfit.config.sections import Distance2bConfig, SoapConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.evaluation.speed import timed_cell
from gapfit.fitting.prepare import prepare
from gapfit.model.terms import feature_count, new_terms
from gapfit.search.sizes import TrialSizes
from gapfit.search.space import Space, same_terms
from gapfit.search.subsets import nested_order, part_of, part_sizes


@pytest.mark.parametrize("species", [(14,), (31, 33), (32, 51, 52), (3, 8, 22, 40)])
def test_all_first_candidates_can_be_built(species):
    space = Space.of(5.0, 10_000, len(species))
    recipes = space.start()
    names = [space.words(recipe) for recipe in recipes]
    assert len(set(names)) == len(names) > 8
    for recipe in recipes:
        terms = space.terms(recipe)
        assert all(feature_count(term, species) < 2000 for term in terms[1:])
    assert len(new_terms(space.terms(recipes[0]), species)) >= 2


def test_moves_change_one_value_and_stay_on_the_ladders():
    space = Space.of(5.0, 10_000, 1)
    start = space.start()[3]
    moves = space.moves(start)
    assert len(set(moves)) == len(moves) > 8
    for move in moves:
        assert sum(a != b for a, b in zip(start, move, strict=True)) == 1
        assert not same_terms(space.terms(move), space.terms(start))
        assert start in space.moves(move)


def test_there_are_no_more_sparse_points_than_environments():
    space = Space.of(5.0, 250, 1)
    points = [space.terms(recipe)[0].n_sparse for recipe in space.start()]
    assert max(points) == 250


def test_terms_are_the_same_whatever_their_order_and_deltas():
    space = Space.of(5.0, 10_000, 1)
    soap, pairs, ace = space.terms(space.start()[0])
    changed = ace.model_copy(update={"delta": 9.0, "smoothness": 2.0})
    assert same_terms([soap, pairs, ace], [changed, soap, pairs])
    assert not same_terms([soap, pairs], [soap, pairs, ace])


@pytest.mark.parametrize("species", [1, 3])
def test_the_nearest_recipe_of_its_own_terms_is_a_recipe_itself(species):
    space = Space.of(5.0, 10_000, species)
    for recipe in space.start():
        assert space.nearest(space.terms(recipe)) == recipe


def test_given_terms_have_a_nearest_recipe_if_there_is_soap():
    space = Space.of(5.0, 10_000, 1)
    given = [SoapConfig(n_max=9, l_max=5, r_cut=5.1, n_sparse=600, zeta=4.5)]
    near = space.terms(space.nearest(given))
    assert (near[0].r_cut, near[0].zeta) == (5.0, 4.0)
    assert (near[0].n_max, near[0].l_max) in {(8, 6), (10, 8)}
    assert len(near) == 2
    assert space.nearest([Distance2bConfig()]) is None


def prepared_frames(frames):
    config = config_from_dict(settings())
    return prepare(as_dataset(frames, config), config, ".", silent), config


def test_parts_are_nested_and_have_all_kinds_and_species():
    frames = labelled_frames(silicon, 30)
    mixed = three_species()
    mixed.calc = None
    frames += labelled_frames(three_species, 1)
    data = as_dataset(frames, config_from_dict(settings()))
    order = nested_order(data.frames, seed=1)
    assert sorted(order.tolist()) == list(range(31))
    first = [data.frames[n] for n in order[:6]]
    assert {z for frame in first for z in frame.numbers} == {14, 32, 51, 52}
    kinds = [frame.config_type for frame in first]
    assert min(kinds.count("even"), kinds.count("odd")) >= 2
    assert nested_order(data.frames, seed=1).tolist() == order.tolist()
    assert nested_order(data.frames, seed=2).tolist() != order.tolist()


def test_a_part_keeps_frames_labels_and_energies_of_atoms():
    prepared, _ = prepared_frames(labelled_frames(silicon, 6))
    part = part_of(prepared, np.array([4, 1]))
    assert [frame.energy for frame in part.given] == [
        prepared.given[n].energy for n in (1, 4)
    ]
    assert part.e0 == prepared.e0


def test_parts_grow_by_the_same_factor():
    for n in (2, 59, 60, 214, 7367, 10**6):
        sizes = part_sizes(n, 60 * n, 2)
        assert sizes[-1] == n
        assert len(sizes) <= 4
        ratios = np.divide(sizes[1:], sizes[:-1])
        assert ((ratios > 2.9) & (ratios < 9.1)).all()


@pytest.mark.parametrize(
    ("n_atoms", "n_types"), [(900, 2), (13_000, 60)], ids=["small", "diverse"]
)
def test_small_and_diverse_sets_have_no_parts(n_atoms, n_types):
    assert part_sizes(213, n_atoms, n_types) == [213]


def test_work_and_operations_grow_with_the_candidate():
    prepared, config = prepared_frames(labelled_frames(silicon, 6))
    space = Space.of(4.0, 40, 1)
    sizes = TrialSizes([part_of(prepared, np.arange(2)), prepared])
    recipes = space.start()
    cheap, dear = (
        config.model_copy(update={"terms": space.terms(recipe)})
        for recipe in (recipes[0], recipes[-1])
    )
    assert sizes.operations("dear", dear) > 2 * sizes.operations("cheap", cheap)
    assert sizes.work("dear", 1, dear) > sizes.work("cheap", 1, cheap)
    assert sizes.work("dear", 1, dear) > sizes.work("dear", 0, dear)


def test_the_timed_cell_is_the_largest_repeated():
    small, large = (
        structure_arrays(silicon(1)),
        structure_arrays(silicon(2) * (2, 1, 1)),
    )
    cell = timed_cell([small, large])
    assert 200 <= cell.n_atoms <= 400
    # Every atom sees what it sees in the frame that is repeated.
    expected, repeated = (pairs_of([f], 4.0) for f in (large, cell))
    assert len(repeated.i) == len(expected.i) * cell.n_atoms // large.n_atoms
