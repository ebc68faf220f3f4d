"""A little silicon, and the fit of it by the command line."""

from __future__ import annotations

import ase.io
import pytest
from helpers.commands import CONFIG, frames_of

from gapfit.cli import main


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
