"""Large values of a state in files beside it."""

from __future__ import annotations

import json

import pytest

from gapfit.active.attachments import attached, loaded, remove_others
from gapfit.errors import GapfitError

STATE = {"job": 1, "run": {"driver": {"restart": bytes(range(256)) * 9, "step": 4}}}


def files(folder) -> list:
    return sorted(folder.glob("state-*"))


def test_a_state_comes_back_from_text_and_files(tmp_path):
    plain = json.loads(json.dumps(attached(STATE, tmp_path)))
    assert [path.read_bytes() for path in files(tmp_path)] == [bytes(range(256)) * 9]
    assert len(json.dumps(plain)) < 200
    assert loaded(plain, tmp_path, "start again") == STATE
    assert attached(plain, tmp_path) == plain


def test_files_of_earlier_states_are_deleted_later(tmp_path):
    first = attached(STATE, tmp_path)
    second = attached({"run": {"restart": b"other"}}, tmp_path)
    assert len(files(tmp_path)) == 2
    assert loaded(first, tmp_path, "") == STATE
    remove_others(second, tmp_path)
    assert [path.read_bytes() for path in files(tmp_path)] == [b"other"]
    remove_others({"run": None}, tmp_path)
    assert not files(tmp_path)


def test_a_missing_or_damaged_file_is_told(tmp_path):
    plain = attached(STATE, tmp_path)
    (path,) = files(tmp_path)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(GapfitError, match=r"state-\w{16}\.bin: is damaged; restore"):
        loaded(plain, tmp_path, "go")
    assert loaded(attached(STATE, tmp_path), tmp_path, "") == STATE
    path.unlink()
    with pytest.raises(GapfitError, match="is missing; restore it, or go"):
        loaded(plain, tmp_path, "go")
    (key,) = plain["run"]["driver"]["restart"]
    with pytest.raises(GapfitError, match="names no checksum of a file; go"):
        loaded({key: "../secret"}, tmp_path, "go")
