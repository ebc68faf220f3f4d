"""Fits stopped at any moment go on from their checkpoint to the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sums import FRAMES, SETTINGS, Inline, Stop, fit, same, stopping_after

from gapfit.errors import GapfitError
from gapfit.execution import accumulate as row_sums
from gapfit.execution import tasks as summation
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.merge_tree import outermost


@pytest.mark.parametrize(
    "method", ["cholesky", pytest.param("qr", marks=pytest.mark.slow)]
)
def test_fits_stopped_at_any_moment_resume_to_the_same_bits(
    tmp_path, small_tasks, method
):
    whole, rng = fit(method), np.random.default_rng(5)
    n_rows = sum(whole.record.n_rows.values())
    folder = tmp_path / "checkpoint"
    for stop in [1, *sorted(rng.integers(2, n_rows, 8)), n_rows]:
        with pytest.raises(Stop):
            fit(method, checkpoint=folder, progress=stopping_after(stop))
        assert (folder / "start.npz").exists()
        resumed = fit(method, checkpoint=folder, resume=True)
        same(resumed, whole)


def test_a_fit_may_be_stopped_again_and_again(tmp_path, small_tasks):
    whole, folder = fit(), tmp_path / "checkpoint"
    total = sum(whole.record.n_rows.values())
    for n in range(6):
        with pytest.raises(Stop):
            fit(
                checkpoint=folder,
                resume=n > 0,
                progress=stopping_after((n + 1) * total // 7),
            )
    same(fit(checkpoint=folder, resume=True), whole)


def test_resuming_does_not_compute_again_what_is_summed_up(
    tmp_path, small_tasks, monkeypatch
):
    folder, computed = tmp_path / "checkpoint", []
    original = row_sums.RowBuilder.sum_up

    def counting(self, frames, *args, **options):
        computed.append(len(frames))
        return original(self, frames, *args, **options)

    monkeypatch.setattr(row_sums.RowBuilder, "sum_up", counting)
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(300))
    before = len(computed)
    fit(checkpoint=folder, resume=True)
    # The last task was done but not yet added.
    assert len(computed) == len(FRAMES) + 1
    assert before > 5


def test_checkpoints_keep_what_workers_have_done_ahead(
    tmp_path, small_tasks, monkeypatch
):
    whole, folder, computed = fit(), tmp_path / "checkpoint", []
    with pytest.raises(Stop):
        fit(checkpoint=folder, executor=Inline(), progress=stopping_after(300))
    ahead = CheckpointFolder(folder).spans()
    assert len(ahead) > 2
    original = row_sums.RowBuilder.sum_up

    def counting(self, frames, *args, **options):
        computed.append(frames[0].source)
        return original(self, frames, *args, **options)

    monkeypatch.setattr(row_sums.RowBuilder, "sum_up", counting)
    same(fit(checkpoint=folder, resume=True), whole)
    done = sum(stop - first for first, stop in outermost(ahead))
    assert len(computed) == len(FRAMES) - done


def test_checkpoints_take_a_small_share_of_the_time(
    tmp_path, one_frame_each, monkeypatch
):
    """Their interval follows what they cost: at most 1/40 of the time."""
    clock, written = [0.0], []
    monkeypatch.setattr(summation.time, "monotonic", lambda: clock[0])

    def slow_write(self, span, sums):
        written.append(clock[0])
        clock[0] += 10.0

    def slow_rows(self, *args, **options):
        clock[0] += 100.0
        return original(self, *args, **options)

    original = row_sums.RowBuilder.sum_up
    monkeypatch.setattr(CheckpointFolder, "write", slow_write)
    monkeypatch.setattr(row_sums.RowBuilder, "sum_up", slow_rows)
    fit(checkpoint=tmp_path / "checkpoint")
    assert len(set(np.diff(written).round()) - {10.0}) > 0
    assert 10.0 * len(written) < 0.1 * clock[0]


def test_checkpoint_of_another_fit_is_refused_with_all_differences(
    tmp_path, small_tasks
):
    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(100))
    terms = [{**SETTINGS["terms"][0], "r_cut": 4.4, "zeta": 4}]
    with pytest.raises(GapfitError, match="another fit") as caught:
        fit(checkpoint=folder, resume=True, settings={"terms": terms})
    text = str(caught.value)
    assert "terms[0].r_cut: 4.5 then, 4.4 now" in text
    assert "terms[0].zeta: 3.0 then, 4.0 now" in text
    assert "without --resume" in text
    with pytest.raises(GapfitError, match=r"frames: 13 then, 12 now\n.*SHA-256"):
        fit(frames=FRAMES[:12], checkpoint=folder, resume=True)
    # Who computes, and with how much memory, may change.
    run = {"memory": "1 GB", "workers": 3}
    same(
        fit(checkpoint=folder, resume=True, settings={"run": run}, executor=Inline()),
        fit(),
    )


def test_other_contents_of_a_named_file_are_refused(tmp_path, small_tasks):
    def write(height: float) -> None:
        rows = [f"{0.5 + 0.1 * n} {height * (2.5 - 0.1 * n)}" for n in range(26)]
        (tmp_path / "table").write_text("\n".join(["Si-Si", *rows]) + "\n")

    again = {
        "frames": FRAMES[:11],
        "settings": {"baseline": {"table": "table"}},
        "checkpoint": tmp_path / "checkpoint",
        "base": tmp_path,
    }
    write(1.0)
    with pytest.raises(Stop):
        fit(**again, progress=stopping_after(150))
    write(2.0)
    with pytest.raises(GapfitError, match=r"SHA-256 of\.table: '\w+' then"):
        fit(**again, resume=True)
    write(1.0)
    fit(**again, resume=True)


def test_a_second_fit_in_the_same_folder_is_refused(tmp_path, small_tasks):
    folder, texts = tmp_path / "checkpoint", []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "rows" and done and not texts:
            for resume in (False, True):
                with pytest.raises(
                    GapfitError, match="another fit is running"
                ) as caught:
                    fit(checkpoint=folder, resume=resume)
                texts.append(str(caught.value))

    same(fit(checkpoint=folder, progress=progress), fit())
    assert len(texts) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_with_nothing_to_resume_it_starts(tmp_path):
    same(fit(checkpoint=tmp_path / "checkpoint", resume=True), fit())


def test_folders_of_the_user_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(GapfitError, match=r"mine: .* contains thesis\.tex, .* move it"):
        fit(checkpoint=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_damaged_checkpoints_are_refused_by_name(tmp_path, small_tasks):
    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(200))
    file = max(folder.glob("sum-*.npz"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(GapfitError, match=f"{file.name}: damaged .* remove this file"):
        fit(checkpoint=folder, resume=True)
    file.unlink()
    same(fit(checkpoint=folder, resume=True), fit())
    (folder / "state.json").write_text("{")
    with pytest.raises(GapfitError, match=r"state\.json: damaged"):
        fit(checkpoint=folder, resume=True)
