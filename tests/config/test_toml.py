"""Reading fit.toml: every mistake is named with its line and the way out."""

from pathlib import Path

import numpy as np
import pytest

from gapfit.config.sections import FitConfig, SoapConfig
from gapfit.config.template import template_toml
from gapfit.config.toml import config_from_dict, dump_toml, load_config
from gapfit.errors import ConfigError

GOOD = {"data": {"train": ["train.xyz"]}, "terms": [{"type": "soap"}]}

#: The example of the documentation, as far as this version knows it.
FULL = """\
[data]
train = "train.extxyz"            # or a list; relative to this file
test = "test.extxyz"              # optional
[sigma]
energy = 0.002
forces = 0.05
virial = 0.05
[sigma.config_types.liquid]
energy = 0.01
[e0]
Si = -0.81
[[terms]]
type = "soap"
r_cut = 5.0
n_max = 8
l_max = 6
atom_sigma = 0.5
zeta = 4
delta = 3.0
n_sparse = 1000
sparse_method = "cur"
[solver]
method = "cholesky"
jitter = 1e-8
[run]
memory = "4 GB"
threads = 0
seed = 0
"""


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return a function that loads a text and gives the lines of the error."""
    monkeypatch.chdir(tmp_path)

    def load(text):
        Path("fit.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config("fit.toml")
        return str(caught.value).split("\n")

    return load


def test_full_example(tmp_path):
    path = tmp_path / "fit.toml"
    path.write_text(FULL, encoding="utf-8")
    config = load_config(path)
    assert config.data.train == ["train.extxyz"]
    assert config.data.test == ["test.extxyz"]
    assert config.sigma.config_types["liquid"].energy == 0.01
    assert config.sigma.config_types["liquid"].forces is None
    assert config.e0.given == {"Si": -0.81}
    assert config.terms[0].zeta == 4.0
    assert config.solver.jitter == 1e-8


def test_all_problems_are_listed_with_lines_and_nearest_names(problems):
    text = """\
n_sparse = 3
[data]
train = "a.xyz"
zeta = 3
energykey = "a"
[sigma]
energy = -1
forces = "0.1"
[sigma.config_types."hot liquid"]
enrgy = 0.1
[sigmas]
a = 1
[e0]
si = 1.0
Ge = "x"
metod = "isolated"
"""
    assert problems(text + "[[terms]]\n") == [
        "fit.toml, line 1: unknown key `n_sparse`; `n_sparse` belongs to [[terms]]",
        "fit.toml, line 4: [data]: unknown key `zeta`; `zeta` belongs to [[terms]]",
        "fit.toml, line 5: [data]: unknown key `energykey`; did you mean `energy_key`?",
        "fit.toml, line 7: [sigma]: `energy` = -1 must be a number >= 1e-10 eV/atom "
        "(of the energy; times sqrt(n_atoms) on the total)",
        'fit.toml, line 8: [sigma]: `forces` = "0.1" must be a number >= 1e-10 eV/Å '
        "(of a force component)",
        'fit.toml, line 10: [sigma.config_types."hot liquid"]: unknown key `enrgy`; '
        "did you mean `energy`?",
        "fit.toml, line 11: unknown table [sigmas]; did you mean [sigma]?",
        "fit.toml, line 14: [e0]: `si` is neither a chemical symbol nor `method`; "
        "did you mean `Si`?",
        'fit.toml, line 15: [e0]: `Ge` = "x" must be a number, in eV',
        "fit.toml, line 16: [e0]: `metod` is neither a chemical symbol nor `method`; "
        "did you mean `method`?",
    ]


def test_problems_of_terms_and_solver_are_listed_with_lines(problems):
    text = """\
