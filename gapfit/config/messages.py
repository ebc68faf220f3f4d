"""Messages about errors in a configuration."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from gapfit.config.describe import (
    all_tables,
    dotted,
    expectation,
    field_at,
    is_table,
    kinds_with,
    model_at,
    table_title,
    toml_value,
)
from gapfit.config.sections import E0Config, FitConfig
from gapfit.config.term_base import term_model, term_models
from gapfit.config.toml_lines import KeyPath
from gapfit.errors import shortened

__all__ = ["extreme_numbers", "impossible_values", "unknown_names", "with_known_types"]

#: Numbers are between these sizes, or zero: their powers have to be numbers, too.
_LEAST, _LARGEST = 1e-30, 1e30


def with_known_types(values: Any) -> tuple[Any, dict[KeyPath, str]]:
    """Return a configuration in which every term is of a known type, and messages.

    A term of unknown type becomes one of the nearest name, so that its keys are checked as
    they were meant; without a near name it becomes an empty one.
    """
    terms = values.get("terms")
    if not isinstance(terms, list):
        return values, {}
    terms = list(terms)
    messages: dict[KeyPath, str] = {}
    for n, term in enumerate(terms):
        if not isinstance(term, dict) or "type" not in term or term_model(term["type"]):
            continue
        name, kinds = term["type"], term_models()
        near = _nearest(name, kinds) if isinstance(name, str) else None
        terms[n] = {**term, "type": near} if near else {}
        advice = (
            f"did you mean {toml_value(near)}?"
            if near
            else f"use {_alternatives(kinds)}"
        )
        messages["terms", n, "type"] = (
            f"[[terms]] {n + 1}: `type` = {shortened(toml_value(name), 60)} is unknown; "
            f"{advice}"
        )
    return {**values, "terms": terms}, messages


def unknown_names(
    data: Any,
    path: KeyPath = (),
    root: Any = None,
    *,
    top: type[BaseModel] = FitConfig,
) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and message of every table and key that `top` does not have."""
    root = data if root is None else root
    if isinstance(data, list):
        for index, element in enumerate(data):
            yield from unknown_names(element, (*path, index), root, top=top)
        return
    model = model_at(path, root, top)
    if not isinstance(data, dict) or model is None:
        return
    free = bool(path) and _is_free(path, top)
    for key, value in data.items():
        inner = (*path, key)
        if free or key in model.model_fields:
            yield from unknown_names(value, inner, root, top=top)
        elif model is E0Config:
            if key not in _symbols():
                yield inner, _unknown_symbol(key)
        else:
            yield inner, _unknown_key(path, key, value, model, top)


def _is_free(path: KeyPath, top: type[BaseModel]) -> bool:
    """Return whether a table contains tables of any name (``sigma.config_types``)."""
    field = field_at(path, top=top)
    parent = model_at(path[:-1], top=top)
    named = parent is not None and path[-1] in parent.model_fields
    return named and field is not None and str(field.annotation).startswith("dict")


def _symbols() -> tuple[str, ...]:
    from ase.data import chemical_symbols

    return tuple(chemical_symbols[1:])


def _unknown_symbol(key: str) -> str:
    near = _nearest(key, (*E0Config.model_fields, *_symbols()))
    guess = f"; did you mean `{near}`?" if near else ""
    return (
        f"[e0]: `{shortened(key, 60)}` is neither a chemical symbol nor `method`{guess}"
    )


def _nearest(name: str, candidates: Iterable[str]) -> str | None:
    by_look = {_look(candidate): candidate for candidate in candidates}
    matches = difflib.get_close_matches(_look(name), by_look, n=1, cutoff=0.6)
    return by_look[matches[0]] if matches else None


def _look(name: str) -> str:
    """Return a name without differences that are easily overlooked: case, o/0, l/1."""
    return name.lower().translate(str.maketrans("ol", "01"))


def _unknown_key(
    path: KeyPath, key: str, value: Any, model: type[BaseModel], top: type[BaseModel]
) -> str:
    """Return the message about a name that its table does not have, with a guess."""
    tables = [name for name, field in model.model_fields.items() if is_table(field)]
    table_like = isinstance(value, dict) or (
        isinstance(value, list)
        and (isinstance(value[0], dict) if value else bool(_nearest(key, tables)))
    )
    if table_like:
        brackets = ("[", "]") if isinstance(value, dict) else ("[[", "]]")
        name = dotted(*(p for p in (*path, key) if not isinstance(p, int)))
        what = f"unknown table {brackets[0]}{name}{brackets[1]}"
        names = tables
    else:
        where = f"{table_title(path, top)}: " if path else ""
        what = f"{where}unknown key `{shortened(key, 60)}`"
        names = [
            name for name, field in model.model_fields.items() if not is_table(field)
        ]
    kinds = kinds_with(key) if path and path[0] == "terms" and len(path) == 2 else []
    if kinds:
        return f"{what}; `{key}` belongs to terms of type {_alternatives(kinds)}"
    # Of terms, the nearest key of another kind would be refused, too.
    elsewhere = {
        name: homes
        for name, homes in _homes(table_like, top).items()
        if not (path[:1] == ("terms",) and set(homes) == {"[[terms]]"})
    }
    homes = elsewhere.get(key, [])
    if homes:
        return f"{what}; `{key}` belongs to {' or '.join(homes)}"
    near = _nearest(key, names) or _nearest(key, elsewhere)
    if near is None:
        listed = ", ".join(names) or "tables only, see `gapfit init`"
        return f"{what}; known here: {listed}"
    if table_like:
        return f"{what}; did you mean {elsewhere[near][0]}?"
    home = "" if near in names else f" of {' or '.join(elsewhere[near])}"
    return f"{what}; did you mean `{near}`{home}?"


