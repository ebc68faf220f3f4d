"""Potentials side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.io import write
from builders import TWO_BODY, config, labelled_frames, sheared, silicon

import gapfit
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.evaluation.comparison import Comparison, compare


@pytest.fixture(scope="module")
def models() -> dict[str, gapfit.GAPModel]:
    frames = labelled_frames(silicon, 6)
    ace = {"type": "ace", "r_cut": 4.0, "n_max": [2, 1], "l_max": [1, 1]}
    more = config() | {"terms": [*config(n_sparse=30)["terms"], TWO_BODY, ace]}
    return {"small": gapfit.fit(frames, config()), "large": gapfit.fit(frames, more)}


@pytest.fixture(scope="module")
def found(models) -> Comparison:
    return compare(models, labelled_frames(sheared, 4))


def test_errors_are_those_of_each_potential_alone(models, found):
    frames = labelled_frames(sheared, 4)
    for name, model in models.items():
        assert found.errors[name] == gapfit.evaluate(model, frames, uncertainty=False)
    assert found.n_structures == 4


def test_only_settings_that_differ_are_listed(models, found):
    small, large = found.settings["small"], found.settings["large"]
    assert small.keys() == large.keys()
    assert large["terms 1.n_sparse"] == 30
    assert (small["terms 2.type"], large["terms 2.type"]) == (None, "distance_2b")
    assert not {"terms 1.r_cut", "sigma.energy", "run.seed"} & small.keys()
    same = compare(
        {"a": models["small"], "b": models["small"]}, labelled_frames(silicon)
    )
    assert same.settings == {"a": {}, "b": {}}
    assert "Settings" not in same.table()


def test_facts_say_what_a_potential_costs(models, found):
    for name, model in models.items():
        facts = found.facts[name]
        assert facts["frames fitted"] == 6
        assert facts["sparse points"] + facts["functions"] == model.n_sparse
        assert facts["cost, µs/atom"] > 0


def test_functions_are_no_sparse_points(models, found):
    n_functions = models["large"].terms[-1].n_sparse
    assert n_functions > 0
    of_models = [facts["functions"] for facts in found.facts.values()]
    assert of_models == [0, n_functions]
    model = models["large"]
    assert (
        f", {model.n_sparse - n_functions} sparse points and {n_functions} functions, "
        in (repr(model))
    )
    assert f">{n_functions} functions, cutoff" in model._repr_html_()


def test_the_table_has_a_star_at_the_least_error_of_each_line(found):
    lines = found.table().splitlines()
    assert lines[0].split() == ["small", "large"]
    start = next(n for n, line in enumerate(lines) if line.startswith("forces, MAE"))
    rows = [line.split()[-2:] for line in lines[start + 1 :]]
    rows = rows[: rows.index([])] if [] in rows else rows
    assert rows
    for row in rows:
        values = [float(cell.lstrip("*")) for cell in row]
        assert row[values.index(min(values))].startswith("*")


def test_one_potential_is_no_comparison(models):
    with pytest.raises(GapfitError, match="at least two"):
        compare({"small": models["small"]}, labelled_frames(silicon))


def test_the_command_names_fits_by_their_folders(models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, model in models.items():
        Path(name).mkdir()
        model.save(Path(name, "model.npz"))
    write("test.extxyz", labelled_frames(sheared, 4))
    argv = ["compare", "small", "large/model.npz", "--data", "test.extxyz"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "4 structures of test.extxyz" in out
    assert "terms 1.n_sparse" in out
    assert main([*argv, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["errors"].keys() == {"small", "large"}
    write("train.extxyz", labelled_frames(silicon, 6))
    gapfit.fit("train.extxyz", config()).save("small/model.npz")
    assert main([*argv[:3], "--data", "train.extxyz"]) == 0
    assert "small was fitted to these data" in capsys.readouterr().out
    Path("x/small").mkdir(parents=True)
    models["large"].save("x/small/model.npz")
    assert main([*argv[:2], "x/small", "--data", "test.extxyz", "--json"]) == 0
    names = json.loads(capsys.readouterr().out)["facts"]
    assert list(names) == [f"{tmp_path.name}/small", "x/small"]
    assert main(["compare", "small", "small/model.npz", "--data", "test.extxyz"]) == 1
    assert "is given twice" in capsys.readouterr().err
