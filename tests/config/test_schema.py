"""JSON schema of the configurations, judged by an independent validator."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gapfit.config import FitConfig, LearnConfig, config_from_dict
from gapfit.config.describe import all_tables, is_table
from gapfit.config.schema import config_schema
from gapfit.config.template import template_toml

jsonschema = pytest.importorskip("jsonschema")

EXAMPLES = Path(__file__).parents[2] / "examples"
MINIMAL = {"data": {"train": "a.xyz"}, "terms": [{}]}


def problems(values, kind=FitConfig):
    schema = config_schema(kind)
    validator = jsonschema.Draft7Validator
    validator.check_schema(schema)
    return [
        ".".join(map(str, error.absolute_path))
        for error in validator(schema).iter_errors(values)
    ]


@pytest.mark.parametrize(
    "path",
    sorted([*EXAMPLES.glob("*/fit.toml"), *EXAMPLES.glob("*/learn.toml")]),
    ids=lambda path: path.parent.name,
)
def test_the_examples_are_valid(path):
    kind = LearnConfig if path.name == "learn.toml" else FitConfig
    assert not problems(tomllib.loads(path.read_text(encoding="utf-8")), kind)


def test_the_template_is_valid():
    terms = [{}, {"type": "distance_2b"}, {"type": "angle_3b"}]
    config = config_from_dict(
        {**MINIMAL, "terms": terms, "e0": {"Si": -0.8}, "tune": {}}
    )
    assert not problems(tomllib.loads(template_toml(config)))


@pytest.mark.parametrize("kind", [FitConfig, LearnConfig])
def test_it_has_every_key_with_its_meaning(kind):
    tables = config_schema(kind)["definitions"]
    for path, model in all_tables(kind):
        for name, field in model.model_fields.items():
            if path and not is_table(field):
                key = tables[model.__name__]["properties"][name]
                assert key["description"].startswith(field.description), (path, name)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"run": {"workrs": 2}}, "run"),
        ({"run": {"memory": "4"}}, "run.memory"),
        ({"solver": {"method": "lu"}}, "solver.method"),
        ({"sigma": {"energy": 0}}, "sigma.energy"),
        (
            {"sigma": {"config_types": {"a": {"force": 1}}}},
            "sigma.config_types.a",
        ),
        ({"terms": [{"type": "distance_2b", "l_max": 4}]}, "terms.0"),
        ({"terms": [{"type": "distance_3b"}]}, "terms.0"),
        ({"terms": [{"r_cut": "5 A"}]}, "terms.0"),
        ({"terms": []}, "terms"),
        ({"data": {"train": []}}, "data.train"),
        ({"data": {}}, "data"),
        ({"reference": {}}, ""),
    ],
)
def test_mistakes_are_found_where_they_are(changes, place):
    assert not problems(MINIMAL)
    assert problems({**MINIMAL, **changes}) == [place]


def test_learning_may_start_without_data():
    learning = {
        "terms": [{}],
        "threshold": {"forces": 0.3},
        "runs": [{"start": "a.xyz"}],
    }
    assert not problems(learning, LearnConfig)
    assert problems({**learning, "threshold": {"force": 1}}, LearnConfig) == [
        "threshold"
    ]
    assert problems({"terms": [{}]}, FitConfig) == [""]
