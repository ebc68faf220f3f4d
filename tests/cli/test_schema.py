"""`gapfit schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import error_of

from gapfit.cli import main
from gapfit.config import FitConfig, LearnConfig
from gapfit.config.schema import config_schema


@pytest.mark.parametrize(("name", "kind"), [("fit", FitConfig), ("learn", LearnConfig)])
def test_the_schema_is_printed_or_written(name, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == config_schema(kind)
    argv = ["schema", name, "--output", "a.json"]
    assert main(argv) == 0
    assert "#:schema ./a.json" in capsys.readouterr().out
    assert json.loads(Path("a.json").read_text(encoding="utf-8")) == config_schema(kind)
    assert error_of(capsys, *argv).startswith("a.json: exists already;")
    assert main([*argv, "--force"]) == 0


def test_a_schema_is_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "give a name that ends in .json" in error_of(
        capsys, "schema", "fit", "--output", "a.toml"
    )