[[terms]]
n_spase = 100
r_cut = 0.5
[terms.weighting]
function = "pol"
rnought = 3
[[terms]]
n_max = 8.0
[solver]
r0 = 1
[run]
memory = "4"
seed = inf
store_posterior = 1
"""
    missing = "fit.toml: the table [data] is missing; it must give `train`"
    assert problems(text) == [
        missing,
        "fit.toml, line 2: [[terms]] 1: unknown key `n_spase`; "
        "did you mean `n_sparse`?",
        "fit.toml, line 3: [[terms]] 1: `r_cut` = 0.5 must be a number > 1 and <= 20 Å "
        "(cutoff radius)",
        'fit.toml, line 5: [[terms]] 1, [terms.weighting]: `function` = "pol" must be '
        '"poly" or "pow" or "exp" or "none" (poly ends smoothly at r0; the others jump '
        "at the cutoff, unfit for MD)",
        "fit.toml, line 6: [[terms]] 1, [terms.weighting]: unknown key `rnought`; "
        "known here: function, r0, c, d, m, w0",
        "fit.toml, line 8: [[terms]] 2: `n_max` = 8.0 must be a whole number >= 1 and "
        "<= 14 (radial functions; above 12 they lose digits)",
        "fit.toml, line 10: [solver]: unknown key `r0`; `r0` belongs to "
        "[terms.weighting]",
        'fit.toml, line 12: [run]: `memory` = "4" must be a text such as "4 GB" '
        "(limit per process, plus 0.2 GB of Python; a quarter for choosing sparse points)",
        "fit.toml, line 13: [run]: `seed` = inf must be a whole number >= 0 "
        "(seed of the random number generator)",
        "fit.toml, line 14: [run]: `store_posterior` = 1 must be true or false "
        "(store the posterior, for uncertainties, in the model file)",
    ]


def test_options_of_the_descriptor_are_judged(problems):
    text = """[data]
train = "a"
[[terms]]
components = 0
[[terms]]
components = "some"
[[terms]]
components = 1.5
[[terms]]
rbf = "polynomial"
n_max = 10
[[terms]]
species_weights = {Xx = 1.0}
[[terms]]
compresion = "mu2"
species_weights = {Si = "a"}
[[terms]]
species_weights = {Si = 0.0}
[prediction]
projct = true
"""
    kept = (
        'it must be "all", a whole number >= 1, or a relative size from 1e-7 to below 1'
    )
    assert problems(text) == [
        f"fit.toml, line 4: [[terms]] 1: `components` = 0: {kept}",
        f'fit.toml, line 6: [[terms]] 2: `components` = "some": {kept}',
        f"fit.toml, line 8: [[terms]] 3: `components` = 1.5: {kept}",
        "fit.toml, line 9: [[terms]] 4: n_max = 10, l_max = 6: the polynomial basis is "
        'good to n_max = 8 and l_max = 9; use rbf = "gto"',
        "fit.toml, line 12: [[terms]] 5: not a chemical symbol: Xx",
        "fit.toml, line 15: [[terms]] 6: unknown key `compresion`; did you mean "
        "`compression`?",
        'fit.toml, line 16: [[terms]] 6, [terms.species_weights]: `Si` = "a" must be a '
        "number",
        "fit.toml, line 17: [[terms]] 7: species_weights must be positive",
        "fit.toml, line 20: [prediction]: unknown key `projct`; did you mean `project`?",
    ]


@pytest.mark.parametrize("kept", ["all", 80, 0.001])
def test_components_are_kept_as_given(kept):
    assert SoapConfig(components=kept).components == kept


def test_a_three_body_term_has_its_own_keys(problems):
    text = """[data]
