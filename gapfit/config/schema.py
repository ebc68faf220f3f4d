"""JSON schema of fit.toml and learn.toml, by which editors complete and check keys.

It follows from the models of the configuration: names, types, ranges, defaults, and the
descriptions with their units. Checks across keys are left to gapfit.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from gapfit.config.learn import LearnConfig
from gapfit.config.sections import FitConfig
from gapfit.config.term_base import load_plugins, term_models

__all__ = ["config_schema"]

#: Editors of TOML know this draft.
_DRAFT = "http://json-schema.org/draft-07/schema#"


def config_schema(kind: type[FitConfig]) -> dict[str, Any]:
    """Return the JSON schema of a configuration as plain data.

    Parameters
    ----------
    kind : type of FitConfig
        `FitConfig` for ``fit.toml``, `LearnConfig` for ``learn.toml``.

    Examples
    --------
    >>> from gapfit.config import FitConfig
    >>> schema = config_schema(FitConfig)
    >>> schema["definitions"]["SoapConfig"]["properties"]["r_cut"]["description"]
    'cutoff radius, Å'
    """
    load_plugins()
    terms = term_models()
    _, generated = models_json_schema(
        [(model, "validation") for model in (kind, *terms.values())],
        ref_template="#/definitions/{model}",
    )
    tables = {name: _table(table) for name, table in generated["$defs"].items()}
    first, *others = terms.values()
    for name, model in terms.items():
        table = tables[model.__name__]
        table["properties"]["type"] = {"const": name, **_described(model, "type")}
    for model in others:
        tables[model.__name__].setdefault("required", []).append("type")
    top = tables.pop(kind.__name__)
    del tables["TermConfig"]
    top["properties"]["terms"]["items"] = {
        "anyOf": [_reference(model.__name__) for model in (first, *others)]
    }
    if issubclass(kind, LearnConfig):
        # With learning.bootstrap there may be no data.
        top["required"].remove("data")
        tables["DataConfig"]["required"].remove("train")
    return {"$schema": _DRAFT, **top, "definitions": tables}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def _described(model: type[Any], key: str) -> dict[str, str]:
    return {"description": model.model_fields[key].description or ""}


def _table(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a table without names of classes."""
    keys = schema.get("properties", {})
    kept = {name: value for name, value in schema.items() if name != "title"}
    summary = kept.get("description", "").partition("\n")[0]
    kept["description"] = summary.replace("``", "`")
    return {**kept, "properties": {name: _key(value) for name, value in keys.items()}}


def _key(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key as TOML and gapfit have it.

    TOML has no null, one file may stand without brackets, and units join descriptions.
    """
    dropped = ("title", "unit", "default", "anyOf")
    key = {name: value for name, value in schema.items() if name not in dropped}
    given = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(given) == 1:
        key |= given[0]
    elif given:
        key["anyOf"] = given
    if key.get("type") == "array" and key["items"] == {"type": "string"}:
        shape = key.keys() & {"type", "items", "minItems"}
        files = {name: key.pop(name) for name in sorted(shape)}
        key["anyOf"] = [{"type": "string"}, files]
    if schema.get("default") is not None and "$ref" not in key:
        key["default"] = schema["default"]
    if "unit" in schema:
        key["description"] = f"{key['description']}, {schema['unit']}"
    return key
