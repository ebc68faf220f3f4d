"""Configurations are written and read without change; damaged ones end in short errors."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest
from pydantic.fields import FieldInfo

from gapfit.config import FitConfig, LearnConfig, config_from_dict, load_config_as
from gapfit.config.describe import nested_models
from gapfit.config.template import template_toml
from gapfit.config.toml import dump_toml
from gapfit.errors import ConfigError

#: Tries in each run, and of the slow runs.
CONFIGS, DAMAGED, MANY = 25, 300, 100_000
PATIENCE = 10
_VALUE = re.compile(rb"= (.*)")

NAMES = [
    *(
        "bulk",
        "hot liquid",
        "ü",
        "漢字",
        "a.b",
        "q\"uo'te",
        "",
        " ",
        "\\",
        "#",
        "=",
        "]",
    ),
    *("\x07\x1b[2J", "a\nb", "\t", "\x7f", "\x85", "\u2028", "\ufeff", "\U0001f600"),
    *("-", "1", "1a", "nan", "true", "'''", '"""', "\r\n", "<script>", "x" * 300),
]
SYMBOLS = ["Si", "Ge", "H", "U"]
FLOATS = [-0.0, 0.0, 1e-30, 3e-29, 1e-8, 0.1, 1 / 3, 1e16, 1e22, 1e-5, 123456.789]
INTEGERS = [0, 1, 2, 7, 10**9, 2**63 - 1]
TOKENS = [
    *(
        "=",
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        "#",
        "\n",
        "\r",
        "\t",
        "\0",
        "\\",
        "ü",
    ),
    *("[[", "]]", '"""', "'''", "nan", "inf", "-inf", "1e999", "-0.0", "1_0", "0x1F"),
    *(
        "1979-05-27",
        "07:32:00",
        "true",
        "9" * 5000,
        "0x" + "f" * 40,
        "1" * 30,
        "\ufeff",
    ),
    *("[" * 3000, "{a=" * 3000, "a." * 3000, "x" * 5000, "-1", "1e-320", "[terms]"),
    *("[[terms]]", "[data]", "[a.b]", "type = ", "\u2028", "\ud7ff", "\x1b", "= {}"),
]

#: Values of all types, small, large and strange.
VALUES = [
    *(
        "true",
        "0",
        "-1",
        "1",
        "2",
        "118",
        "119",
        "9223372036854775807",
        "0x10",
        "1_000",
    ),
    *("0.0", "-0.0", "1.5", "1e-320", "1e300", "-1e30", "nan", "-inf", "1e1_0"),
    *('""', '"a"', '"Si"', '"\\u0000"', '"../x"', '"all"', '"1"', "'a'"),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[]", "[[]]", "[1, 1, 1]"),
    *('["a", 1]', "[true]", "[nan, nan, nan]", "{}", "[{}]", "{a = 1}", "{Si = 1}"),
    *("{Si = {Si = 1}}", "{Si = []}", '{"ü" = 1}', '{"" = 1}', "{type = 1}", "[[1]]"),
]
Damage = Callable[[np.random.Generator, bytearray], bytes]


def _value(rng: np.random.Generator, annotation: Any, field: FieldInfo | None) -> Any:
    """Return a value for a field; the limits of numbers are kept, other checks are not."""
    kind, parts = get_origin(annotation), get_args(annotation)
    limits = field.metadata if field is not None else []
    if kind is Annotated:
        limits = [*limits, *getattr(parts[1], "metadata", ())]
        return _number(rng, float, limits) if parts[0] is float else "all"
    if models := nested_models(annotation):
        if kind is list:
            return [_table(rng, rng.choice(models)) for _ in range(rng.integers(1, 4))]
        if kind is dict:
            names = rng.choice(NAMES, size=3)
            return {str(name): _table(rng, models[0]) for name in names}
        return _table(rng, models[0])
    if kind is Literal:
        return str(rng.choice(parts))
    if kind is list:
        size = next((m.min_length for m in limits if hasattr(m, "min_length")), 0)
        return [_value(rng, parts[0], None) for _ in range(max(size, 1))]
    if kind is dict:
        names = SYMBOLS if rng.integers(2) else NAMES
        return {
            str(name): _value(rng, parts[1], None)
            for name in rng.choice(names, size=rng.integers(3))
        }
    if parts:
        choices = [part for part in parts if part is not NoneType]
        return _value(rng, choices[rng.integers(len(choices))], field)
    if annotation in (int, float):
        return _number(rng, annotation, limits)
    if annotation is bool:
        return bool(rng.integers(2))
    if annotation is str:
        return str(rng.choice(NAMES))
    return [{"a": float(rng.choice(FLOATS))}, str(rng.choice(NAMES)), True, -3]


