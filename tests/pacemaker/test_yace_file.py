"""Files .yace that are damaged, hostile or of another kind: one clear error."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.expansions import crystal, expansion_model

from gapfit.errors import GapfitError, ModelFileError
from gapfit.pacemaker import load, save

MODEL = expansion_model(
    {"r_cut": 4.0, "orders": [1, 2, 3], "n_max": [3, 2, 1], "l_max": [0, 1, 2]},
    species=(8, 14),
)
FIRST = "{mu0: 0, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [0], ns: [1]"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> str:
    return save(MODEL, tmp_path_factory.mktemp("yace") / "p.yace").read_text()


def refusal(tmp_path, text: str | bytes) -> str:
    path = tmp_path / "p.yace"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(GapfitError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    assert len(message) < 600
    return message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("elements: [O, Si]", "elements: [O, Xx]", "'Xx' is not a chemical symbol"),
        ("elements: [O, Si]", "elements: [O, O]", "occurs twice"),
        ("elements: [O, Si]", "elements: 3", "elements: "),
        ("elements: [O, Si]", "elements: [O]", "E0 has 2 numbers for 1 elements"),
        ("E0: [-18.0,", "E0: [nan,", "E0: 0: "),
        ("E0: [-18.0,", "E0: [1e300,", "E0: 0: "),
        ("E0: [-18.0,", "E0: [-18.0", "line 2: "),
        ("bonds:", "bands:", "no section bonds"),
        ("bonds:", "bonds: [", "brackets"),
        ("  [0, 1]:", "  [0, 7]:", "not among the elements"),
        ("  [0, 1]:", "  [0, 0]:", "occurs twice"),
        ("ndensity: 1,", "ndensity: 3,", "ndensity: 3 is not supported"),
        ("FS_parameters: [1, 1]", "FS_parameters: [1, 2]", "not linear in the density"),
        ("FinnisSinclairShiftedScaled", "Fancy", "npoti: Fancy is not supported"),
        ("SBessel", "ACE.jl.Basic", "radbasename: ACE.jl.Basic is not supported"),
        ("rcut_in: 0", "rcut_in: 1.25", "rcut_in: 1.25 is not supported"),
        ("rcut: 4.0", "rcut: 1e9", "rcut: 1e+09 Å is not supported"),
        ("rcut: 4.0", "rcut: 4.5", "only one cutoff is supported"),
        ("nradmax: 2", "nradmax: 999999999", "nradmax"),
        ("nradmax: 2", "nradmax: 3", "nradmax lists of lmax"),
        ("nradbasemax: 3", 'nradbasemax: "3"', "nradbasemax"),
        ("prehc: 0", "prehc: 0, zbl: 1", "zbl"),
        (FIRST, FIRST.replace("rank: 1", "rank: 999999999"), "rank"),
        (FIRST, FIRST.replace("ns: [1]", "ns: [9]"), "n = 9, l = 0"),
        (FIRST, FIRST.replace("ns: [1]", "ns: [1.5]"), "ns.0"),
        (FIRST, FIRST.replace("mus: [0]", "mus: [4]"), "no bond [0, 4]"),
        (FIRST, FIRST.replace("mu0: 0", "mu0: 1"), "mu0 is 1 in the list of 0"),
        (FIRST, FIRST.replace("combs: 1", "combs: 1000000"), "num_ms_combs"),
        (FIRST, FIRST.replace("{mu0: 0", "{mu0: 0, mu0: 0"), "occurs twice"),
        ("ms_combs: [-1, 1, 0, 0]", "ms_combs: [-1, 0, 0, 0]", "not invariant"),
        ("ms_combs: [-1, 1, 0, 0]", "ms_combs: [-5, 5, 0, 0]", "larger than its l"),
        ("functions:\n", "functions:\n  9:\n", "9 occurs twice, or is not the number"),
        ("functions:\n", "functions:\n  - {}\n", "not the function of an element"),
        ("functions:\n", "zbl: [1]\nfunctions:\n", "the section zbl is not supported"),
        ("functions:\n", "functions:\nfunctions:\n", "a second section functions"),
        ("functions:\n", "functions:\n  what is this\n", "what is this"),
    ],
)
def test_damage_is_named(tmp_path, sound, old, new, message):
    assert old in sound
    assert message in refusal(tmp_path, sound.replace(old, new, 1))


def test_files_of_other_kinds(tmp_path, sound):
    for text in ("", "\n\n", "  - x\n", "{}", "<GAP_params/>", "&a [*a]", b"\xff\xfe"):
        assert "no file .yace" in refusal(tmp_path, text)
    with pytest.raises(ModelFileError, match="there is no such file"):
        load(tmp_path / "missing.yace")
    with pytest.raises(ModelFileError, match="is a folder"):
        load(tmp_path)


def test_truncated_files(tmp_path, sound):
    begin = sound.index("functions:")
    for end in [*range(0, begin, 97), sound.rindex("ctildes") + 10]:
        refusal(tmp_path, sound[:end])


def test_deep_lists_and_long_numbers(tmp_path, sound):
    for number in ("[" * 5000 + "]" * 5000, "1" * 5000, "1e999"):
        refusal(tmp_path, sound.replace("E0: [-18.0,", f"E0: [{number},"))


def test_one_function_does_not_take_all_of_its_order(tmp_path, sound):
    """The functions up to l = 10 would fill the memory."""
    zeros = ", ".join(["0.0"] * 3)
    rows = ", ".join([f"[{zeros}]"] * 11)
    bond = (
        "nradmax: 2, lmax: 10, nradbasemax: 3, radbasename: SBessel, "
        f"radparameters: [4.0], radcoefficients: [[{rows}], [{rows}]]"
    )
    begin = sound.index("nradmax")
    end = sound.index(", prehc")
    text = sound.replace(sound[begin:end], bond)
    line = (
        "    - {mu0: 0, rank: 4, ndensity: 1, num_ms_combs: 1, mus: [0, 0, 0, 0], "
        "ns: [2, 2, 2, 2], ls: [10, 10, 10, 10], ms_combs: [0, 0, 0, 0], ctildes: [1]}\n"
    )
    text = text.replace("functions:\n  0:\n", f"functions:\n  0:\n{line}")
    assert "rank 4 has few functions" in refusal(tmp_path, text)


def test_forms_of_yaml_that_others_write(tmp_path, sound):
    """Comments, other blanks, values over several lines, numbers as in C++ and Fortran."""
    text = sound.replace(
        "elements: [O, Si]", "# of today\nelements: [ O,\n   Si ] # two"
    )
    text = text.replace("  [0, 1]:", "  [0,1]:").replace("rcut: 4.0", "rcut: +4.")
    text = text.replace("ms_combs: [0],", "\n        ms_combs:   [0],")
    text = "---\n" + text.replace("\n", "\r\n") + "metadata:\n  origin: here\n"
    path = tmp_path / "p.yace"
    path.write_bytes(text.encode())
    atoms = crystal("Si", "O")
    forces = MODEL.predict(atoms).forces
    np.testing.assert_allclose(load(path).predict(atoms).forces, forces, atol=1e-11)
