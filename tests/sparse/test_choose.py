"""Sparse points of all terms: memory, species, quotas."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from builders import STRUCTURES, config, labelled_frames, silicon, three_species
from helpers.sparse_cases import SALT, source_of

import gapfit
from gapfit.config.sections import Distance2bConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.errors import ConfigError
from gapfit.model.terms import build_term, new_basis
from gapfit.sparse import streaming as sparse_stream
from gapfit.sparse.choice_memory import choice_memory
from gapfit.sparse.choose import choose_sparse_points
from gapfit.sparse.methods import select_with_quotas, unique_rows


def chosen(frames, settings, memory, notes=None, base=None):
    parsed = gapfit.config.toml.config_from_dict(settings)
    dataset = as_dataset(frames, parsed)
    terms = [build_term(t, dataset.species, new_basis(t)) for t in parsed.terms]
    note = notes.append if notes is not None else (lambda text: None)
    return choose_sparse_points(
        dataset.frames, terms, 0, lambda *step: None, note, memory=memory
    )


@pytest.mark.parametrize("method", ["cur", "fps", "kmeans", "random"])
@pytest.mark.parametrize("components", ["all", 20])
def test_without_memory_the_points_are_as_many_and_never_twice(method, components):
    frames = labelled_frames(three_species, 12)
    settings = config(n_sparse=15, sparse_method=method, components=components)
    settings["terms"].append({"type": "distance_2b", "r_cut": 4.5})
    notes: list[str] = []
    plenty = chosen(frames, settings, np.inf)
    scarce = chosen(frames, settings, 0, notes)
    for a, b in zip(plenty, scarce, strict=True):
        for block, points in b.sparse.items():
            assert points.shape[1] == a.sparse[block].shape[1]
            assert len(unique_rows(points)) == len(points)
            if method != "kmeans" and a.config.type == "soap":
                assert len(points) == len(a.sparse[block]) == 15
        for block, U in a.projections.items():
            np.testing.assert_allclose(
                U @ U.T, b.projections[block] @ b.projections[block].T, atol=1e-8
            )
    warned = [text for text in notes if "environments, drawn at random, are" in text]
    assert any("[[terms]] 1" in text for text in warned) == (
        method in ("fps", "kmeans")
    )
    assert any(text.startswith("[[terms]] 2: uniform of Sb-Te") for text in warned)


def test_quotas_without_memory():
    frames = labelled_frames(silicon, 6)
    for method in ("cur", "random", "fps"):
        settings = config(
            n_sparse=20, sparse_method=method, config_type_n_sparse={"odd": 15}
        )
        notes: list[str] = []
        term = chosen(frames, settings, 0, notes)[0]
        odd = [structure_arrays(a) for a in frames if a.info["config_type"] == "odd"]
        own = term.descriptor.environments(gapfit.data.neighbours.pairs_of(odd, 4.5))[
            14
        ].values
        near = np.abs(term.sparse[14] @ own.T - 1).min(axis=1) < 1e-12
        assert (near.sum(), len(near)) == (15, 20)


def test_the_granted_memory_decides(caplog):
    settings = config(n_sparse=12, sparse_method="fps")
    gapfit.fit(labelled_frames(silicon, 3), settings)
    assert "drawn at random" not in caplog.text
    few = gapfit.fit(
        labelled_frames(silicon, 3), settings | {"run": {"memory": "0.1 MB"}}
    )
    assert few.n_sparse == 12
    assert "fps of Si: only 12 of 24 environments, drawn at random" in caplog.text
    assert "25% of run.memory" in caplog.text


@pytest.mark.parametrize("method", ["uniform", "random", "cur"])
def test_the_planned_memory_is_that_of_the_choice(method):
    """For many pairs, and where only a part of them may be held."""
    frames = []
    for seed in range(200):
        atoms = silicon()
        atoms.rattle(0.1, seed=seed)
        frames.append(structure_arrays(atoms))
    settings = Distance2bConfig(r_cut=9.0, n_sparse=5, sparse_method=method)
    term = build_term(settings, (14,), {})
    for granted in (4e9, 8e6):
        planned = choice_memory(term, frames, pairs_of(frames[:20], 9.0), granted)
        tracemalloc.start()
        choose_sparse_points(
            frames,
            [term],
            0,
            lambda *step: None,
            lambda text: None,
            memory=0.25 * granted,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0.3 * planned < peak < 1.2 * planned


@pytest.mark.parametrize("memory", ["4 GB", "0.2 MB"])
def test_species_have_numbers_of_their_own(memory):
    numbers = {"Ge": 4, "Te": 9}
    settings = config(n_sparse=6, species_n_sparse=numbers)
    frames = labelled_frames(STRUCTURES["three_species"], 8)
    model = gapfit.fit(frames, settings | {"run": {"memory": memory}})
    sizes = {block: len(points) for block, points in model.terms[0].sparse.items()}
    assert sizes == {32: 4, 51: 6, 52: 9}


@pytest.mark.parametrize("memory", ["4 GB", "0.2 MB"])
@pytest.mark.parametrize(
    ("settings", "none"),
    [
        *(
            ({"sparse_method": method}, "Ge")
            for method in ("cur", "fps", "kmeans", "random")
        ),
        ({"components": 12}, "Ge"),
        ({"config_type_n_sparse": {"a": 2}}, "Ge"),
        ({"type": "distance_2b"}, "Te-Ge"),
        ({"type": "distance_2b", "sparse_method": "fps"}, "Te-Ge"),
        ({"type": "angle_3b", "n_sparse": 2, "r_cut": 4.5}, "Ge-Te-Sb"),
    ],
)
def test_a_number_of_0_leaves_a_part_out(settings, none, memory, caplog):
    frames = labelled_frames(STRUCTURES["three_species"], 8)
    small = {} if settings.get("type") else {"n_max": 3, "l_max": 2}
    term = {"n_sparse": 5, "species_n_sparse": {none: 0}} | small | settings
    model = gapfit.fit(frames, config() | {"terms": [term], "run": {"memory": memory}})
    notes = list(caplog.messages)
    # What is there is chosen as if nothing were left out.
    full = {k: v for k, v in term.items() if k != "species_n_sparse"}
    whole = gapfit.fit(frames, config() | {"terms": [full], "run": {"memory": memory}})
    left, every = model.terms[0].sparse, whole.terms[0].sparse
    (block,) = (b for b in every if len(every[b]) and not len(left[b]))
    name = model.terms[0].descriptor.label(block)
    assert sorted(name.split("-")) == sorted(none.split("-"))
    for other in left.keys() - {block}:
        np.testing.assert_array_equal(left[other], every[other])
    assert not any("[[terms]]" in text and f" {name} " in text for text in notes)


@pytest.mark.parametrize("method", ["cur", "fps", "random"])
def test_quotas_never_give_more_than_wanted(method):
    X = np.random.default_rng(0).normal(size=(300, 20))
    kinds = np.arange(300) % 2
    points = sparse_stream.cur(source_of(X, kinds), {14: 4}, {0: 8}, SALT)[14]
    assert len(points) == 4
    index = select_with_quotas(X, kinds, {0: 8}, 4, method, np.random.default_rng(0))
    assert len(index) == 4


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ({"species_n_sparse": {"Ge": -1}}, '"Ge" = -1 must be >= 0'),
        ({"species_n_sparse": {"Si-Ge": 3}}, '"Si-Ge" must be 1 symbol'),
        ({"species_n_sparse": {"Gee": 3}}, "not a chemical symbol: Gee"),
        (
            {"type": "distance_2b", "species_n_sparse": {"Si-Ge": 3, "Ge-Si": 4}},
            "are the same",
        ),
        (
            {"species_n_sparse": {"Ge": 3}, "config_type_n_sparse": {"a": 5}},
            "at most n_sparse = 3",
        ),
        ({"centres": ["Xx"]}, "not a chemical symbol: Xx"),
    ],
)
def test_numbers_for_species_that_cannot_be(term, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        config_from_dict(config() | {"terms": [term]})


def test_names_of_species_that_are_not_there_are_noted(caplog):
    settings = config() | {
        "terms": [
            {"type": "distance_2b", "species_n_sparse": {"Si-C": 3}},
            {"n_max": 3, "l_max": 2, "n_sparse": 5},
            {"centres": ["C"], "n_max": 3, "l_max": 2},
        ]
    }
    model = gapfit.fit(labelled_frames(silicon, 2), settings)
    assert "[[terms]] 1: species_n_sparse of Si-C have no effect" in caplog.text
    assert "[[terms]] 3: centres of C have no effect" in caplog.text
    assert model.terms[2].n_sparse == 0
    assert np.isfinite(model.predict(silicon(3), std=True).energies_std).all()
