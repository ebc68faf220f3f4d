"""The command line, from data to predictions, and what it says when things go wrong."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import ase.io
import numpy as np
import pytest

import gapfit
from gapfit.cli import main
from gapfit.cli._console import Console, Stages, duration
from gapfit.config.toml import load_config

SILICON = Path(__file__).resolve().parent.parent / "data" / "silicon" / "train.extxyz"
CONFIG = """\
[data]
train = "train.xyz"
test = "test.xyz"
check_stress = false
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 12
"""


def frames_of(config_type, count):
    every = ase.io.read(SILICON, ":")
    return [a for a in every if a.info["config_type"] == config_type][:count]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a little silicon and a configuration."""
    folder = tmp_path_factory.mktemp("silicon")
    rattled = frames_of("bulk_rattled", 6)
    others = [("isolated_atom", 1), ("liquid", 2), ("dimer", 2)]
    train = [atoms for kind, count in others for atoms in frames_of(kind, count)]
    ase.io.write(folder / "train.xyz", [*train, *rattled[:4]], format="extxyz")
    ase.io.write(folder / "test.xyz", rattled[4:], format="extxyz")
    (folder / "fit.toml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fitted(data):
    """The folder of a finished fit."""
    assert main(["fit", str(data / "fit.toml")]) == 0
    return data / "fit-model"


@pytest.fixture
def here(data, tmp_path, monkeypatch):
    """A fresh working folder with the same files."""
    for name in ("train.xyz", "test.xyz", "fit.toml"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(capsys, *argv):
    """Run a command that fails with bad input and return its message."""
    assert main(list(argv)) == 1
    message = capsys.readouterr().err
    assert message.startswith("gapfit: error: ")
    assert "Traceback" not in message
    return message.removeprefix("gapfit: error: ").strip()


def gapfit_process(*argv, **options):
    code = "import sys; from gapfit.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


# Starting up ---------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from gapfit.cli import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print(sorted({'numpy', 'scipy', 'ase', 'dscribe', 'pydantic',"
        " 'rich'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for command in ("init", "check", "fit", "select", "evaluate", "predict", "info"):
        assert re.search(rf"^ +{command} +\w", done.stdout, re.MULTILINE)


def test_help_lists_the_commands_under_headings(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    groups = {
        heading: re.findall(r"^  ([a-z-]+) +\w.*$", lines, re.MULTILINE)
        for heading, lines in re.findall(r"^(\w+):\n((?:  .+\n)+)", text, re.MULTILINE)
    }
    del groups["options"]
    assert groups == {
        "data": ["init", "check"],
        "fit": ["fit", "tune", "append", "refit", "calibrate", "learn"],
        "model": ["info", "evaluate", "report", "properties", "cite"],
        "use": ["predict", "select", "serve"],
        "exchange": ["convert", "export-lammps", "lammps"],
    }
    assert max(map(len, text.splitlines())) <= 88


def test_the_usage_of_a_command_begins_with_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["info", "--help"])
    assert capsys.readouterr().out.startswith("usage: gapfit info [-h]")


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gapfit {gapfit.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fitt"], "invalid choice: 'fitt'"),
        (["fit"], "the following arguments are required: CONFIG"),
        (["predict", "model.npz", "a.xyz"], "required: --output"),
        (["info", "model.npz", "--frob"], "unrecognized arguments: --frob"),
    ],
)
def test_wrong_usage(capsys, argv, message):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


# init ----------------------------------------------------------------------------------


def test_init_writes_a_configuration_for_the_data(here, capsys):
    argv = ["init", "train.xyz", "--test", "test.xyz", "--output", "sub/new.toml"]
    assert error_of(capsys, *argv) == (
        "sub/new.toml: there is no folder sub; make it first"
    )
    Path("sub").mkdir()
    assert main(argv) == 0
    config = load_config("sub/new.toml")
    assert config.data.train == ["../train.xyz"]
    assert config.data.test == ["../test.xyz"]
    assert config.e0.method == "isolated"
    assert 4.5 <= config.terms[0].r_cut <= 5.6
    n_atoms = sum(len(atoms) for atoms in ase.io.read("train.xyz", ":"))
    assert 0.9 * min(n_atoms, 500) <= config.terms[0].n_sparse <= n_atoms
    text = Path("sub/new.toml").read_text(encoding="utf-8")
    assert "# config_types (frames): bulk_rattled (4), dimer (2), isolated_atom" in text
    assert "# [sigma.config_types.dimer]\n# energy = 0.01 " in text
    out = capsys.readouterr().out
    assert "  frames   9\n" in out
    assert out.endswith(
        "Wrote sub/new.toml. Next:\n  gapfit check sub/new.toml\n"
        "  gapfit tune sub/new.toml\n"
        "  gapfit fit sub/new.toml\n"
    )


def test_init_keeps_an_existing_file(here, capsys):
    message = error_of(capsys, "init", "train.xyz")
    assert message.startswith("fit.toml: exists already;")
    argv = ["init", "train.xyz", "--output", "train.xyz", "--force"]
    assert error_of(capsys, *argv).startswith("train.xyz: is an input")
    assert Path("fit.toml").read_text(encoding="utf-8") == CONFIG
    assert main(["init", "train.xyz", "--force"]) == 0
    assert load_config("fit.toml").data.test == []


def test_init_without_isolated_atoms(here, capsys):
    assert main(["init", "test.xyz", "--force"]) == 0
    assert load_config("fit.toml").e0.method == "least_squares"
    assert "# WARNING: the data hold no energy of an isolated atom of Si." in (
        Path("fit.toml").read_text(encoding="utf-8")
    )
    assert "no energy of an isolated atom of Si" in capsys.readouterr().out


def test_init_lists_missing_files_together(here, capsys):
    assert error_of(capsys, "init", "a.xyz", "--test", "b.xyz", "--force") == (
        f"no such file: a.xyz ({here / 'a.xyz'}), b.xyz ({here / 'b.xyz'}); "
        "correct the path"
    )


# Labels of unusual names ---------------------------------------------------------------


def rename_labels(name):
    """Give the labels in a file names that nobody would guess; return options."""
    frames = ase.io.read(name, ":")
    for atoms in frames:
        atoms.info["E_pbe"] = atoms.get_potential_energy()
        atoms.arrays["F_pbe"] = atoms.get_forces()
        atoms.info["origin"] = atoms.info.pop("config_type")
        atoms.calc = None
    ase.io.write(name, frames, format="extxyz")
    return [
        *("--energy-key", "E_pbe"),
        *("--forces-key", "F_pbe"),
        *("--config-type-key", "origin"),
    ]


def test_init_and_check_take_the_names_of_labels(here, capsys):
    options = rename_labels("train.xyz")
    assert rename_labels("test.xyz") == options
    for command in (["init", "--force"], ["check"]):
        message = error_of(capsys, *command, "train.xyz")
        assert message.startswith("there are neither energies nor forces in 9 frames; ")
        assert message.endswith("; name them with --energy-key and --forces-key")
    assert main(["check", "train.xyz", "--no-stress", *options]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  energy +E_pbe +9 +9$", out, re.MULTILINE)
    assert re.search(r"^  dimer +2 +4 ", out, re.MULTILINE)
    assert out.endswith(f"  gapfit init train.xyz {' '.join(options)}\n")
    assert main(["init", "train.xyz", "--test", "test.xyz", "--force", *options]) == 0
    config = load_config("fit.toml").data
    assert (config.energy_key, config.forces_key) == ("E_pbe", "F_pbe")
    assert config.config_type_key == "origin"
    assert config.stress_key is None
    assert main(["check", "fit.toml", "--no-stress"]) == 0


def test_wrong_name_of_a_label(here, capsys):
    message = error_of(capsys, "check", "train.xyz", "--energy-key", "enrgy")
    assert message.startswith(
        "--energy-key = 'enrgy': none of the 9 frames has this label; "
        "the nearest label is 'energy'; "
    )
    assert message.endswith("; correct --energy-key, or leave it out")
    assert error_of(capsys, "check", "fit.toml", "--stress-key", "s") == (
        "--stress-key is for data files; give stress_key under [data] in fit.toml "
        "instead"
    )


def test_evaluate_takes_the_names_of_labels(fitted, here, capsys):
    model = str(fitted / "model.npz")
    assert main(["evaluate", model, "test.xyz", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    options = rename_labels("test.xyz")
    assert main(["evaluate", model, "test.xyz", "--json", *options]) == 0
    metrics = json.loads(capsys.readouterr().out)
    for kind in ("energy", "forces"):
        found, wanted = (m["bulk_rattled"][kind]["rmse"] for m in (metrics, expected))
        assert found == pytest.approx(wanted, rel=1e-4)
    assert "--energy-key" in error_of(capsys, "evaluate", model, "test.xyz")


# check ---------------------------------------------------------------------------------


def test_check_prints_the_whole_report(here, capsys):
    assert main(["check", "train.xyz", "--no-stress"]) == 0
    out = capsys.readouterr().out
    isolated = frames_of("isolated_atom", 1)[0].get_potential_energy()
    assert f"  e0       Si {isolated:.6f} eV\n" in out
    assert re.search(r"^  energy +energy +9 +9$", out, re.MULTILINE)
    assert re.search(r"^  stress +stress +6 +36  3 frames without", out, re.MULTILINE)
    assert re.search(r"^  dimer +2 +4 .* 1\.\d\d$", out, re.MULTILINE)
    assert "These data can be fitted. Next:\n  gapfit init train.xyz\n" in out


def test_check_of_a_configuration_lists_the_errors_of_all_its_data(here, capsys):
    assert main(["check", "fit.toml"]) == 0
    out = capsys.readouterr().out
    assert "\ntrain: train.xyz\n" in out
    assert "\ntest: test.xyz\n" in out
    assert out.endswith("Next:\n  gapfit fit fit.toml\n")
    for name in ("train.xyz", "test.xyz"):
        broken = ase.io.read(name, ":")
        broken[-1].calc.results["energy"] = np.nan
        ase.io.write(name, broken, format="extxyz")
    message = error_of(capsys, "check", "fit.toml")
    assert "train.xyz, frame 8" in message
    assert "test.xyz, frame 1" in message


def test_check_without_isolated_atoms(here, capsys):
    assert main(["check", "test.xyz", "--no-stress"]) == 0
    out = capsys.readouterr().out
    assert (
        "  - no energy of an isolated atom of Si: `gapfit init` will propose least "
        "squares over the compositions for [e0]"
    ) in out
    assert out.endswith("These data can be fitted. Next:\n  gapfit init test.xyz\n")
    Path("fit.toml").write_text('[data]\ntrain = "test.xyz"\n[[terms]]\n')
    message = error_of(capsys, "check", "fit.toml")
    assert message.startswith("no energy of the isolated atom for Si")


def test_check_refuses_isolated_atoms_that_disagree(here, capsys):
    frames = ase.io.read("train.xyz", ":")
    lone = next(atoms for atoms in frames if len(atoms) == 1)
    lone.calc.results["energy"] += 1.0
    ase.io.write("train.xyz", [*ase.io.read("train.xyz", ":"), lone], format="extxyz")
    assert "isolated atoms disagree" in error_of(capsys, "check", "train.xyz")


def test_check_refuses_test_data_with_new_species(here, capsys):
    frames = ase.io.read("test.xyz", ":")
    frames[1].numbers[0] = 32
    ase.io.write("test.xyz", frames, format="extxyz")
    assert error_of(capsys, "check", "fit.toml") == (
        "the test data contain Ge, which the training data do not (frame 1 of "
        "test.xyz): no prediction is possible; add such frames to data.train or "
        "remove them"
    )


@pytest.mark.parametrize("command", ["fit", "check"])
def test_missing_files_of_all_parts_are_listed(here, capsys, command):
    Path("sub").mkdir()
    Path("sub/fit.toml").write_text(CONFIG, encoding="utf-8")
    assert error_of(capsys, command, "sub/fit.toml") == (
        f"no such file: train.xyz ({here / 'sub/train.xyz'}), test.xyz "
        f"({here / 'sub/test.xyz'}); correct the path (relative paths refer to the "
        "folder of the configuration file)"
    )
    assert [p.name for p in Path("sub").iterdir()] == ["fit.toml"]


def test_check_takes_one_configuration_only(here, capsys):
    assert error_of(capsys, "check", "fit.toml", "train.xyz") == (
        "give either data files or one configuration, not both: fit.toml, train.xyz"
    )


def test_stress_warnings_are_printed(here, capsys, monkeypatch):
    seen = []

    def stress_warnings(frames, e0):
        seen.append((len(frames), e0))
        return ["stress of bulk_rattled has the opposite sign"]

    fake = types.ModuleType("gapfit.fitting.stress_check")
    fake.stress_warnings = stress_warnings
    monkeypatch.setitem(sys.modules, "gapfit.fitting.stress_check", fake)
    assert main(["check", "train.xyz"]) == 0
    assert "- stress of bulk_rattled has the opposite sign" in capsys.readouterr().out
    assert seen[0][0] == 9
    assert main(["check", "train.xyz", "--no-stress"]) == 0
    assert len(seen) == 1


# fit -----------------------------------------------------------------------------------


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
    assert re.search(r"^  memory +about \d+ [kM]B$", out, re.MULTILINE)
    stages = re.findall(r"^  (\w[\w ]+?) +done in \d", out, re.MULTILINE)
    assert stages == [
        "environments",
        "sparse points",
        "rows",
        "solve",
        "shortcuts",
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
        "train.xyz: holds structures, not a configuration; `gapfit init train.xyz` "
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
    ]
    assert not Path("fit-model").exists()


def test_fit_refuses_test_data_with_new_species(here, capsys):
    frames = ase.io.read("test.xyz", ":")
    frames[0].numbers[0] = 32
    ase.io.write("test.xyz", frames, format="extxyz")
    assert error_of(capsys, "fit", "fit.toml").startswith(
        "the test data contain Ge, which the training data do not"
    )


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


# evaluate, predict, info ---------------------------------------------------------------


def test_evaluate(fitted, data, capsys):
    model, test = str(fitted / "model.npz"), str(data / "test.xyz")
    assert main(["evaluate", model, test]) == 0
    assert re.search(r"^bulk_rattled", capsys.readouterr().out, re.MULTILINE)
    assert main(["evaluate", model, test, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    stored = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))["test"]
    assert metrics == stored  # a model read back predicts the same to the last bit


def test_evaluate_missing_files(fitted, data, capsys):
    assert error_of(capsys, "evaluate", "no.npz", "a.xyz") == (
        "no.npz: there is no such model file"
    )
    message = error_of(capsys, "evaluate", str(fitted / "model.npz"), "no.xyz")
    assert message == (
        f"no such file: no.xyz ({Path.cwd() / 'no.xyz'}); correct the path"
    )


def test_predict(fitted, data, tmp_path, capsys):
    out = tmp_path / "out.extxyz"
    model, test = str(fitted / "model.npz"), str(data / "test.xyz")
    assert main(["predict", model, test, "--output", str(out), "--std"]) == 0
    assert capsys.readouterr().out.endswith(f"to {out}\n")
    expected = gapfit.load(model).predict(ase.io.read(test, 0), std=True)
    [found, *_] = ase.io.read(out, ":")
    assert found.info["config_type"] == "bulk_rattled"
    assert found.get_potential_energy() == pytest.approx(expected.energy, abs=1e-7)
    np.testing.assert_allclose(found.get_forces(), expected.forces, atol=1e-7)
    np.testing.assert_allclose(found.get_stress(), expected.stress, atol=1e-7)
    np.testing.assert_allclose(
        found.arrays["energies_std"], expected.energies_std, atol=1e-7
    )
    energies = found.calc.results["energies"]
    np.testing.assert_allclose(energies, expected.energies, atol=1e-7)


def test_predict_without_std_and_volume(fitted, tmp_path, capsys):
    atoms = ase.Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]])
    atoms.info["note"] = "kept"
    ase.io.write(tmp_path / "in.xyz", atoms, format="extxyz")
    argv = ["predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz"), "--output"]
    assert main([*argv, str(tmp_path / "out.xyz")]) == 0
    found = ase.io.read(tmp_path / "out.xyz")
    assert found.info["note"] == "kept"
    assert "energies_std" not in found.arrays
    assert set(found.calc.results) == {"energy", "energies", "forces"}
    assert error_of(capsys, *argv, str(tmp_path / "in.xyz")).endswith(
        "in.xyz: is an input and would be replaced; give another name"
    )
    assert "there is no folder" in error_of(capsys, *argv, "nowhere/out.xyz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder.xyz", "folder.xyz: is a folder; give the name of a file in it"),
        (
            "out.traj",
            "out.traj: ends in '.traj'; give a name that ends in .extxyz or .xyz",
        ),
    ],
)
def test_predict_refuses_an_output_before_it_computes(here, capsys, name, message):
    Path("folder.xyz").mkdir()
    # There is no model: a message about it would come later.
    argv = ["predict", "no.npz", "test.xyz", "--output", name]
    assert error_of(capsys, *argv) == message


