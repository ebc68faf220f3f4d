"""Checkpoints with files of other fits, or damaged ones: refused, never another model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import config
from helpers.damage import damaged
from helpers.sums import FRAMES, Inline, Stop, fit, same, stopping_after

import gapfit
from gapfit._support.sealed import read_sealed, write_sealed
from gapfit.data.digest import data_digest
from gapfit.errors import GapfitError
from gapfit.execution.checkpoint import CheckpointFolder

pytestmark = pytest.mark.usefixtures("small_tasks")


def stopped(path: Path, frames=FRAMES) -> Path:
    """Stop a fit by workers, and return the folder with its files."""
    with pytest.raises(Stop):
        fit(
            frames=frames,
            checkpoint=path,
            executor=Inline(),
            progress=stopping_after(250),
        )
    return path


def sums_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("sum-*.npz"))


def refusal(folder: Path, **options) -> str:
    """Return the message with which a resumed fit refuses the folder."""
    with pytest.raises(GapfitError) as caught:
        fit(checkpoint=folder, resume=True, **options)
    return str(caught.value)


def test_sums_of_other_rows_are_refused(tmp_path):
    folder = stopped(tmp_path / "checkpoint")
    first, *_, last = sums_of(folder)
    shutil.copy(first, last)
    message = refusal(folder)
    assert f"{last}: contains other sums than its name says" in message
    assert "differs in tasks" in message
    assert message.endswith("remove this file, and --resume computes it again")
    last.unlink()
    same(fit(checkpoint=folder, resume=True), fit())


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:12]])
def test_files_of_another_fit_are_refused(tmp_path, frames):
    """Even of a fit of the same data: its sparse points may differ in a last digit."""
    folder, other = stopped(tmp_path / "one"), stopped(tmp_path / "two", frames)
    names = [path.name for path in (*sums_of(folder)[:1], folder / "start.npz")]
    for name in names:
        whole = (folder / name).read_bytes()
        shutil.copy(other / name, folder / name)
        message = refusal(folder)
        assert f"{folder / name}: " in message
        assert "another fit" in message
        (folder / name).write_bytes(whole)
    shutil.copy(other / "state.json", folder / "state.json")
    assert "another fit" in refusal(folder)


def test_frames_for_the_workers_are_written_again(tmp_path):
    folder = stopped(tmp_path / "checkpoint")
    other = stopped(tmp_path / "other", FRAMES[:12])
    shutil.copy(other / "frames.bin", folder / "frames.bin")
    same(fit(checkpoint=folder, resume=True, executor=Inline()), fit())


def test_a_fit_whose_start_is_gone_begins_again(tmp_path):
    folder = stopped(tmp_path / "checkpoint")
    (folder / "start.npz").unlink()
    same(fit(checkpoint=folder, resume=True), fit())


Reader = Callable[[CheckpointFolder], object]


def readers(folder: Path) -> dict[str, Reader]:
    """Return how each kind of file is read, as something that can be compared."""
    files = CheckpointFolder(folder)
    state = files._state()
    files.require(state["identity"])
    whitening = files.read_start().training_sums.whitening
    span = min(files.spans())

    def sums(files: CheckpointFolder) -> object:
        arrays = files.read(span, whitening).arrays()
        return {name: np.asarray(array).tobytes() for name, array in arrays.items()}

    def start(files: CheckpointFolder) -> object:
        model = files.read_start()
        (term,) = model.terms
        points = {block: x.tobytes() for block, x in term.sparse.items()}
        return points, model.e0, model.config

    def begun(files: CheckpointFolder) -> object:
        files.require(state["identity"])
        return files.fit

    return {
        "state.json": begun,
        "start.npz": start,
        "frames.bin": lambda files: data_digest(files.read_frames()),
        sums_of(folder)[0].name: sums,
    }


def test_damaged_files_are_refused_or_read_as_they_were(tmp_path):
    folder = stopped(tmp_path / "checkpoint")
    fit_name = CheckpointFolder(folder)._state()["fit"]
    rng = np.random.default_rng(11)
    for name, read in readers(folder).items():
        path = folder / name
        whole, n_refused = path.read_bytes(), 0
        expected = read(CheckpointFolder(folder, fit_name))
        for _ in range(60):
            path.write_bytes(damaged(whole, rng))
            try:
                value = read(CheckpointFolder(folder, fit_name))
            except GapfitError as caught:
                message = str(caught)
            else:
                assert value == expected
                continue
            n_refused += 1
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
            assert len(message) < 500 + 2 * len(str(path))
        assert n_refused > 40, name
        path.write_bytes(whole)


def test_sealed_files_say_what_is_wrong(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, "some", 3, {"x": [1.0, 2.0**-60, "ü"]})
    assert read_sealed(path, "some", 3, "stop") == {"x": [1.0, 2.0**-60, "ü"]}
    text = path.read_text()
    for changed, reason in {
        text.replace("1.0", "1.5"): "damaged (its checksum is another one); stop",
        text.replace(
            '"some"', '"other"'
        ): "is 'other', version 3, but this gapfit reads",
        text.replace("3", "4", 1): "is 'some', version 4, but this gapfit reads 'some'",
        text[:-4]: "damaged or not written by gapfit (ForeignError",
        "[]": "damaged or not written by gapfit (TypeError",
    }.items():
        path.write_text(changed)
        with pytest.raises(GapfitError) as caught:
            read_sealed(path, "some", 3, "stop")
        assert f"{path}: {reason}" in str(caught.value)


def test_damaged_models_are_refused_or_predict_the_same(tmp_path):
    path, rng, n_refused = tmp_path / "model.npz", np.random.default_rng(7), 0
    gapfit.fit(FRAMES[:5], config(n_sparse=8)).save(path)
    whole, atoms = path.read_bytes(), FRAMES[0]
    expected = gapfit.load(path).predict(atoms).forces
    for _ in range(100):
        path.write_bytes(damaged(whole, rng))
        try:
            model = gapfit.load(path, training_sums=True)
        except GapfitError as caught:
            n_refused += 1
            message = str(caught)
        else:
            np.testing.assert_array_equal(model.predict(atoms).forces, expected)
            continue
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    assert n_refused > 70