def _number(rng: np.random.Generator, kind: type, limits: list[Any]) -> Any:
    least, most = -math.inf, math.inf
    for limit in limits:
        least = max(least, *(getattr(limit, n, least) for n in ("ge", "gt")))
        most = min(most, *(getattr(limit, n, most) for n in ("le", "lt")))
    if kind is int:
        edges = [x for x in (least, most) if math.isfinite(x)]
        inside = [x for x in (*INTEGERS, *map(int, edges)) if least <= x <= most]
        return inside[rng.integers(len(inside))]
    inside = [x for x in FLOATS if least < x < most]
    if math.isfinite(most):
        inside += [rng.uniform(max(least, -most), most), math.nextafter(most, -most)]
    if math.isfinite(least):
        inside.append(math.nextafter(least, math.inf) if least else 1e-30)
    return float(rng.choice(inside))


def _table(rng: np.random.Generator, model: Any) -> dict[str, Any]:
    """Return a table with few or many of its keys."""
    share = rng.choice([0.1, 0.4])
    return {
        name: _value(rng, field.annotation, field)
        for name, field in model.model_fields.items()
        if name == "type" or field.is_required() or rng.random() < share
    }


def random_config(rng: np.random.Generator, kind: type[FitConfig]) -> FitConfig:
    """Return a valid configuration: values that contradict each other are drawn again."""
    values: dict[str, Any] = {"data": {"train": ["a"]}, "terms": [{}]}
    if kind is LearnConfig:
        values |= {"threshold": {"forces": 1.0}, "runs": [{"start": "a"}]}
    terms = []
    for name, field in kind.model_fields.items():
        models = nested_models(field.annotation)
        for model in models if name == "terms" else models[:1]:
            for _ in range(10):
                value = _value(
                    rng, list[model] if name == "terms" else field.annotation, field
                )
                if name == "e0":
                    value = {s: float(rng.choice(FLOATS)) for s in SYMBOLS[:2]}
                try:
                    kind.model_validate({**values, name: value})
                except ValueError:
                    continue
                terms += value if name == "terms" else []
                values[name] = terms if name == "terms" else value
                break
    return kind.model_validate(values)


@pytest.mark.parametrize("kind", [FitConfig, LearnConfig])
def test_configurations_are_written_and_read_without_change(tmp_path, kind):
    seen = round_trips(tmp_path / "fit.toml", kind, range(CONFIGS))
    assert seen >= {"soap", "distance_2b", "angle_3b", "quip", *kind.model_fields}


def round_trips(path: Path, kind: type[FitConfig], seeds: range) -> set[str]:
    """Return the names of all tables and kinds of terms that were written."""
    seen: set[str] = set()
    for seed in seeds:
        config = random_config(np.random.default_rng(seed), kind)
        for term in config.terms:
            seen |= {term.type, *term.model_fields_set}
        seen |= config.model_fields_set
        comments = {"e0": NAMES, "": NAMES}
        for text in (dump_toml(config), template_toml(config, comments)):
            path.write_text(text, encoding="utf-8", newline="")
            assert repr(load_config_as(kind, path)) == repr(config), seed
    return seen


