"""Quantities: their names in texts and files, and their numbers of observations."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from builders import labelled_frames, silicon
from helpers.reading import CONFIG

from gapfit.data.dataset import read
from gapfit.data.observations import Quantity, count_rows, row_counts

NAMES = ["energy", "forces", "virial"]


def test_quantities_are_written_as_their_names():
    assert [f"{quantity}" for quantity in Quantity] == NAMES
    assert ["%s" % quantity for quantity in Quantity] == NAMES  # noqa: UP031
    assert f"{Quantity.ENERGY:<8}|" == "energy  |"


@pytest.mark.parametrize("indent", [None, 1])
def test_json_of_quantities_is_that_of_their_names(indent):
    named = {quantity: [quantity] for quantity in Quantity}
    plain = {name: [name] for name in NAMES}
    assert json.dumps(named, indent=indent) == json.dumps(plain, indent=indent)


def test_archives_of_quantities_have_the_bytes_of_their_names():
    plain, named = io.BytesIO(), io.BytesIO()
    np.save(plain, np.array(NAMES), allow_pickle=False)
    np.save(named, np.array(list(Quantity)), allow_pickle=False)
    assert named.getvalue() == plain.getvalue()


def test_pickles_return_the_same_quantities():
    for quantity in Quantity:
        assert pickle.loads(pickle.dumps(quantity)) is quantity


def test_a_virial_is_reported_as_a_stress():
    reported = {quantity.reported: quantity.error_unit for quantity in Quantity}
    assert reported == {"energy": "meV/atom", "forces": "eV/Å", "stress": "GPa"}


@pytest.mark.parametrize(
    ("quantity", "n"),
    [(Quantity.ENERGY, 1), (Quantity.FORCES, 24), (Quantity.VIRIAL, 6)],
)
def test_rows_are_counted_at_the_position_of_their_quantity(quantity, n):
    frame = read(labelled_frames(silicon, 1), CONFIG).frames[0]
    without = replace(frame, **{quantity: None})
    lost = row_counts([frame])[0] - row_counts([without])[0]
    expected = np.zeros(3, dtype=np.int64)
    expected[quantity.position] = n
    np.testing.assert_array_equal(lost, expected)


def test_numbers_of_all_rows_are_plain_data():
    counts = count_rows(read(labelled_frames(silicon, 2), CONFIG).frames)
    assert repr(counts) == "{'energy': 2, 'forces': 48, 'virial': 12}"
