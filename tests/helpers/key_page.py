"""The page of all keys of fit.toml and learn.toml, from their descriptions.

``python tests/helpers/key_page.py > docs/reference/keys.md`` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gapfit.config.describe import all_tables, expectation, is_table, table_title
from gapfit.config.learn import LearnConfig

__all__ = ["default", "key_page"]

HEAD = """# All keys

Every key of `fit.toml`, and those of `learn.toml` at the end, with default, allowed values
and meaning. [fit.toml and learn.toml](fit-toml.md) is the overview.
"""


def default(model: type[BaseModel], key: str) -> str:
    """Return the default of a key as the reference shows it."""
    if key not in model.model_fields:
        return ""
    value = model.model_fields[key].default
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    return "table" if hasattr(type(value), "model_fields") else f"`{json.dumps(value)}`"


def key_page() -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for path, model in all_tables(LearnConfig):
        keys = [k for k, field in model.model_fields.items() if not is_table(field)]
        if not path or not keys:
            continue
        yield f"## `{_title(path, model)}`\n"
        yield "| key | default | value | meaning |\n| --- | --- | --- | --- |"
        for key in keys:
            field = model.model_fields[key]
            value = _cell(expectation(field))
            meaning = _cell(field.description or "")
            yield f"| `{key}` | {default(model, key)} | {value} | {meaning} |"
        yield ""


def _title(path: tuple[str, ...], model: type[BaseModel]) -> str:
    names = [name.replace("*", "NAME") for name in path]
    if path == ("terms",):
        return f'[[terms]] with type = "{model.model_fields["type"].default}"'
    return table_title(names, LearnConfig)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(key_page(), end="")