def mutated(rng: np.random.Generator, data: bytearray) -> bytes:
    """Return a file after a few changes."""
    for _ in range(rng.integers(1, 6)):
        at, other = rng.integers(len(data) + 1, size=2)
        end = min(at + int(rng.integers(1, 20)), len(data))
        kind = rng.integers(6)
        if kind == 0:
            data[at:end] = b""
        elif kind in (1, 2):
            token = TOKENS[rng.integers(len(TOKENS))]
            data[at : at if kind == 1 else end] = token.encode()
        elif kind == 3:
            data[other:other] = data[at : at + int(rng.integers(1, 400))]
        elif kind == 4:
            data[at:end] = rng.bytes(end - at)
        elif match := list(_VALUE.finditer(data)):
            value = match[rng.integers(len(match))]
            token = TOKENS[rng.integers(len(TOKENS))]
            data[slice(*value.span(1))] = token.encode()
    return bytes(data)


def retyped(rng: np.random.Generator, data: bytearray) -> bytes:
    """Return valid TOML, mostly, with values of other types and tables of other kinds."""
    lines = data.decode().split("\n")
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(lines)))
        key, equals, value = lines[at].partition(" = ")
        new = VALUES[rng.integers(len(VALUES))]
        if equals:
            names = (key, key, key, f"{key}.a", f"a.{key}", f'"{key}"', '"ü\\u0000"')
            values = (new, new, f"[{value}]", f"[{value}, {new}]", f"{{{key} = {new}}}")
            pair = names[rng.integers(len(names))], values[rng.integers(len(values))]
            lines[at] = " = ".join(pair)
        elif key.startswith("["):
            name = key.strip("[]")
            titles = (f"[{name}]", f"[[{name}]]", f"[{name}.a]", f"[a.{name}]", "")
            lines[at] = titles[rng.integers(len(titles))]
        else:
            lines.insert(at, lines[rng.integers(len(lines))])
    return "\n".join(lines).encode()


def damaged(path: Path, tries: range, damage: Damage = mutated) -> int:
    """Return how many damaged configurations were refused."""
    refused = 0
    sound = [
        dump_toml(random_config(np.random.default_rng(n), kind)).encode()
        for n in range(5)
        for kind in (FitConfig, LearnConfig)
    ]
    for number in tries:
        kind = (FitConfig, LearnConfig)[number % 2]
        data = damage(np.random.default_rng(number), bytearray(sound[number % 10]))
        path.write_bytes(data)
        before = time.process_time()
        try:
            config = load_config_as(kind, path)
            path.write_text(dump_toml(config), encoding="utf-8", newline="")
            assert repr(load_config_as(kind, path)) == repr(config), data
        except ConfigError as error:
            require_short(str(error), path)
            refused += 1
        except Exception as error:
            raise AssertionError(f"try {number}: {error!r} for {data!r}") from error
        assert time.process_time() - before < PATIENCE
    return refused


def require_short(said: str, path: Path) -> None:
    """Require a message in which each line names the file, and few of them."""
    lines = said.splitlines()
    assert 1 <= len(lines) <= 10
    assert len(said) < 10_000
    assert all(line.startswith((str(path), "... (")) for line in lines)
    assert said.replace("\n", " ").isprintable()


@pytest.mark.parametrize("damage", [mutated, retyped])
def test_damaged_configurations(tmp_path, damage):
    assert damaged(tmp_path / "fit.toml", range(DAMAGED), damage) > DAMAGED // 2


