"""Headers of extended XYZ: every word is understood, kept, or refused with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.xyz_text import (
    LATTICE,
    PROPERTIES,
    atoms,
    dataset,
    frame,
    good,
    refused,
    text,
)

from gapfit.data.extxyz import header_words, value_of


def values(header: str) -> dict[str, object]:
    return {key: value_of(key, word) for key, word in header_words(header).items()}


@pytest.mark.parametrize("empty", ["", '""', "''", "{}"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_an_empty_value_takes_nothing_from_the_next_key(
    tmp_path: Path, empty: str, order: str
) -> None:
    words = [f"config_type={empty}", 'energy=-10.5 pbc="F F F"']
    words = words if order == "first" else words[::-1]
    header = f"{LATTICE} {PROPERTIES} {' '.join(words)}"
    one = frame(tmp_path, text(header))
    assert one.energy == -10.5
    assert not one.pbc.any()
    assert one.config_type == "default"


def test_an_empty_label_is_refused(tmp_path: Path) -> None:
    header = f'{LATTICE} {PROPERTIES} energy= pbc="T T T"'
    refused(tmp_path, text(header), r"frame 0: energy is '', which is not a number")


def test_empty_config_types_are_not_counted(tmp_path: Path) -> None:
    content = text(good("config_type=")) + text(good("config_type=bulk"))
    (report,) = [
        r for r in dataset(tmp_path, content).report if r.kind == "config_type"
    ]
    assert (report.n_frames, report.n_values) == (1, 2)
    assert report.note == "1 frames are 'default'"


@pytest.mark.parametrize(
    "key", ["Lattice", "lattice", "LATTICE", "cell", "Cell", "CELL"]
)
@pytest.mark.parametrize("properties", ["Properties", "properties", "PROPERTIES"])
def test_keys_in_any_case_make_a_crystal(
    tmp_path: Path, key: str, properties: str
) -> None:
    header = (
        f'energy=-10.5 {key}="0 2.7 2.7 2.7 0 2.7 2.7 2.7 0" '
        f"{properties}=Species:S:1:POS:R:3:Force:R:3"
    )
    one = frame(tmp_path, text(header))
    assert one.pbc.all()
    assert one.volume == pytest.approx(2 * 2.7**3)
    assert one.forces[0, 0] == 0.1


@pytest.mark.parametrize(
    "value",
    [
        '"5 0 0 0 6 0 0 0 7"',
        "'5 0 0 0 6 0 0 0 7'",
        "{5 0 0 0 6 0 0 0 7}",
        "[5, 0, 0, 0, 6, 0, 0, 0, 7]",
        "[[5, 0, 0], [0, 6, 0], [0, 0, 7]]",
        '"[[5 0 0] [0 6 0] [0 0 7]]"',
        '"_JSON [[5, 0, 0], [0, 6, 0], [0, 0, 7.0]]"',
        '"5,0,0,0,6,0,0,0,7"',
        '"5.0D+00 0 0 0 0.6d1 0 0 0 7"',
        '"5 6 7"',
    ],
)
def test_cells_in_every_form(tmp_path: Path, value: str) -> None:
    one = frame(tmp_path, text(f"Lattice={value} {PROPERTIES} energy=-1"))
    np.testing.assert_array_equal(one.cell, np.diag([5.0, 6, 7]))


def test_lattice_vectors_are_rows(tmp_path: Path) -> None:
    rows = "1 2 3 -1 4 0.5 0 -1 6"
    flat = frame(tmp_path, text(f'Lattice="{rows}" {PROPERTIES} energy=-1'))
    nested = frame(
        tmp_path,
        text(f"Lattice=[[1,2,3],[-1,4,0.5],[0,-1,6]] {PROPERTIES} energy=-1"),
    )
    assert flat.cell.tolist() == [[1, 2, 3], [-1, 4, 0.5], [0, -1, 6]]
    assert nested.cell.tolist() == flat.cell.tolist()


@pytest.mark.parametrize(
    "words",
    [
        'Lattice="5 0 0 0 5 0 0 0"',
        'Lattice="5 0 0 0 5 0 0 0 nan"',
        'Lattice="5 0 0 0 5 0 0 0 1e999"',
        'Lattice="a b c"',
        "Lattice=",
        "Lattice=5 0 0 0 5 0 0 0 5",
        'Lattice: "5 0 0 0 5 0 0 0 5"',
        'cell="5 5 5 90 90 90"',
        'latice="5 0 0 0 5 0 0 0 5"',
        'unit_cell="5 0 0 0 5 0 0 0 5"',
        'Lattice_vectors="5 0 0 0 5 0 0 0 5"',
        'Box="5 5 5"',
        'lattice_parameters="5 5 5 90 90 90"',
        'Lattice="5 0 0 0 5 0 0 0 5" lattice="6 0 0 0 5 0 0 0 5"',
    ],
)
def test_doubtful_cells_are_refused_with_their_key(tmp_path: Path, words: str) -> None:
    key = words.split("=")[0].split(":")[0]
    content = text(good()) + text(f"{PROPERTIES} energy=-1 {words}")
    refused(tmp_path, content, rf"a\.xyz, frame 1 \(line 6\): .*{key}")


def test_keys_that_are_no_cells_are_kept(tmp_path: Path) -> None:
    one = atoms(
        tmp_path, text(f"{PROPERTIES} cell=primitive box_name=b polarisability=[1,2,3]")
    )
    assert one.cell.rank == 0
    assert one.info["cell"] == "primitive"
    assert one.info["polarisability"].tolist() == [1, 2, 3]


PERIODIC = {
    '"T F T"': (1, 0, 1),
    "[T, F, T]": (1, 0, 1),
    "{T F T}": (1, 0, 1),
    "'T F T'": (1, 0, 1),
    '"true false True"': (1, 0, 1),
    '"1 0 1"': (1, 0, 1),
    '"T 0 true"': (1, 0, 1),
    '"TRUE,F,.true."': (1, 0, 1),
    '"_JSON [true, false, true]"': (1, 0, 1),
    "T": (1, 1, 1),
    "True": (1, 1, 1),
    "1": (1, 1, 1),
    "F": (0, 0, 0),
}


@pytest.mark.parametrize("value", PERIODIC)
@pytest.mark.parametrize("key", ["pbc", "PBC"])
def test_words_for_periodicity(tmp_path: Path, key: str, value: str) -> None:
    one = frame(tmp_path, text(good(f"{key}={value}")))
    assert tuple(one.pbc) == PERIODIC[value]


@pytest.mark.parametrize(
    "words",
    [
        *('pbc="T T"', "pbc=TTT", 'pbc="yes no no"', "pbc=2", 'pbc=""', "pbc="),
        *("pbc=T T F", 'pbc="T T T T"', "pbc=[T,T,x]", 'pbc="1.0 1.0 1.0"'),
        *('periodic="F F F"', "Periodic=no", 'pbc="T T T" PBC="T T F"'),
    ],
)
def test_other_words_for_periodicity_are_refused(tmp_path: Path, words: str) -> None:
    key = words.partition("=")[0]
    refused(tmp_path, text(good(words)), rf"frame 0 \(line 2\): {key}")


def test_periodicity_follows_from_the_cell(tmp_path: Path) -> None:
    assert frame(tmp_path, text(good())).pbc.all()
    assert not frame(tmp_path, text(f"{PROPERTIES} energy=-1")).pbc.any()


VOIGT = [1.0, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "value",
    [
        '"1 6 5 6 2 4 5 4 3"',
        '"1 2 3 4 5 6"',
        "'1, 2, 3, 4, 5, 6'",
        "{1 2 3 4 5 6}",
        "[1, 2, 3, 4, 5, 6]",
        "[1,6,5,6,2,4,5,4,3]",
        "[[1,6,5],[6,2,4],[5,4,3]]",
        "[[1, 6, 5], [6, 2, 4], [5, 4, 3.0]]",
        "[[1 6 5] [6 2 4] [5 4 3]]",
        '"[[1, 6, 5], [6, 2, 4], [5, 4, 3]]"',
        '"[1, 2, 3, 4, 5, 6]"',
        '"_JSON [[1,6,5],[6,2,4],[5,4,3]]"',
        '"1.0D0 2 3 4 5 6"',
    ],
)
@pytest.mark.parametrize("key", ["stress", "virial", "REF_stress", "Virial", "STRESS"])
def test_stress_and_virial_in_every_form(tmp_path: Path, key: str, value: str) -> None:
    one = frame(tmp_path, text(good(f"{key}={value}")))
    measured = one.virial if "virial" in key.lower() else one.stress
    np.testing.assert_allclose(measured, VOIGT)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"1 2 3 4 5"', r"shape \(5,\)"),
        ("[[1,2],[3,4]]", r"shape \(2, 2\)"),
        ("[[1,2,3],[4,5],[6]]", "is not a number"),
        ('"1 6 5 6 2 4 5 4.5 3"', "is not symmetric"),
        ("[[1,6,5],[0,2,4],[5,4,3]]", "is not symmetric"),
        ("unknown", "is not a number"),
        ("", "is not a number"),
        ('"_JSON {"', "is not a number"),
        ('"1 2 3 4 5 6 GPa"', "is not a number"),
        ('"1 2 3 4 5 nan"', "stress is nan"),
        ('"1 0 0 0 1e999 0 0 0 1"', "stress is -?inf"),
    ],
)
@pytest.mark.parametrize("key", ["stress", "virial"])
def test_a_stress_that_cannot_be_fitted_does_no_harm_where_it_is_not_used(
    tmp_path: Path, key: str, value: str, problem: str
) -> None:
    content = text(good()) + text(good(f"{key}={value} t=1"))
    named = "stress" if "stress is" in problem else key
    refused(
        tmp_path, content, rf"a\.xyz, frame 1: {named} .*{problem}|frame 1: {problem}"
    )
    one = dataset(tmp_path, content, use_stress=False).frames[1]
    assert one.virial is None
    assert one.energy == -10.5
    atoms(tmp_path, text(good(f"{key}={value}")))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("energy=1 energy=2", "energy is given twice, as '1' and '2'"),
        ("energy=-10.5 Ry", "energy=-10.5 is followed by 'Ry'"),
        ("energy=-10.5 Hartree t=1", "energy=-10.5 is followed by 'Hartree'"),
        ("stress=1 2 3 4 5 6", "stress=1 is followed by '2'"),
        ('energy=-10.5"', "is not one value"),
        ('energy="-10.5', 'the value of energy begins with " and never ends'),
        ("energy='-10.5", "the value of energy begins with ' and never ends"),
        ("a={1 2 energy=1", "the value of a begins with { and never ends"),
        ("a=[[1, 2] energy=1", r"the value of a begins with \[ and never ends"),
        ('a="x"energy=1', "follows the value of a without a space"),
        ("config_type=energy=-1", "config_type='energy=-1' is not one value"),
        ("energy:-1", "'energy:-1' has no '='; write key=value"),
        ("REF_stress a=1 energy: -1", "'energy:' has no '='; write key=value"),
        ("energy=1 ==", "expected key=value in the header, found '=='"),
        ("energy=1 [3]", r"expected key=value in the header, found '\[3\]'"),
    ],
)
def test_a_broken_grammar_is_refused(tmp_path: Path, words: str, problem: str) -> None:
    refused(
        tmp_path,
        text(f"{LATTICE} {PROPERTIES} {words}"),
        rf"a\.xyz, frame 0 \(line 2\): .*{problem}",
    )


def test_words_that_belong_to_no_key_are_refused_where_the_stress_is_not_used_too(
    tmp_path: Path,
) -> None:
    refused(
        tmp_path,
        text(f"{LATTICE} {PROPERTIES} stress=1 2 3 4 5 6"),
        "stress=1 is followed by '2'; quote values with spaces",
        use_stress=False,
    )


def test_an_energy_without_equals_sign_is_refused(tmp_path: Path) -> None:
    header = f"{LATTICE} {PROPERTIES} energy -1"
    refused(tmp_path, text(header), "frame 0: energy is 'True', which is not a number")


@pytest.mark.parametrize("value", ["-1eV", '"-1 Ry"', "-1,5", "1_0", "١", "T", "1..2"])
def test_energies_that_are_no_numbers_are_refused(tmp_path: Path, value: str) -> None:
    header = f"{LATTICE} {PROPERTIES} energy={value}"
    refused(tmp_path, text(header), "frame 0: energy ")


def test_spaces_commas_units_and_exponents(tmp_path: Path) -> None:
    for words in ("energy = -10.5", "energy= -1.05D+01", "energy =-10.5 eV"):
        one = frame(tmp_path, text(f"{LATTICE} {PROPERTIES} {words}"))
        assert one.energy == -10.5
    header = "i = 0, time = 0.5, E = -10.5"
    assert values(header) == {"i": 0, "time": 0.5, "E": -10.5}


def test_values_of_all_types() -> None:
    read = values(
        'a=1 b=-2.5 c=T d="T F" e="1 2" f={1.5 2} g=[a, "b c"] h="a b" i="x \\"y\\" z" '
        '"my key"=3 flag j=_JSON k="_JSON {\\"n\\": [1]}" l=1e400 m=99999999999999999999 '
        "n=a=b o=it's p=[[1,2],[3,4]] uid=007 config_type=1e5 q='5' r=T,F"
    )
    arrays = {key: read.pop(key).tolist() for key in "defpr"}
    assert arrays == {
        "d": [True, False],
        "e": [1, 2],
        "f": [1.5, 2.0],
        "p": [[1, 2], [3, 4]],
        "r": [True, False],
    }
    assert read == {
        "a": 1,
        "b": -2.5,
        "c": True,
        "h": "a b",
        "i": 'x "y" z',
        "my key": 3,
        "g": ["a", "b c"],
        "flag": True,
        "j": "_JSON",
        "k": {"n": [1]},
        "l": np.inf,
        "m": 1e20,
        "n": "a=b",
        "o": "it's",
        "uid": "007",
        "config_type": "1e5",
        "q": 5,
    }


def test_names_of_kinds_are_texts(tmp_path: Path) -> None:
    for name in ("001", "T", "1e5", "nan", "a,b"):
        assert frame(tmp_path, text(good(f"config_type={name}"))).config_type == name


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "a crystal",
        "it's 5\" wide",
        "step = 3 of 'many",
        "energies: [1, 2] eV",
        "===",
    ],
)
def test_plain_comments_may_have_any_form(tmp_path: Path, comment: str) -> None:
    one = atoms(tmp_path, text(comment, "H 0 0 0 0.5\nH 0 0 1 0.5 7\n"))
    assert one.get_chemical_formula() == "H2"
    assert one.positions[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "comment",
    ['Lattice "5 0 0 0 5 0 0 0 5"', '{"Lattice": [5, 5, 5]}', "Properties: a"],
)
def test_comments_that_mean_a_header_are_refused(tmp_path: Path, comment: str) -> None:
    refused(tmp_path, text(comment), r"frame 0 \(line 2\): the header has .* no '='")


def test_long_headers_are_read_in_time_and_refused_in_few_words(tmp_path: Path) -> None:
    many = " ".join(f"k{n}={n}" for n in range(20_000))
    assert atoms(tmp_path, text(good(many))).info["k19999"] == 19_999
    refused(tmp_path, text(good("a=" + "[" * 100_000)), "never ends")
    refused(tmp_path, text(good("x" * 100_000 + '="1')), "never ends")
    deep = "[" * 5000 + "]" * 5000
    assert atoms(tmp_path, text(good(f"a={deep}"))).info["a"] == deep
    assert atoms(tmp_path, text(good(f'a="_JSON {deep}"'))).info["a"] == f"_JSON {deep}"
