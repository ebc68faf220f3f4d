"""A small fit, its reports, and one with hostile names."""

from __future__ import annotations

import shutil

import pytest
from helpers.reports import folder_of_a_fit

from gapfit.cli import main


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Return the folder of a fit, with the report that the fit wrote."""
    return folder_of_a_fit(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def reported(fitted, tmp_path_factory):
    """Return the page of `gapfit report`."""
    page = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", str(fitted), "--output", str(page)]) == 0
    return page


@pytest.fixture
def copied(fitted, tmp_path):
    """Return a copy of the fit and its data that may be changed."""
    shutil.copytree(fitted.parent, tmp_path / "copy")
    text = (fitted / "fit.toml").read_text(encoding="utf-8")
    moved = text.replace(str(fitted.parent), str(tmp_path / "copy"))
    (tmp_path / "copy/fit-model/fit.toml").write_text(moved, encoding="utf-8")
    return tmp_path / "copy" / "fit-model"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """Return the page of a fit whose config_types try to be more than names."""
    out = folder_of_a_fit(tmp_path_factory.mktemp("hostile"), hostile=True)
    assert main(["report", str(out), "--no-dimers"]) == 0
    return out / "report.html"
