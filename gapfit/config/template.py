"""The commented ``fit.toml`` that ``gapfit init`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gapfit.config.describe import (
    choices,
    is_table,
    nested_models,
    toml_key,
    toml_value,
    unit,
)
from gapfit.config.sections import FitConfig, SigmaOverride
from gapfit.config.toml import scalars, written_tables
from gapfit.errors import printable

__all__ = ["template_toml"]

#: Comments are aligned at most this far to the right, characters.
_MAX_COLUMN = 36


def template_toml(
    config: FitConfig,
    comments: Mapping[str, Sequence[str]] | None = None,
    suggestions: Mapping[str, SigmaOverride] | None = None,
) -> str:
    """Return a ``fit.toml`` with one line and one comment for every key.

    Keys without a value are commented out. Reading the text gives `config` again.

    Parameters
    ----------
    config : FitConfig
        The values to write.
    comments : mapping of str to list of str, optional
        Additional comment lines above a table, by its name (``"e0"``, ``"terms"``); ``""``
        is the top of the file.
    suggestions : mapping of str to SigmaOverride, optional
        Sigmas of config_types to propose, written as comments after ``[sigma]``.

    Examples
    --------
    >>> from gapfit.config.sections import SoapConfig
    >>> config = FitConfig(data={"train": "a.xyz"}, terms=[SoapConfig(r_cut=4.5)])
    >>> next(line for line in template_toml(config).splitlines() if "zeta =" in line)
    'zeta = 4.0                 # power of the dot-product kernel'
    """
    comments = dict(comments or {})
    blocks = ["\n".join(_remarks(comments.get("", ())))] if comments.get("") else []
    for header, model in written_tables(config):
        name = header.strip("[]")
        intro = _summary(model) if "." not in name else []
        intro += comments.pop(name, ())  # above the first of several tables
        blocks.append("\n".join([*_remarks(intro), header, *_assignments(model)]))
        if name == "sigma":
            blocks += [
                _suggested(kind, item) for kind, item in (suggestions or {}).items()
            ]
    blocks += [_absent(name) for name in _optional_tables(config)]
    return "\n\n".join(blocks) + "\n"


def _optional_tables(config: FitConfig) -> list[str]:
    """Return the names of the tables that the configuration leaves out."""
    fields = type(config).model_fields
    return [
        name
        for name, field in fields.items()
        if is_table(field) and getattr(config, name) is None
    ]


def _absent(name: str) -> str:
    """Return a table that is left out, with its defaults, as comments."""
    model = nested_models(FitConfig.model_fields[name].annotation)[0]()
    lines = [*_summary(model), f"[{name}]", *_assignments(model)]
    return "\n".join(_remarks(lines))


def _summary(model: BaseModel) -> list[str]:
    """Return the first line of the docstring of a table."""
    return [(type(model).__doc__ or "").partition("\n")[0].replace("``", "`")]


def _remarks(lines: Sequence[str]) -> list[str]:
    # Lines can name what is in the data; a line break there would end the comment.
    return [f"# {printable(line)}".rstrip() for line in lines]


def _suggested(config_type: str, sigmas: SigmaOverride) -> str:
    header = f"[sigma.config_types.{toml_key(config_type)}]"
    given = [line for line in _assignments(sigmas) if not line.startswith("#")]
    return "\n".join(_remarks([header, *given]))


def _assignments(model: BaseModel) -> list[str]:
    """Return the lines ``key = value  # comment`` of one table."""
    written = [
        (_assignment(key, value), _comment(type(model).model_fields.get(key)))
        for key, value in scalars(model)
    ]
    lengths = [len(code) for code, _ in written if len(code) <= _MAX_COLUMN]
    column = max(lengths, default=0)
    return [f"{code:<{column}}  # {text}" if text else code for code, text in written]


def _assignment(key: str, value: Any) -> str:
    if value is None:
        return f"# {toml_key(key)} ="
    return f"{toml_key(key)} = {toml_value(value)}"


def _comment(field: FieldInfo | None) -> str:
    """Return help, unit and choices of a key; a symbol of ``[e0]`` has only a unit."""
    if field is None:
        return "eV"
    text = ", ".join(word for word in (field.description, unit(field)) if word)
    words = choices(field)
    return f"{text} ({' | '.join(words)})" if len(words) > 1 else text
