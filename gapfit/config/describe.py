"""Description of the tables and keys of the configuration in words.

Error messages, the commented template and the resolved file all use it, so that names,
defaults, ranges and units have one source: `gapfit.config.sections`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from datetime import date, time
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gapfit.config.sections import FitConfig
from gapfit.config.term_base import TermConfig, term_model, term_models
from gapfit.errors import shortened

__all__ = [
    "all_tables",
    "choices",
    "dotted",
    "expectation",
    "field_at",
    "is_table",
    "kinds_with",
    "model_at",
    "nested_models",
    "table_title",
    "toml_key",
    "toml_value",
    "unit",
]

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_TYPES = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "a text in quotes",
}


def nested_models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in an annotation: ``X``, ``list[X | Y]``, ``dict[str, X]``.

    A `TermConfig` stands for all kinds of terms.
    """
    if annotation is TermConfig:
        return list(term_models().values())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in nested_models(part)]


def is_table(field: FieldInfo) -> bool:
    """Return whether a field is written as a table."""
    return bool(nested_models(field.annotation))


def all_tables(
    model: type[BaseModel] = FitConfig, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield path and model of every table; ``()`` is the top level, ``*`` any name."""
    yield path, model
    for name, field in model.model_fields.items():
        free = ("*",) if get_origin(field.annotation) is dict else ()
        for inner in nested_models(field.annotation):
            yield from all_tables(inner, (*path, name, *free))


def model_at(
    path: Sequence[str | int], data: Any = None, top: type[BaseModel] = FitConfig
) -> type[BaseModel] | None:
    """Return the model of the table at a path, or None when there is no such table.

    Where several kinds of table are possible (terms), the ``type`` in `data`, the
    configuration as nested dictionaries, decides. `top` is the model of the configuration.
    """
    model = top
    free = False
    for part in path:
        data = _descend(data, part)
        if isinstance(part, int) or free:
            free = False
            continue
        field = model.model_fields.get(part)
        models = nested_models(field.annotation) if field else []
        if field is None or not models:
            return None
        free = get_origin(field.annotation) is dict
        model = models[0]
    if not issubclass(model, TermConfig):
        return model
    return term_model(data.get("type") if isinstance(data, dict) else None) or model


def kinds_with(key: str) -> list[str]:
    """Return the types of term that have a key."""
    return [name for name, model in term_models().items() if key in model.model_fields]


def _descend(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def field_at(
    path: Sequence[str | int], data: Any = None, top: type[BaseModel] = FitConfig
) -> FieldInfo | None:
    """Return the field that a key belongs to, or None when there is no such key.

    The path of an element of a list gives the field of the list.
    """
    path = tuple(path)
    while path and isinstance(path[-1], int):
        path = path[:-1]
    model = model_at(path[:-1], data, top) if path else None
    return model.model_fields.get(str(path[-1])) if model is not None else None


def table_title(path: Sequence[str | int], top: type[BaseModel] = FitConfig) -> str:
    """Return the name of a table in messages: ``[solver]``, ``[[terms]] 1``.

    Elements of arrays are counted from 1.
    """
    if not path:
        return "top level"
    if len(path) >= 2 and isinstance(path[1], int):
        title = f"[[{path[0]}]] {path[1] + 1}"
        if len(path) == 2:
            return title
        return f"{title}, [{dotted(path[0], *path[2:])}]"
    name = dotted(*path)
    field = top.model_fields.get(str(path[0]))
    array = field is not None and get_origin(field.annotation) is list
    return f"[[{name}]]" if array and len(path) == 1 else f"[{name}]"


def dotted(*parts: str | int) -> str:
    """Return the name of a table or key in messages; long parts of it are shortened."""
    return ".".join(shortened(toml_key(str(part)), 60) for part in parts)


def unit(field: FieldInfo) -> str:
    """Return the unit of a field, empty when it has none."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the allowed words of a field, empty if it accepts any value of its type."""
    annotation = _plain_type(field.annotation)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _plain_type(annotation: Any) -> Any:
    """Strip ``Annotated`` and ``None`` from a type."""
    if get_origin(annotation) is Annotated:
        return _plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        types = [part for part in get_args(annotation) if part is not NoneType]
        return _plain_type(types[0])
    return annotation


def expectation(field: FieldInfo) -> str:
    """Return the type, range and unit of a field in words.

    Examples
    --------
    >>> from gapfit.config.sections import SoapConfig
    >>> expectation(SoapConfig.model_fields["r_cut"])
    'a number > 1 and <= 20 Å'
    >>> expectation(SoapConfig.model_fields["channels"])
    'a whole number, a number or "all"'
    """
    if choices(field):
        return " or ".join(toml_value(choice) for choice in choices(field))
    kind = _plain_type(field.annotation)
    if get_origin(kind) is list and _plain_type(get_args(kind)[0]) is float:
        length = next(m.min_length for m in field.metadata if hasattr(m, "min_length"))
        limits = get_args(get_args(kind)[0])[1].metadata
        return _described(f"a list of {length} numbers", limits, field)
    if get_origin(kind) is list and _plain_type(get_args(kind)[0]) is int:
        limits = get_args(get_args(kind)[0])[1].metadata
        return _described("a list of whole numbers", limits, field)
    if get_origin(kind) is list:
        filled = any(getattr(item, "min_length", None) for item in field.metadata)
        return "a text or a list of texts" + (", at least one" if filled else "")
    if get_origin(kind) is dict:
        return "a table"
    if any(getattr(item, "pattern", None) for item in field.metadata):
        return f"a text such as {toml_value(field.default)}"
    if len(names := _scalars(field)) > 1:
        return f"{', '.join(names[:-1])} or {names[-1]}"
    return _described(_TYPES.get(kind, "a value"), field.metadata, field)


def _scalars(field: FieldInfo) -> list[str]:
    """Return the types of a union of them in words; of texts, the default alone."""
    if get_origin(field.annotation) not in (Union, UnionType):
        return []
    return [
        toml_value(field.default) if part is str else _TYPES[part]
        for part in get_args(field.annotation)
        if part in _TYPES
    ]


def _described(what: str, metadata: Sequence[Any], field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(item, name):g}"
        for item in metadata
        for name, sign in _BOUNDS.items()
        if hasattr(item, name)
    ]
    words = [what, " and ".join(bounds), unit(field)]
    return " ".join(word for word in words if word)


def toml_key(key: str) -> str:
    """Return a key in TOML, quoted only where necessary."""
    bare = key.replace("-", "_").isascii() and key.replace("-", "_").isidentifier()
    return key if bare or (key.isascii() and key.isdigit()) else _quoted(key)


def toml_value(value: Any) -> str:
    """Return a scalar, list or table in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, (int, float)):
        return re.sub(r"e([+-])0", r"e\1", repr(value))  # 1e-8 rather than 1e-08
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{toml_key(str(k))} = {toml_value(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, date | time):
        return value.isoformat()
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
