"""Sparse points from lists."""

from __future__ import annotations

import numpy as np
import pytest
from builders import config, labelled_frames, silicon, three_species

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.errors import ConfigError


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
