"""Files of a report: written, listed and removed."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.report import ReportOptions, gather, write


def test_a_fit_lists_its_report_and_the_figures(copied, capsys):
    assert main(["fit", str(copied.parent / "fit.toml"), "--force"]) == 0
    written = capsys.readouterr().out.partition("Written in ")[2].splitlines()
    n = len(list((copied / "report").iterdir()))
    assert any(line.startswith(f"  {copied / 'report.html'}  ") for line in written)
    (line,) = [one for one in written if one.startswith(f"  {copied / 'report'}/  ")]
    assert f"  {n} figures, " in line


def test_figures_of_an_earlier_report_go_and_nothing_else(copied):
    folder = copied / "report"
    names = {file.name for file in folder.iterdir()}
    assert {"dimers.png", "calibration.png"} <= names
    (folder / "phonons-3.png").write_bytes(b"of a report with three crystals")
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    assert main(["report", str(copied), *quick]) == 0
    left = {file.name for file in folder.iterdir()}
    assert left == names - {"dimers.png", "calibration.png"}
    toml = str(copied.parent / "fit.toml")
    assert main(["fit", toml, "--no-report", "--force"]) == 0
    assert not folder.exists()


def test_a_folder_of_something_else_takes_no_figures(copied, capsys):
    page = copied.parent / "fit-model.html"
    before = {file.name for file in copied.iterdir()}
    assert main(["report", str(copied), "--output", str(page)]) == 1
    message = capsys.readouterr().err
    assert f"{copied}: the folder for figures contains fit.log" in message
    assert "--output" in message
    assert {file.name for file in copied.iterdir()} == before
    assert not page.exists()
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    with pytest.raises(GapfitError, match="which no report wrote"):
        write(found, page)


def test_outputs_are_tried_before_the_work(fitted, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "tmp-x7"))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("gapfit.report.gather", lambda *_: pytest.fail("too late"))
    page = tmp_path / "page.html"
    assert main(["report", str(fitted), "--output", str(page)]) == 1
    message = capsys.readouterr().err
    assert f"{page}: cannot be written (Permission denied)" in message
    assert "tmp-x7" not in message


def test_figures_are_written_as_png(reported):
    folder = reported.with_suffix("")
    names = {path.stem for path in folder.iterdir()}
    drawn = set(
        re.findall(r'data-figure="([^"]*)"', reported.read_text(encoding="utf-8"))
    )
    assert names == drawn
    assert names >= {
        "parity",
        "histograms",
        "calibration",
        "learning",
        "dimers",
        "resources",
    }
    for path in folder.iterdir():
        with Image.open(path) as image:
            assert image.width > 900
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20