def test_predict_starts_its_clock_before_it_computes(fitted, here, monkeypatch):
    calls = []
    monkeypatch.setattr(Stages, "__call__", lambda _, *args: calls.append(args))
    model = str(fitted / "model.npz")
    assert main(["predict", model, "test.xyz", "--output", "out.xyz"]) == 0
    total = sum(len(atoms) for atoms in ase.io.read("test.xyz", ":"))
    assert calls == [("predict", 0, total), ("predict", total, total)]


def test_predict_names_the_structure_that_is_wrong(fitted, tmp_path, capsys):
    good = ase.Atoms("Si", cell=[3, 3, 3], pbc=True)
    bad = ase.Atoms("Ge", cell=[3, 3, 3], pbc=True)
    ase.io.write(tmp_path / "in.xyz", [good, bad], format="extxyz")
    out = tmp_path / "out.xyz"
    message = error_of(
        capsys,
        *("predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz")),
        *("--output", str(out)),
    )
    assert "Ge" in message
    assert not out.exists()
    (tmp_path / "in.xyz").write_text("gibberish\n")
    message = error_of(
        capsys,
        *("predict", str(fitted / "model.npz"), str(tmp_path / "in.xyz")),
        *("--output", str(out)),
    )
    assert "in.xyz, frame 0 (line 1): expected the number of atoms" in message


