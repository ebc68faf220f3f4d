"""Sparse points from lists, and from more environments than fit into memory."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from conftest import STRUCTURES, config, labelled_frames, silicon, three_species

import gapfit
from gapfit.config.sections import Distance2bConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.errors import ConfigError
from gapfit.model.terms import build_term, new_basis
from gapfit.sparse import streaming as sparse_stream
from gapfit.sparse.choose import choice_memory, choose_sparse_points
from gapfit.sparse.methods import select, select_with_quotas, unique_rows

SALT = {14: 12345}


def clouds(n: int = 600, width: int = 12, seed: int = 0) -> np.ndarray:
    """Return unit rows in a dense cloud, some far ones, and repeated ones."""
    rng = np.random.default_rng(seed)
    X = np.eye(width)[0] + 0.03 * rng.normal(size=(n, width))
    X[: n // 20] = rng.normal(size=(n // 20, width))
    X[-n // 4 :] = X[: n // 4]
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def source_of(X, kinds=None, step: int = 64):
    kinds = np.zeros(len(X), dtype=np.int64) if kinds is None else kinds

    def source():
        for first in range(0, len(X), step):
            part = slice(first, first + step)
            yield {14: (X[part], kinds[part])}

    return source


def indices(points, X):
    return np.array([int(np.argmin(np.abs(X - p).max(axis=1))) for p in points])


def chances(draw, n: int, repeats: int = 400) -> np.ndarray:
    counts = np.zeros(n)
    for seed in range(repeats):
        counts[draw(seed)] += 1
    return counts / repeats


def test_leverage_scores_in_passes_draw_like_those_in_memory():
    X = clouds(200)
    first = unique_rows(X)

    def passes(seed):
        salts = {14: seed * 7919 + 1}
        points = sparse_stream.cur(source_of(X), {14: 30}, {}, salts)[14]
        assert len(unique_rows(points)) == 30
        return indices(points, X)

    a = chances(passes, len(X))[first]
    b = chances(lambda s: select(X, 30, "cur", np.random.default_rng(s)), len(X))[first]
    # Binomial noise of a difference of 400 draws: 0.035 at most.
    assert np.abs(a - b).max() < 0.15
    assert np.sqrt(np.mean((a - b) ** 2)) < 0.035
    assert a.max() > 3 * a.mean()


def test_a_random_subset_in_one_pass_is_uniform_over_distinct_rows():
    X = clouds(200)
    first = unique_rows(X)

    def draw(seed):
        some = sparse_stream.subset(source_of(X), {14: 30}, {}, {14: seed})[14]
        assert not some.complete
        assert some.n_found == len(X)
        points = some.values
        assert len(unique_rows(points)) == len(points) == 30
        return indices(points, X)

    a = chances(draw, len(X))[first]
    assert a.sum() == pytest.approx(30)
    assert np.abs(a - 30 / len(first)).max() < 0.12


def test_a_subset_that_holds_all_says_so():
    X = clouds(200)
    some = sparse_stream.subset(source_of(X), {14: 500}, {}, SALT)[14]
    assert some.complete
    assert len(some.values) == len(unique_rows(X))


def test_a_subset_may_hold_the_ends_of_all_features():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    kinds = np.arange(3000) % 3
    some = sparse_stream.subset(
        source_of(X, kinds), {14: 20}, {1: 5}, SALT, extremes=True
    )[14]
    for own in (kinds == 1, kinds != 1):
        found = some.values[(some.kinds == 1) == own[1]]
        np.testing.assert_array_equal(found.min(axis=0), X[own].min(axis=0))
        np.testing.assert_array_equal(found.max(axis=0), X[own].max(axis=0))
    assert len(unique_rows(some.values)) <= 2 * 20 + 2 * 4


@pytest.mark.parametrize("few", [False, True])
def test_quotas_in_passes(few):
    X = clouds(400)[:300]
    kinds = np.repeat([0, 1, 2], [8 if few else 100, 100, 192 if few else 100])
    points = sparse_stream.cur(source_of(X, kinds), {14: 50}, {0: 20, 2: 5}, SALT)[14]
    found = np.bincount(kinds[indices(points, X)], minlength=3)
    assert found.tolist() == ([8, 37, 5] if few else [20, 25, 5])


def test_the_memory_of_passes_is_bounded():
    n, width = 60_000, 40

    def source():
        for k in range(n // 500):
            rng = np.random.default_rng(k % 100)  # the last ones repeat the first
            yield {14: (rng.normal(size=(500, width)), np.zeros(500, dtype=np.int64))}

    tracemalloc.start()
    points = sparse_stream.cur(source, {14: 200}, {}, SALT)[14]
    some = sparse_stream.subset(source, {14: 500}, {}, SALT)[14]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(points) == 200
    assert not some.complete
    assert len(unique_rows(some.values)) == 500
    # Hashes of all, and a few batches; the descriptors would take 19 MB.
    assert peak < 5e6


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


def listed(tmp_path, text, **term):
    (tmp_path / "points.txt").write_text(text, encoding="utf-8")
    settings = config() | {"e0": {"Si": 0.0, "Ge": 0.0, "Sb": 0.0, "Te": 0.0}}
    settings["terms"] = [{"sparse_method": "file", "sparse_file": "points.txt", **term}]
    return settings


def test_listed_environments(tmp_path, caplog):
    frames = labelled_frames(three_species, 3)
    text = "# frame atom\n2 5\n0 0  # Ge\n\n2 5\n1 2\n"
    settings = listed(tmp_path, text, n_max=5, l_max=4, r_cut=4.5)
    model = gapfit.fit(frames, settings, base=tmp_path)
    term = model.terms[0]
    expected: dict[int, list[np.ndarray]] = {32: [], 51: [], 52: []}
    for frame, atom in ((0, 0), (1, 2), (2, 5)):
        pairs = gapfit.data.neighbours.pairs_of([structure_arrays(frames[frame])], 4.5)
        z = int(frames[frame].numbers[atom])
        found = term.descriptor.environments(pairs)[z]
        expected[z].append(found.values[found.atoms == atom][0])
    for z, rows in expected.items():
        np.testing.assert_allclose(
            term.sparse[z], np.reshape(rows, term.sparse[z].shape), atol=1e-12
        )
    assert "1 repeated points are ignored" in caplog.text
    model.save(tmp_path / "m.npz")
    assert gapfit.load(tmp_path / "m.npz").n_sparse == 3


def test_listed_environments_are_projected(tmp_path):
    settings = listed(tmp_path, "0 0\n1 1\n2 2", components=10, n_max=4, l_max=3)
    model = gapfit.fit(labelled_frames(silicon, 3), settings, base=tmp_path)
    assert model.terms[0].sparse[14].shape == (3, 10)


def test_listed_distances(tmp_path, caplog):
    text = "Te-Ge 2.9\nGe-Te 3.5\nSb-Te 3.0\n"
    settings = listed(tmp_path, text, type="distance_2b", n_sparse=1)
    model = gapfit.fit(labelled_frames(three_species, 2), settings, base=tmp_path)
    sparse = model.terms[0].sparse
    assert sparse[32052].ravel().tolist() == [2.9, 3.5]
    assert sparse[51052].ravel().tolist() == [3.0]
    assert len(sparse[32032]) == 0
    assert "[[terms]] 1: points.txt lists no points of Ge-Ge" in caplog.text


@pytest.mark.parametrize(
    ("kind", "text", "line", "words"),
    [
        ("soap", "0 0\n3 0\n", 2, "there is no frame 3; the 3 training frames"),
        ("soap", "#\n0 8\n", 2, "no atom 8 in frame 0 (frame 0); its 8 atoms"),
        ("soap", "0 -1", 1, "two whole numbers"),
        ("soap", "0 1 2", 1, "two whole numbers"),
        ("soap", "0 a", 1, "two whole numbers"),
        ("distance_2b", "Si-Ge 2.0", 1, "'Si-Ge' is unknown; this term has Si-Si"),
        ("distance_2b", "Si-Si 2.0\nSi-Si 2 3", 2, "expected 1 number"),
        ("distance_2b", "Si-Si", 1, "expected 1 number"),
        ("distance_2b", "Si-Si nan", 1, "expected 1 number"),
        ("distance_2b", "Si-Si x", 1, "expected 1 number"),
        ("distance_2b", "Si-Si 5.1", 1, "must be > 0 and <= r_cut = 5 Å"),
    ],
)
def test_mistakes_in_a_list_are_named_with_their_line(
    tmp_path, kind, text, line, words
):
    settings = listed(tmp_path, text, type=kind)
    with pytest.raises(ConfigError) as caught:
        gapfit.fit(labelled_frames(silicon, 3), settings, base=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'points.txt'}, line {line}: ")
    assert words in str(caught.value)


def test_lists_that_are_none(tmp_path):
    frames = labelled_frames(silicon, 1)
    settings = listed(tmp_path, "# nothing\n")
    with pytest.raises(ConfigError, match="lists no sparse points"):
        gapfit.fit(frames, settings, base=tmp_path)
    (tmp_path / "points.txt").unlink()
    with pytest.raises(ConfigError, match="cannot be read as text"):
        gapfit.fit(frames, settings, base=tmp_path)


@pytest.mark.parametrize("kind", ["soap", "distance_2b"])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"sparse_method": "file"}, "needs sparse_file"),
        ({"sparse_file": "a"}, 'make it "file", or remove sparse_file'),
        (
            {
                "sparse_method": "file",
                "sparse_file": "a",
                "config_type_n_sparse": {"a": 1},
            },
            "remove config_type_n_sparse",
        ),
    ],
)
def test_keys_that_contradict_each_other(kind, keys, words):
    settings = config() | {"terms": [{"type": kind, **keys}]}
    with pytest.raises(ConfigError, match=words):
        gapfit.fit(labelled_frames(silicon, 1), settings)


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
