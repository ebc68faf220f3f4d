"""`gapfit init`."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
from helpers.commands import CONFIG, error_of

from gapfit.cli import main
from gapfit.config import FitConfig
from gapfit.config.schema import config_schema
from gapfit.config.toml import load_config


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
        "  gapfit fit sub/new-tuned.toml\n"
    )


def test_init_names_the_schema_beside_the_file_for_editors(here, capsys):
    assert main(["init", "train.xyz", "--output", "new.toml", "--schema"]) == 0
    assert "Wrote new.toml and new.schema.json. Next:" in capsys.readouterr().out
    text = Path("new.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema ./new.schema.json\n\n#")
    assert load_config("new.toml").data.train == ["train.xyz"]
    schema = json.loads(Path("new.schema.json").read_text(encoding="utf-8"))
    assert schema == config_schema(FitConfig)
    argv = ["init", "train.xyz", "--output", "new.toml", "--force"]
    assert main(argv) == 0
    assert "#:schema" not in Path("new.toml").read_text(encoding="utf-8")


def test_init_keeps_an_existing_schema(here, capsys):
    Path("new.schema.json").write_text("{}", encoding="utf-8")
    argv = ["init", "train.xyz", "--output", "new.toml", "--schema"]
    assert error_of(capsys, *argv).startswith("new.schema.json: exists already;")
    assert not Path("new.toml").exists()


def test_init_proposes_a_three_body_term_when_asked_for(here, capsys):
    assert main(["init", "train.xyz", "--output", "new.toml", "--three-body"]) == 0
    assert "soap + distance_2b + angle_3b" in capsys.readouterr().out
    soap, pairs, triplets = load_config("new.toml").terms
    assert (soap.type, pairs.type, triplets.type) == ("soap", "distance_2b", "angle_3b")
    assert triplets.r_cut < soap.r_cut
    text = Path("new.toml").read_text(encoding="utf-8")
    assert "# angle_3b: r_cut is 1.5 times the longest" in text
    assert main(["init", "train.xyz", "--output", "new.toml", "--force"]) == 0
    assert "angle_3b: r_cut" not in Path("new.toml").read_text(encoding="utf-8")


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
    assert "# WARNING: the data have no energy of an isolated atom of Si." in (
        Path("fit.toml").read_text(encoding="utf-8")
    )
    assert "no energy of an isolated atom of Si" in capsys.readouterr().out


def test_init_lists_missing_files_together(here, capsys):
    assert error_of(capsys, "init", "a.xyz", "--test", "b.xyz", "--force") == (
        f"no such file: a.xyz ({here / 'a.xyz'}), b.xyz ({here / 'b.xyz'}); "
        "correct the path"
    )
