"""The command line as a process: help, usage, exit codes, pipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import gapfit
from gapfit.cli import main


def gapfit_process(*argv, **options):
    code = "import sys; from gapfit.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


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
        heading: re.findall(r"^  ([a-z_-]+) +\w.*$", lines, re.MULTILINE)
        for heading, lines in re.findall(r"^(\w+):\n((?:  .+\n)+)", text, re.MULTILINE)
    }
    del groups["options"]
    assert groups == {
        "data": ["init", "check", "data"],
        "fit": ["fit", "tune", "append", "refit", "calibrate", "learn"],
        "model": [
            "info",
            "evaluate",
            "compare",
            "report",
            "properties",
            "stress-test",
        ],
        "paper": ["cite", "methods", "reproduce"],
        "use": ["predict", "propagate", "select", "serve"],
        "exchange": [
            "gap_fit",
            "convert",
            "export-lammps",
            "lammps",
            "export-metatomic",
        ],
        "setup": ["schema", "completion"],
    }
    assert max(map(len, text.splitlines())) <= 88


def test_the_usage_of_a_command_begins_with_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["info", "--help"])
    assert capsys.readouterr().out.startswith("usage: gapfit info [-h]")


def test_help_is_a_command(capsys):
    texts = []
    for argv in (["help"], ["--help"], ["help", "info"], ["info", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gapfit {gapfit.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fitt"], "there is no command 'fitt'; did you mean fit?"),
        (["--debug", "fti", "fit.toml"], "no command 'fti'; did you mean fit?"),
        (["eval", "model.npz"], "did you mean evaluate?"),
        (["export"], "did you mean export-lammps?"),
        (["xyzzy"], "there is no command 'xyzzy'; `gapfit --help` lists all"),
        (["help", "tunee"], "there is no command 'tunee'; did you mean tune?"),
        (["fit"], "the following arguments are required: CONFIG"),
        (
            ["export-lammps", "--output", "x.gapfit", "--force-std", "model.npz"],
            "required: MODEL; all words after --force-std belong to it: write MODEL before",
        ),
        (["predict", "model.npz", "a.xyz"], "required: --output"),
        (["info", "model.npz", "--frob"], "unrecognized arguments: --frob"),
    ],
)
def test_wrong_usage(capsys, argv, message):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


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
        [sys.executable, "-c", code, "check", "train.xyz", "--no-label-check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_ascii_terminal(here, monkeypatch):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = gapfit_process("check", "train.xyz", "--no-label-check", env=environment)
    assert done.returncode == 0
    assert "eV/?" in done.stdout


def test_variables_that_cannot_be_used_are_named_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("GAPFIT_NUM_THREADS", raising=False)
    for folder in ("missing", "file"):
        monkeypatch.setenv("OMP_NUM_THREADS", "abc")
        monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
        assert main(["schema", "fit"]) == 0
        threads, temporary = capsys.readouterr().err.splitlines()
        assert threads.startswith("gapfit: warning: OMP_NUM_THREADS = 'abc' is ignored")
        assert f"{folder}' is ignored: it is no folder to write to; temp" in temporary
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert main(["schema", "fit"]) == 0
    assert capsys.readouterr().err == ""
