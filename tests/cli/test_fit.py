"""`gapfit fit`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from helpers.commands import CONFIG, error_of

import gapfit
from gapfit.cli import main
from gapfit.config.toml import load_config
from gapfit.evaluation.evaluate import evaluate
from gapfit.threads import native_threads


def test_fit_writes_everything(fitted):
    assert sorted(p.name for p in fitted.iterdir()) == [
        "fit.log",
        "fit.toml",
        "metrics.json",
        "model.npz",
        "report",
        "report.html",
    ]
    metrics = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["train"]["all"]["energy"]["n"] == 9
    assert metrics["test"]["bulk_rattled"]["energy"]["unit"] == "meV/atom"
    assert metrics["test"]["all"]["forces"]["rmse"] < 2.0
    assert set(metrics["timings"]) >= {"read", "rows", "solve", "evaluate", "total"}
    assert metrics["fit"]["n_rows"]["energy"] == 9
    assert set(metrics["memory"]) == {"peak_bytes", "planned_bytes", "stages"}
    assert metrics["memory"]["stages"]["rows"] <= metrics["memory"]["peak_bytes"]
    log = (fitted / "fit.log").read_text(encoding="utf-8")
    for text in (
        f"gapfit {gapfit.__version__}",
        "n_sparse = 12",
        "Plan",
        "timings, s:",
        "peak memory: ",
    ):
        assert text in log


def test_fit_prints_plan_progress_errors_and_next_command(here, capsys):
    assert main(["fit", "fit.toml", "--output", "out put"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    out = captured.out
    assert "\x1b" not in out
    assert re.search(r"^  frames +9 \(2 more to test\)$", out, re.MULTILINE)
    assert re.search(r"^  rows +\d+ \(energy 9, forces \d+, virial 36\)$", out, re.M)
    assert re.search(r"^  sparse points +12$", out, re.MULTILINE)
    assert re.search(r"^  memory +about (\d+ [kM]B|\d+\.\d GB)$", out, re.MULTILINE)
    stages = re.findall(r"^  (\w[\w ]+?) +done in \d", out, re.MULTILINE)
    assert stages == [
        "environments",
        "sparse points",
        "rows",
        "solve",
        "projections",
        "calibrate",
        "evaluate",
        "uncertainty",
        "report",
    ]
    assert "Errors, train data" in out
    assert "Errors, test data" in out
    assert out.endswith(
        "\nNext\n  gapfit info 'out put/model.npz'\n"
        "  gapfit predict 'out put/model.npz' structures.xyz --output out.extxyz\n"
    )


def test_resolved_configuration_gives_the_same_model(fitted, tmp_path, capsys):
    resolved = load_config(fitted / "fit.toml")
    assert Path(resolved.data.train[0]).is_absolute()
    assert main(["fit", str(fitted / "fit.toml"), "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    again, before = (gapfit.load(p / "model.npz") for p in (tmp_path, fitted))
    for one, other in zip(again.terms, before.terms, strict=True):
        np.testing.assert_array_equal(one.coefficients[14], other.coefficients[14])


def test_fit_json_prints_json_only(here, capsys):
    assert main(["fit", "fit.toml", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["train"]["all"]["energy"]["n"] == 9
    assert "Plan" in captured.err
    assert Path("fit-model/metrics.json").read_text(encoding="utf-8") == captured.out


def test_fit_does_not_replace_a_configuration_of_the_user(here, capsys):
    Path("other.toml").write_text(CONFIG, encoding="utf-8")
    assert error_of(capsys, "fit", "other.toml", "--output", ".") == (
        "fit.toml: was not written by `gapfit fit` and would be replaced; "
        "choose another folder with --output"
    )
    assert main(["fit", "fit.toml", "--output", "."]) == 0
    assert Path("fit.toml").read_text(encoding="utf-8") == CONFIG
    assert Path("model.npz").is_file()


def test_fit_refuses_a_file_as_output_folder(here, capsys):
    message = error_of(capsys, "fit", "fit.toml", "--output", "train.xyz")
    assert message.startswith("train.xyz: is a file where the output folder should be")


@pytest.mark.parametrize("name", ["model.npz", "metrics.json", "fit.log", "fit.toml"])
def test_fit_refuses_a_folder_in_place_of_a_result(here, capsys, name):
    Path("out", name).mkdir(parents=True)
    assert error_of(capsys, "fit", "fit.toml", "--output", "out") == (
        f"out/{name}: is a folder where a file is to be written; remove it, or choose "
        "another folder with --output"
    )
    assert [p.name for p in Path("out").iterdir()] == [name]


def test_fit_of_data_says_how_to_make_a_configuration(here, capsys):
    assert error_of(capsys, "fit", "train.xyz") == (
        "train.xyz: contains structures, not a configuration; `gapfit init train.xyz` "
        "writes a configuration for them"
    )


@pytest.mark.parametrize("number", ["0", "-1", "x", "5000"])
def test_fit_refuses_numbers_of_workers(here, capsys, number):
    with pytest.raises(SystemExit):
        main(["fit", "fit.toml", "--workers", number])
    assert f"--workers: {number}: give a number from 1" in capsys.readouterr().err


def test_fit_lists_all_problems_of_the_configuration(here, capsys):
    Path("fit.toml").write_text(CONFIG + "zetta = 2\nlmax = 3\n", encoding="utf-8")
    assert error_of(capsys, "fit", "fit.toml").split("\n") == [
        "fit.toml, line 10: [[terms]] 1: unknown key `zetta`; did you mean `zeta`?",
        "  fit.toml, line 11: [[terms]] 1: unknown key `lmax`; did you mean `l_max`?",
        "  see https://github.com/gapfit/gapfit/blob/main/docs/faq.md#unknown-key",
    ]
    assert not Path("fit-model").exists()


def test_fit_refuses_test_data_with_new_species(here, capsys):
    frames = ase.io.read("test.xyz", ":")
    frames[0].numbers[0] = 32
    ase.io.write("test.xyz", frames, format="extxyz")
    assert error_of(capsys, "fit", "fit.toml").startswith(
        "the test data contain Ge, which the training data do not"
    )


def test_errors_are_computed_with_the_threads_of_the_fit(here, monkeypatch):
    used = []

    def watched(*arguments, **options):
        with native_threads() as n_threads:
            used.append(n_threads)
        return evaluate(*arguments, **options)

    monkeypatch.setattr("gapfit.evaluation.evaluate.evaluate", watched)
    path = here / "fit.toml"
    path.write_text(path.read_text("utf-8") + "\n[run]\nthreads = 3\n", "utf-8")
    assert main(["fit", "fit.toml", "--no-report"]) == 0
    assert used == [3, 3]


def test_failed_fit_leaves_a_log_and_no_model(here, capsys, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("gapfit.fitting.fit.fit", broken)
    message = error_of(capsys, "fit", "fit.toml")
    assert message == (
        "unexpected ZeroDivisionError: of all things; this is a bug in gapfit: "
        "run again with --debug and report it"
    )
    log = Path("fit-model/fit.log").read_text(encoding="utf-8")
    assert "Plan" in log
    assert "Traceback" in log
    assert [p.name for p in Path("fit-model").iterdir()] == ["fit.log"]


@pytest.mark.parametrize("argv", [["--debug", "info", "x"], ["info", "x", "--debug"]])
def test_debug_shows_the_traceback(capsys, argv):
    assert main(argv) == 1
    message = capsys.readouterr().err
    assert message.startswith("Traceback")
    assert "\ngapfit: error: x: there is no such model file\n" in message


def test_interrupt(capsys, monkeypatch):
    def interrupted(_path):
        raise KeyboardInterrupt

    monkeypatch.setattr("gapfit.model.storage.load", interrupted)
    assert main(["info", "x"]) == 130
    assert capsys.readouterr().err == "gapfit: interrupted\n"


def test_plan_prints_memory_and_time_and_does_nothing(here, capsys):
    assert main(["fit", "fit.toml", "--plan"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  tasks +1$", out, re.MULTILINE)
    assert re.search(r"^  memory +about (\d+ MB|\d+\.\d GB)$", out, re.MULTILINE)
    assert re.search(r"^  time +(a few seconds|about \d+ s)$", out, re.MULTILINE)
    assert not Path("fit-model").exists()


def test_plan_tells_what_a_device_does_without_one(here, capsys):
    text = Path("fit.toml").read_text()
    Path("gpu.toml").write_text(text + '\n[run]\ndevice = "cuda:7"\n')
    assert main(["fit", "gpu.toml", "--plan"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"^  device +cuda:7: rows and their sums, .*up to 6.0? GB", out, re.M
    )
    assert re.search(r"^  time .*, without the device$", out, re.MULTILINE)
    assert main(["fit", "fit.toml", "--plan"]) == 0
    assert "device" not in capsys.readouterr().out


BASELINE = """
sparse_method = "file"
sparse_file = "points.txt"
[baseline]
table = "pairs.txt"
calculator = "ase.calculators.lj:LennardJones"
[baseline.calculator_options]
sigma = 2.0
epsilon = 0.1
rc = 5.0
"""


def test_baseline_and_list_beside_the_configuration(here, capsys, monkeypatch):
    text = (here / "fit.toml").read_text() + BASELINE
    (here / "fit.toml").write_text(text, encoding="utf-8")
    message = error_of(capsys, "check", "fit.toml")
    assert message.startswith("no such file: pairs.txt")
    assert "points.txt (" in message
    points = "\n".join(f"{r} {4 - r}" for r in (1, 1.5, 2, 2.5, 3, 4))
    (here / "pairs.txt").write_text(f"Si-Si\n{points}\nC-X\n")
    (here / "points.txt").write_text("0 0\n1 0\n3 a\n")
    message = error_of(capsys, "check", "fit.toml")
    assert "pairs.txt, line 8: 'C-X': 'X' is not a chemical symbol" in message
    assert "points.txt, line 3: expected two whole numbers" in message
    (here / "pairs.txt").write_text(f"Si-Si\n{points}\n")
    (here / "points.txt").write_text("0 0\n1 0\n3 0\n")
    assert main(["check", "fit.toml"]) == 0
    monkeypatch.chdir(here.parent)
    assert main(["fit", str(here / "fit.toml")]) == 0
    assert re.search(r"^  sparse points +3$", capsys.readouterr().out, re.MULTILINE)
    again = load_config(here / "fit-model" / "fit.toml")
    assert again.baseline.table == str(here / "pairs.txt")
    assert again.terms[0].sparse_file == str(here / "points.txt")
    assert main(["info", str(here / "fit-model" / "model.npz")]) == 0
    assert (
        "table of Si-Si, ase.calculators.lj:LennardJones (imported and called at "
        "prediction)"
    ) in capsys.readouterr().out