train = "a"
[[terms]]
type = "angle_3b"
theta = 1.0
n_spase = 3
[[terms]]
type = "angle_3b"
theta = [1.0, 1.0]
[[terms]]
type = "angle_3b"
theta = [1.0, -1.0, 1.0]
[[terms]]
type = "angle_3b"
width = 3.5
"""
    theta = (
        "must be a list of 3 numbers >= 0.05 Å, Å², Å (lengths for sum, squared "
        "difference of these sides, and opposite side)"
    )
    assert problems(text) == [
        f"fit.toml, line 5: [[terms]] 1: `theta` = 1.0 {theta}",
        "fit.toml, line 6: [[terms]] 1: unknown key `n_spase`; did you mean `n_sparse`?",
        f"fit.toml, line 9: [[terms]] 2: `theta` = [1.0, 1.0] {theta}",
        f"fit.toml, line 12: [[terms]] 3: `theta` = -1.0 {theta}",
        "fit.toml, line 13: [[terms]] 4: width = 3.5 Å: it must be less than r_cut = 3.5 Å",
    ]


def test_a_pair_term_has_its_own_keys(problems):
    text = """[data]
train = "a"
[[terms]]
type = "distance_2b"
zeta = 2
theta = -1
[[terms]]
type = "distance_2b"
r_cut = 3.0
width = 3.0
[[terms]]
theta = 0.5
"""
    assert problems(text) == [
        "fit.toml, line 5: [[terms]] 1: unknown key `zeta`; `zeta` belongs to terms "
        'of type "soap"',
        "fit.toml, line 6: [[terms]] 1: `theta` = -1 must be a number >= 0.05 Å "
        "(length over which the potential varies)",
        "fit.toml, line 7: [[terms]] 2: width = 3.0 Å: it must be less than r_cut = 3.0 Å",
        "fit.toml, line 12: [[terms]] 3: unknown key `theta`; `theta` belongs to "
        'terms of type "distance_2b" or "angle_3b" or "eam_density"',
    ]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ACE", 'did you mean "ace"?'),
        ("sope", 'did you mean "soap"?'),
        ("mtp", 'use "soap" or "distance_2b" or "angle_3b" or "ace" or "eam_density"'),
    ],
)
def test_unknown_term(problems, name, advice):
    """Keys of the kind that was meant are no mistakes."""
    keys = "orders = [3]\nn_max = [2]\nl_max = [2]" if name != "sope" else "n_max = 3"
    text = f'[data]\ntrain = "a"\n[[terms]]\ntype = "{name}"\n{keys}\n'
    assert problems(text) == [
        f'fit.toml, line 4: [[terms]] 1: `type` = "{name}" is unknown; {advice}'
    ]


def test_unknown_term_hides_nothing_else(problems):
    text = """\
