"""Checks, proposals and plans from Python."""

from __future__ import annotations

import ase.io
import pytest
from builders import config, labelled_frames, silicon

import gapfit
from gapfit.errors import DataError


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon, 4)


def test_check_says_what_a_fit_would(frames):
    settings = config() | {"sigma": {"config_types": {"evn": {"energy": 0.1}}}}
    checked = gapfit.check(frames, settings)
    model = gapfit.fit(checked.dataset, checked.config)
    assert checked.e0 == model.e0
    assert any("no frame has this config_type" in text for text in checked.warnings)
    assert set(checked.warnings) <= set(model.record.warnings)
    with pytest.raises(DataError, match="no energy of the isolated atom for Si"):
        gapfit.check(frames, {"terms": [{}], "e0": {"method": "isolated"}})


def test_without_a_configuration_one_is_proposed(frames, tmp_path):
    ase.io.write(tmp_path / "a.extxyz", frames)
    path = str(tmp_path / "a.extxyz")
    checked = gapfit.check(path)
    assert checked.config == gapfit.propose(path).config
    assert checked.config.data.train == [path]
    assert checked.config.e0.method == "least_squares"
    in_memory = gapfit.propose(frames).config
    assert in_memory.terms == checked.config.terms
    assert gapfit.check(checked.dataset).config.terms == checked.config.terms
    keys = {"energy_key": "energy"}
    assert gapfit.propose(frames, keys).config.data.energy_key == "energy"


def test_a_plan_of_data_and_dictionary(frames):
    plan = gapfit.plan(frames, config(n_sparse=8))
    assert (plan.n_frames, plan.n_atoms, plan.n_sparse) == (4, 32, 8)
    model = gapfit.fit(frames, config(n_sparse=8), plan=plan)
    assert model.record.n_rows == plan.n_rows


def test_packages_and_commands_are_found_by_name():
    assert gapfit.properties.compute.__module__ == "gapfit.properties.computation"
    assert "report" in dir(gapfit)
    with pytest.raises(AttributeError, match=r"'cite'; use gapfit\.citations\.papers"):
        _ = gapfit.cite
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = gapfit.nonsense