def test_info(fitted, capsys):
    model = str(fitted / "model.npz")
    assert main(["info", model, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["species"] == ["Si"]
    assert facts["terms"][0]["n_sparse"] == {"Si": 12}
    assert facts["config"]["terms"][0]["r_cut"] == 4.0
    assert facts["uncertainty"] is True
    assert main(["info", model]) == 0
    out = capsys.readouterr().out
    for pattern in (
        r"species +Si",
        rf"e0 +Si {facts['e0']['Si']:.6f} eV",
        r"r_cut +4 Å",
        r"sparse points +Si 12",
        r"features +\d+$",
        r"shortcut +none that saves work",
        rf"data digest +{facts['data_digest']}",
        rf"log likelihood +{facts['log_marginal_likelihood']:.6g}",
        rf"versions .*gapfit {re.escape(gapfit.__version__)}",
        r"forces +0.05 eV/Å",
    ):
        assert re.search(rf"^  {pattern}", out, re.MULTILINE), pattern


# The terminal --------------------------------------------------------------------------


def test_process_exit_codes(here):
    missing = gapfit_process("fit", "none.toml")
    assert missing.returncode == 1
    assert missing.stderr == (
        "gapfit: error: none.toml: no such file; `gapfit init DATA` writes a "
        "configuration\n"
    )
    assert gapfit_process("frobnicate").returncode == 2


def test_closed_pipe_is_no_error(here):
    code = "import sys; from gapfit.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "check", "train.xyz", "--no-stress"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_ascii_terminal(here, monkeypatch):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = gapfit_process("check", "train.xyz", "--no-stress", env=environment)
    assert done.returncode == 0
    assert "eV/?" in done.stdout


class FakeTerminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("no_color", [True, False])
def test_terminal_is_drawn_on(monkeypatch, tmp_path, no_color):
    terminal = FakeTerminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv(
        "NO_COLOR", raising=False
    )
    console = Console()
    with console.logging_to(tmp_path / "log"), console.progress() as progress:
        console.title("Fit")
        progress("rows", 1, 2)
        progress("rows", 2, 2)
    drawn = terminal.getvalue()
    assert "rows" in drawn
    assert "100 %" in drawn
    assert ("\x1b[1mFit" in drawn) is not no_color
    assert bool(re.search(r"\x1b\[3\dm", drawn)) is not no_color
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert re.fullmatch(r"\nFit\n  rows +done in 0\.0 s\n", log)


def test_plain_progress_shows_share_memory_and_time_left(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 6.0, 8.0, 9.0, 9.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stages = Stages(Console())
    for done in (0, 20, 60, 80):
        stages("solve", done, 100)
    stages.finish()
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"  solve             60 %, \d+ MB, 4.0 s left", first)
    assert last == "  solve            done in 9.0 s"
    assert stages.seconds == {"solve": 9.0}


def test_progress_of_rows_shows_their_rate_and_the_memory(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 6.0, 9.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    stages = Stages(Console())
    for done in (0, 3000, 6000):
        stages("rows", done, 10_000)
    stages.finish()
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"  rows              60 %, 1 000 rows/s, \d+ MB, 4.0 s left", first
    )
    assert last == "  rows             done in 9.5 s"
    assert stages.peak_bytes["rows"] > 1e7


def test_plan_prints_memory_and_time_and_does_nothing(here, capsys):
    assert main(["fit", "fit.toml", "--plan"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  tasks +1$", out, re.MULTILINE)
    assert re.search(r"^  memory +about \d+ MB$", out, re.MULTILINE)
    assert re.search(r"^  time +(a few seconds|about \d+ s)$", out, re.MULTILINE)
    assert not Path("fit-model").exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (7384, "2 h 03 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_check_names_config_types_that_are_not_there(here, capsys):
    config = Path("fit.toml").read_text()
    Path("typo.toml").write_text(
        config + "\n[sigma.config_types.bulk_ratled]\nenergy = 1\n"
    )
    assert main(["check", "typo.toml"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "bulk_ratled: no frame has this config_type; did you mean 'bulk_rattled'" in out
    )


def test_check_names_config_types_of_quotas_that_are_not_there(here, capsys):
    text = Path("fit.toml").read_text() + "[terms.config_type_n_sparse]\nliqiud = 3\n"
    Path("fit.toml").write_text(text, encoding="utf-8")
    assert main(["check", "fit.toml"]) == 0
    assert (
        "[[terms]] 1: config_type_n_sparse: liqiud: no frame has this config_type; did "
        "you mean 'liquid'?"
    ) in capsys.readouterr().out


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
    assert "pairs.txt, line 8: 'C-X': 'X' is no chemical symbol" in message
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