def _homes(tables: bool, top: type[BaseModel]) -> dict[str, list[str]]:
    """Return the titles of the tables that have each table, or each key, by its name."""
    homes: dict[str, list[str]] = {}
    for path, model in all_tables(top):
        for name, field in model.model_fields.items():
            if is_table(field) == tables:
                title = table_title((*path, name) if tables else path, top)
                if title not in homes.setdefault(name, []):
                    homes[name].append(title)
    return homes


def impossible_values(
    error: ValidationError, data: dict[str, Any], top: type[BaseModel] = FitConfig
) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and message of every value that the models refuse."""
    for item in error.errors(include_url=False):
        path = _present(item["loc"], data)
        bad_symbol = path == ("e0",) and isinstance(data["e0"], dict)
        if item["type"] == "extra_forbidden" or bad_symbol:
            continue  # unknown_names reports names
        yield path, _value_message(path, item, data, top)


def extreme_numbers(
    values: Any, top: type[BaseModel] = FitConfig, path: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and message of every number that overflows as soon as it is used."""
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for part, value in items:
            yield from extreme_numbers(value, top, (*path, part))
    elif isinstance(values, float) and _is_extreme(values):
        key = next(part for part in reversed(path) if isinstance(part, str))
        table = path[: len(path) - 1 - path[::-1].index(key)]
        where = f"{table_title(table, top)}: " if table else ""
        yield (
            path,
            f"{where}`{shortened(key, 60)}` = {values:g}: numbers must be 0, or between "
            f"{_LEAST:g} and {_LARGEST:g} in size",
        )


def _is_extreme(number: float) -> bool:
    # Other messages say what is wrong with numbers that are not finite.
    return (
        bool(number)
        and math.isfinite(number)
        and not (_LEAST <= abs(number) <= _LARGEST)
    )


def _present(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """Drop the parts of a pydantic location that are names of models, not of keys."""
    path: KeyPath = ()
    for position, part in enumerate(loc):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            if position < len(loc) - 1:
                continue
        path = (*path, part)
    return path


def _value_message(
    path: KeyPath, item: Any, data: dict[str, Any], top: type[BaseModel]
) -> str:
    table, key = path[:-1], path[-1]
    if isinstance(key, int) and table and model_at(table, top=top) is None:
        table, key = table[:-1], table[-1]  # an element of a list of values
    field = field_at(path, data, top)
    where = f"{table_title(table, top)}: " if table else ""
    if item["type"] == "missing":
        if model_at(path, top=top) is not None:
            return f"the table {table_title(path, top)} is missing; {_mandatory(path, top)}"
        return f"{where}`{key}` is missing: {field.description if field else ''}"
    if item["type"] == "value_error" and model_at(path, top=top) is not None:
        return f"{table_title(path, top)}: {_cause(item)}"
    if model_at(path, top=top) is not None:
        title = table_title(path, top)
        if item["type"] == "too_short":
            return f"{title}: there is none; give at least one"
        if path and isinstance(path[-1], int):
            return f"{title} = {shortened(str(item['input']), 60)}: must be a table of keys"
        kind = "an array of tables" if title.startswith("[[") else "a table"
        return f"{title} must be {kind}, written {title}"
    shown = f"{where}`{key}` = {shortened(toml_value(item['input']), 60)}"
    if item["type"] == "value_error":
        return f"{shown}: {_cause(item)}"
    if field is None:  # a chemical symbol
        return f"{shown} must be a number" + (", in eV" if path[0] == "e0" else "")
    help_text = f" ({field.description})" if field.description else ""
    return f"{shown} must be {expectation(field)}{help_text}"


def _mandatory(path: KeyPath, top: type[BaseModel]) -> str:
    model = model_at(path, top=top)
    fields = model.model_fields if model is not None else {}
    needed = [name for name, field in fields.items() if field.is_required()]
    return f"it must give `{'`, `'.join(needed)}`" if needed else "one is needed"


def _alternatives(words: Iterable[str]) -> str:
    return " or ".join(toml_value(word) for word in words)


def _cause(item: Any) -> str:
    """Return the text of the error of a check of gapfit."""
    return shortened(str(item["ctx"]["error"]), 300)