@pytest.mark.slow
def test_many_configurations(tmp_path):
    for kind in (FitConfig, LearnConfig):
        round_trips(tmp_path / "fit.toml", kind, range(CONFIGS, MANY // 10))
    for damage in (mutated, retyped):
        damaged(tmp_path / "fit.toml", range(DAMAGED, MANY), damage)


SOUND = '[data]\ntrain = "a"\n[[terms]]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 10**4, "nested more than 32 deep"),
        ("x = " + "{a = " * 10**4, "nested more than 32 deep"),
        ("x = " + "[" * 100 + "]" * 100, "nested more than 32 deep"),
        ("a." * 33 + "a = 1", "a key has more than 32 parts in line 4"),
        ('"a" . ' * 33 + "a = 1", "a key has more than 32 parts in line 4"),
        ("[" + "a." * 10**5 + "a]", "a key has more than 32 parts in line 4"),
        ("seed = " + "9" * 5000, "a number has more than 400 digits in line 4"),
        ("x = 0." + "9" * 10**6, "a number has more than 400 digits in line 4"),
        ("n_sparse = 9223372036854775808", "integer of more than 64 bits"),
        ("n_sparse = 0x" + "f" * 10**5, "integer of more than 64 bits"),
        ("r_cut = nan", "`r_cut` = nan must be a number > 1"),
        ("r_cut = 1e999", "`r_cut` = inf must be a number > 1"),
        (
            "weighting = {c = 1e300}",
            "`c` = 1e+300: numbers must be 0, or between 1e-30",
        ),
        ("species_weights = {Si = 1e-99}", "`Si` = 1e-99: numbers must be 0"),
        ("r_cut = 1979-05-27", "`r_cut` = 1979-05-27 must be a number > 1"),
        ("zeta = 2\nzeta = 2", "line 5: not valid TOML: cannot overwrite a value"),
        ("zeta = \0", "there is a NUL in line 4"),
        ("zeta = \ud800", "the byte 0xed in line 4 is not UTF-8"),
        ("a\rb = 2", "not valid TOML"),
        ("x" * 10**6 + " = 2", "unknown key `xxx"),
        ("centres = ['" + "x" * 10**6 + "']", "not a chemical symbol: xxx"),
        ('centres = ["a\\nb"]', "not a chemical symbol: a\\nb"),
        ('"a\\nb" = 2', "unknown key `a\\nb`"),
        ("\n".join(f"k{n} = {n}" for n in range(20_000)), "unknown key `k0`"),
        ("x = " + '\\"' * 5 * 10**5, "not valid TOML"),
        ("x = [" + "1," * 5 * 10**5 + "]", "more than 50000 values and tables"),
        ("[[terms]]\n" * 10**5, "more than 50000 values and tables"),
        ("theta = 1\n" + "#" * (2 * 10**6), "is too large: it has more than the 2 MB"),
    ],
    ids=lambda text: text[:30],
)
def test_hostile_configurations(tmp_path, text, words):
    path = tmp_path / "fit.toml"
    path.write_bytes((SOUND + text).encode("utf-8", "surrogatepass"))
    before = time.process_time()
    with pytest.raises(ConfigError) as raised:
        load_config_as(FitConfig, path)
    assert time.process_time() - before < PATIENCE
    assert words in str(raised.value)
    require_short(str(raised.value), path)


def test_files_that_are_no_configurations(tmp_path):
    folder, pipe, large = (tmp_path / name for name in ("folder", "pipe", "large"))
    folder.mkdir()
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(10**11)
    for path, words in (
        (folder, "is a folder"),
        (pipe, "is a pipe"),
        (large, "is too large"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / ("x" * 1000), "cannot be opened (File name too long)"),
        (tmp_path / "nul\0", "cannot be opened (embedded null byte)"),
    ):
        with pytest.raises(ConfigError) as raised:
            load_config_as(FitConfig, path)
        assert words in str(raised.value)
        assert len(str(raised.value)) < 1500


def test_dictionaries_are_bounded_too():
    deep: list[Any] = []
    deep.append(deep)
    for options in ({"a": 2**63}, {"a": deep}):
        baseline = {"calculator": "a:B", "calculator_options": options}
        with pytest.raises(ConfigError, match="more than"):
            config_from_dict(
                {"data": {"train": "a"}, "terms": [{}], "baseline": baseline}
            )
