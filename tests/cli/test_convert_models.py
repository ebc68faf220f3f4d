"""Models in `gapfit convert`: what is said about each format, to and from."""

from __future__ import annotations

import re

import ase.io
import pytest
from builders import DATA
from helpers.turbogap_cases import PAIRS, fitted

from gapfit.cli import convert, main
from gapfit.cli._model_conversion import WRITERS

#: What is printed for a model of pairs; N stands for a digest, 0 MB for a size.
TEXTS = {
    "model.npz a.xml": """
Written
  a.xml
  a.xml.sparseX.GAP_N and so on: 1 files, 0 MB

Warnings
  - keep all of these files together: the XML file names the others
  - without uncertainties: QUIP has another form of them; those of gapfit are only in \
model.npz
""",
    "a.xml b.npz": """
GAP of QUIP, a.xml
  label        GAP_N
  gap_version  1686220958
  model        GAPModel Si: distance_2b, 7 sparse points, cutoff 4.2 Å
  ignored      nothing

Written
  b.npz
""",
    "model.npz a.gap": """
Written
  a.gap
  a.N.sparse_distance_2b_1.dat and so on: 2 tables, 0 MB

For the input of TurboGAP
  pot_file = 'a.gap'
  n_species = 1
  species = Si
  e0 = -5.0

Warnings
  - keep all of these files together: the .gap names the others
  - without uncertainties, which TurboGAP does not have; keep model.npz
""",
    "a.gap c.npz": """
Potential of TurboGAP, a.gap
  model     GAPModel Si: distance_2b, 7 sparse points, cutoff 4.2 Å
  left out  nothing

Written
  c.npz
""",
    "model.npz a.tabgap": """
Written
  a.tabgap: 0 MB

Warnings
  - without uncertainties, which the format does not have; keep model.npz
""",
}
_DIGEST = re.compile(r"(?<=\bGAP_)\w+|(?<= a\.)[0-9a-f]{16}")


@pytest.fixture(scope="session")
def pairs():
    frames = ase.io.read(DATA / "silicon" / "train.extxyz", ":")
    return fitted([a for a in frames if len(a) > 2][:4], PAIRS, e0={"Si": -5.0})


def test_what_is_said_about_models_from_and_to_other_programs(
    pairs, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    pairs.save("model.npz")
    for paths, expected in TEXTS.items():
        assert main(["convert", *paths.split()]) == 0
        text = _DIGEST.sub("N", capsys.readouterr().out)
        assert re.sub(r"\d\.\d MB", "0 MB", text) == expected


def test_the_help_names_all_formats_that_are_written():
    """Whoever adds one to the table has to describe it, too."""
    text = convert.__doc__ or ""
    for suffix in WRITERS:
        assert re.search(rf"^  model.npz +\w+[.\w]*\{suffix} ", text, re.MULTILINE)