[data]
train = "a"
[[terms]]
type = "sopa"
n_spase = 100
r_cut = 0.5
weighting = { ro = 3 }
"""
    assert problems(text) == [
        'fit.toml, line 4: [[terms]] 1: `type` = "sopa" is unknown; did you '
        'mean "soap"?',
        "fit.toml, line 5: [[terms]] 1: unknown key `n_spase`; did you mean `n_sparse`?",
        "fit.toml, line 6: [[terms]] 1: `r_cut` = 0.5 must be a number > 1 and <= 20 Å "
        "(cutoff radius)",
        "fit.toml, line 7: [[terms]] 1, [terms.weighting]: unknown key `ro`; "
        "did you mean `r0`?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            [
                "fit.toml: the table [data] is missing; it must give `train`",
                "fit.toml: the table [[terms]] is missing; one is needed",
            ],
        ),
        (
            "[data]\n[[terms]]\n",
            [
                "fit.toml, line 1: [data]: `train` is missing: training files; "
                "relative to this file"
            ],
        ),
        (
            "[data]\ntrain = []\n[[terms]]\n",
            [
                "fit.toml, line 2: [data]: `train` = [] must be a text or a list of "
                "texts, at least one (training files; relative to this file)"
            ],
        ),
        (
            '[data]\ntrain = ["a",\n  2]\n[[terms]]\n',
            [
                "fit.toml, line 2: [data]: `train` = 2 must be a text or a list of "
                "texts, at least one (training files; relative to this file)"
            ],
        ),
        (
            '[data]\ntrain = "a"\n[terms]\nzeta = 2\n',
            [
                "fit.toml, line 3: [[terms]] must be an array of tables, "
                "written [[terms]]"
            ],
        ),
        (
            '[data]\ntrain = "a"\n[[terms]]\n[[solver]]\nmethod = "qr"\n',
            ["fit.toml, line 4: [solver] must be a table, written [solver]"],
        ),
        (
            '[data]\ntrain = "a"\n[[terms]]\n[[term]]\nzeta = 1\n',
            ["fit.toml, line 4: unknown table [[term]]; did you mean [[terms]]?"],
        ),
        (
            '[data]\ntrain = "a"\n[[terms]]\n[weighting]\nm = 1\n',
            [
                "fit.toml, line 4: unknown table [weighting]; `weighting` belongs to "
                "[terms.weighting]"
            ],
        ),
        (
            '[data]\ntrain = "a"\n[[terms]]\nweighting = { m = 0 }\n',
            [
                "fit.toml, line 4: [[terms]] 1, [terms.weighting]: `m` = 0 must be a "
                "number >= 1 (exponent of poly and pow)"
            ],
        ),
        (
            '[data]\ntrain = "a"\n[[terms]]\n[eo]\nSi = -0.8\n',
            ["fit.toml, line 4: unknown table [eo]; did you mean [e0]?"],
        ),
        (
            'xyzzy = 1\n[data]\ntrain = "a"\n[[terms]]\n',
            [
                "fit.toml, line 1: unknown key `xyzzy`; known here: tables only, "
                "see `gapfit init`"
            ],
        ),
    ],
)
def test_missing_and_misplaced(problems, text, expected):
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[data]\ntrain = a\n",
            "fit.toml, line 2, column 9: not valid TOML: invalid value; texts need "
            "quotes, decimals a point: `train = a`",
        ),
        (
            "[data]\ntrain 3\n",
            "fit.toml, line 2, column 7: not valid TOML: expected '=' after a key in a "
            "key/value pair: `train 3`",
        ),
        (
            '[data]\ntrain = [\n"a"',
            'fit.toml, line 3: not valid TOML: unclosed array: `"a"`',
        ),
    ],
)
def test_broken_toml(problems, text, expected):
    assert problems(text) == [expected]


@pytest.mark.parametrize("value", ["[" * 5000, "1" * 5000, "{a = " * 5000])
def test_absurd_values_are_one_clear_line(problems, value):
    (problem,) = problems(f"[data]\ntrain = {value}\n")
    assert problem.startswith("fit.toml")
    assert len(problem) < 300


def test_data_in_place_of_a_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    xyz = "1\nProperties=species:S:1:pos:R:3\nSi 0 0 0\n"
    for name in ("my data.xyz", "data.toml", "data"):
        Path(name).write_text(xyz, encoding="utf-8")
        quoted = f"'{name}'" if " " in name else name
        with pytest.raises(ConfigError) as caught:
            load_config(name)
        assert str(caught.value) == (
            f"{name}: contains structures, not a configuration; `gapfit init {quoted}` "
            "writes a configuration for them"
        )
    Path("data.db").write_bytes(b"\xff\xfe\x00")
    Path("fit.conf").write_text("[data\n", encoding="utf-8")
    for name, what in (
        ("data.db", "cannot be read as UTF-8 text: "),
        ("fit.conf", "not valid TOML: "),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(name)
        assert what in str(caught.value)
        assert str(caught.value).endswith(
            f"; if it contains structures, `gapfit init {name}` writes a configuration"
        )


def test_missing_file(tmp_path):
    path = tmp_path / "none.toml"
    with pytest.raises(
        ConfigError, match=r"none\.toml: no such file; `gapfit init DATA`"
    ):
        load_config(path)


def test_not_text(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8 text"):
        load_config(path)


def test_windows_line_ends_and_byte_order_mark(tmp_path):
    path = tmp_path / "fit.toml"
    path.write_bytes(b"\xef\xbb\xbf[data]\r\ntrain = 'a'\r\n[[terms]]\r\n")
    assert load_config(path).data.train == ["a"]


def test_dictionary_gives_messages_without_lines():
    with pytest.raises(ConfigError) as caught:
        config_from_dict({**GOOD, "solver": {"jiter": 1}}, "my settings")
    assert str(caught.value) == (
        "my settings: [solver]: unknown key `jiter`; did you mean `jitter`?"
    )


def test_dictionary_takes_python_types():
    config = config_from_dict(
        {
            "data": {"train": (Path("a.xyz"),), "test": None},
            "terms": [{"n_sparse": np.int64(7), "r_cut": np.float64(4.5)}],
        }
    )
    assert config.data.train == ["a.xyz"]
    assert config.terms[0].n_sparse == 7
    assert config_from_dict(config) is config


def test_not_a_dictionary():
    with pytest.raises(ConfigError, match="config: must be a dictionary, not list"):
        config_from_dict([1])  # type: ignore[arg-type]


def test_written_configuration_round_trips(tmp_path):
    config = config_from_dict(
        {
            "data": {"train": ['with "quotes" \\ and ü.xyz', "b"], "test": "c"},
            "sigma": {"energy": 1e-3, "config_types": {"hot liquid": {"forces": 0.3}}},
            "e0": {"Si": -0.8, "Ge": 1, "method": "least_squares"},
            "terms": [{"weighting": {"m": 2, "w0": 1.0}}, {"zeta": 2}],
            "solver": {"jitter": 1e-10},
        }
    )
    path = tmp_path / "fit.toml"
    path.write_text(dump_toml(config), encoding="utf-8")
    assert load_config(path) == config


def test_every_default_is_written():
    text = dump_toml(FitConfig.model_validate(GOOD))
    for line in ('function = "poly"', "jitter = 1e-8", 'memory = "4 GB"', "l_max = 6"):
        assert f"\n{line}\n" in text


def test_tables_of_numbers_are_written_and_read_back(tmp_path):
    config = config_from_dict(
        {
            "data": {"train": "a.xyz"},
            "terms": [
                {"species_weights": {"Si": 2.0}, "config_type_n_sparse": {"hot": 3}},
                {"type": "distance_2b", "config_type_n_sparse": {"a b": 2}},
                {"type": "angle_3b", "theta": [0.5, 1, 2]},
            ],
        }
    )
    (tmp_path / "fit.toml").write_text(dump_toml(config), encoding="utf-8")
    assert load_config(tmp_path / "fit.toml") == config
    (tmp_path / "more.toml").write_text(template_toml(config), encoding="utf-8")
    assert load_config(tmp_path / "more.toml") == config


def test_an_empty_list_under_a_name_like_that_of_a_table_is_one():
    with pytest.raises(ConfigError, match=r"\[\[term\]\]; did you mean \[\[terms\]\]"):
        config_from_dict({"data": {"train": ["a.xyz"]}, "term": []})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"terms": []}, "[[terms]]: there is none; give at least one"),
        ({"terms": ["soap"]}, "[[terms]] 1 = soap: must be a table of keys"),
        (
            {"terms": [{"type": "angle_3b", "foo": 1}]},
            "[[terms]] 1: unknown key `foo`; known here: type, r_cut",
        ),
        (
            {"data": {"train": ["a"], "frame_sigmas": "sum"}},
            'must be "per_atom" or "total"',
        ),
    ],
)
def test_mistakes_of_dictionaries_are_told_in_words(changes, message):
    given = {"data": {"train": ["a.xyz"]}, "terms": [{"type": "soap"}], **changes}
    with pytest.raises(ConfigError) as caught:
        config_from_dict(given)
    assert message in str(caught.value)
    with pytest.raises(ConfigError) as direct:
        FitConfig(**given)
    assert str(direct.value) == str(caught.value).replace("config: ", "FitConfig: ")
