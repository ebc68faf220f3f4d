"""Reading and writing ``fit.toml``; all problems are reported at once, with lines."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gapfit._support.foreign import (
    MB,
    ForeignError,
    UnopenedError,
    foreign_text,
    require_plain_values,
    toml_values,
)
from gapfit.config.base import Section
from gapfit.config.describe import is_table, toml_key, toml_value
from gapfit.config.messages import (
    extreme_numbers,
    impossible_values,
    unknown_names,
    with_known_types,
)
from gapfit.config.paths import IN_MEMORY, relocated
from gapfit.config.sections import FitConfig
from gapfit.config.term_base import STRICT
from gapfit.config.toml_lines import KeyPath, line_of, scan
from gapfit.errors import ConfigError, shortened

__all__ = [
    "as_config",
    "config_from_dict",
    "dump_toml",
    "load_config",
    "load_config_as",
    "resolved_toml",
    "validated",
]

_Config = TypeVar("_Config", bound=FitConfig)

_XYZ = (".xyz", ".extxyz")
#: Largest configuration, bytes: 20 000 long names of files.
_LARGEST = 2 * MB
#: Problems that are looked into; a message shows fewer.
_MOST_PROBLEMS = 50


def load_config(path: str | Path) -> FitConfig:
    """Return the configuration in a TOML file; relative paths in it stay as written.

    Parameters
    ----------
    path : str or Path
        The file, usually ``fit.toml``.

    Raises
    ------
    ConfigError
        The file is missing, not valid TOML, or has unknown names or impossible values; all
        of these are listed, one line each, with their line numbers.
    """
    return load_config_as(FitConfig, path)


def load_config_as(kind: type[_Config], path: str | Path) -> _Config:
    """Return the same as `load_config` for a larger configuration.

    Parameters
    ----------
    kind : type of FitConfig
        Model of the configuration in the file.
    path : str or Path
        The file.
    """
    path = Path(path)
    try:
        text = foreign_text(path, _LARGEST)
    except UnopenedError as error:
        if error.missing:
            raise ConfigError(
                f"{path}: no such file; `gapfit init DATA` writes a configuration"
            ) from None
        raise ConfigError(f"{path}: {error}; name a configuration") from None
    except ForeignError as error:
        raise ConfigError(
            f"{path}: cannot be read as UTF-8 text: {error}{_init_hint(path)}"
        ) from None
    try:
        data = toml_values(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_broken_message(path, str(error), text)) from None
    except ForeignError as error:
        raise ConfigError(f"{path}: {error}{_init_hint(path)}") from None
    return validated(kind, data, str(path), scan(text))


def config_from_dict(
    data: Mapping[str, Any] | FitConfig, source: str = "config"
) -> FitConfig:
    """Return the configuration in nested dictionaries, laid out as in ``fit.toml``.

    Parameters
    ----------
    data : mapping or FitConfig
        Tables and keys; a `FitConfig` is returned as it is.
    source : str
        Name of the configuration in messages.

    Raises
    ------
    ConfigError
        Unknown names or impossible values, all listed.

    Examples
    --------
    >>> config_from_dict({"data": {"train": "a.xyz"}, "terms": [{"zeta": 0.5}]})
    Traceback (most recent call last):
    ...
    gapfit.errors.ConfigError: config: [[terms]] 1: `zeta` = 0.5 must be a number \
>= 1 and <= 20 (power of the dot-product kernel)
    """
    if isinstance(data, FitConfig):
        return data
    if not isinstance(data, Mapping):
        raise ConfigError(f"{source}: must be a dictionary, not {type(data).__name__}")
    return validated(FitConfig, data, source)


def dump_toml(config: FitConfig) -> str:
    """Return the TOML text of a configuration with all defaults.

    Examples
    --------
    >>> config = config_from_dict({"data": {"train": "a.xyz"}, "terms": [{}]})
    >>> print(dump_toml(config)[:24])
    [data]
    train = ["a.xyz"]
    """
    blocks = []
    for title, model in written_tables(config):
        body = [
            f"{toml_key(key)} = {toml_value(v)}"
            for key, v in scalars(model)
            if v is not None
        ]
        blocks.append("\n".join([title, *body]))
    return "\n\n".join(blocks) + "\n"


def resolved_toml(config: FitConfig, base: Path) -> str:
    """Return the TOML text of a configuration with absolute paths.

    Parameters
    ----------
    config : FitConfig
        The configuration.
    base : Path
        Folder that relative paths refer to.
    """
    base = base.resolve()

    def place(file: str) -> str:
        return os.path.normpath(base / Path(file).expanduser())

    return dump_toml(relocated(config, place))


def written_tables(
    model: BaseModel, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, BaseModel]]:
    """Yield header and model of each table, in the order of a file."""
    unused = model.unused_tables if isinstance(model, Section) else ()
    for name in type(model).model_fields:
        if name in unused:
            continue
        value = getattr(model, name)
        inner = (*path, toml_key(name))
        if isinstance(value, BaseModel):
            yield f"[{'.'.join(inner)}]", value
            yield from written_tables(value, inner)
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            for element in value:
                yield f"[[{'.'.join(inner)}]]", element
                yield from written_tables(element, inner)
        elif isinstance(value, dict):
            for key, element in value.items():
                if isinstance(element, BaseModel):
                    yield f"[{'.'.join((*inner, toml_key(key)))}]", element
                    yield from written_tables(element, (*inner, toml_key(key)))


def scalars(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a table that are not tables themselves."""
    for name, field in type(model).model_fields.items():
        if not is_table(field):
            yield name, getattr(model, name)
    yield from (model.__pydantic_extra__ or {}).items()


def _plain_values(data: Mapping[str, Any], source: str) -> Any:
    """Return tables as TOML types, which can be written and read again."""
    try:
        require_plain_values(data)
        values = _plain(data)
        require_plain_values(values)
    except ForeignError as error:
        raise ConfigError(f"{source}: {error}") from None
    return values


def _plain(value: Any) -> Any:
    """Return Python values (NumPy scalars, paths, tuples) as TOML types."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(exclude_none=True))
    if isinstance(value, Mapping):
        return {
            str(key): _plain(item) for key, item in value.items() if item is not None
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _init_hint(path: Path) -> str:
    """Return advice about a file that may contain data instead of a configuration."""
    if path.suffix == ".toml":
        return ""
    return f"; if it contains structures, {_init_command(path)} writes a configuration"


def _init_command(path: Path) -> str:
    return f"`gapfit init {shlex.quote(str(path))}`"


def _broken_message(path: Path, message: str, text: str) -> str:
    if path.suffix in _XYZ or text.partition("\n")[0].strip().isdecimal():
        return (
            f"{path}: contains structures, not a configuration; {_init_command(path)} "
            "writes a configuration for them"
        )
    return _syntax_message(path, message, text) + _init_hint(path)


def _syntax_message(path: Path, message: str, text: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    where, shown = "", ""
    if place:
        message = message[: place.start()]
        line = int(place[1]) if place[1] else text.rstrip("\n").count("\n") + 1
        where = f", line {line}" + (f", column {place[2]}" if place[2] else "")
        shown = (
            f": `{shortened(text.split(chr(10))[line - 1].strip())}`" if text else ""
        )
    hint = "; texts need quotes, decimals a point" if message == "Invalid value" else ""
    message = shortened(f"{message[0].lower()}{message[1:]}")
    return f"{path}{where}: not valid TOML: {message}{hint}{shown}"


def validated(
    kind: type[_Config],
    data: Mapping[str, Any],
    source: str,
    lines: dict[KeyPath, int] | None = None,
) -> _Config:
    """Return a configuration from nested dictionaries.

    Parameters
    ----------
    kind : type of FitConfig
        Model of the configuration.
    data : mapping
        Tables and keys.
    source : str
        Name of the configuration in messages.
    lines : dict, optional
        Line of each key.

    Raises
    ------
    ConfigError
        Unknown names or impossible values, all listed.
    """
    values, problems = with_known_types(_plain_values(data, source))
    for path, message in islice(unknown_names(values, top=kind), _MOST_PROBLEMS):
        problems.setdefault(path, message)
    config = None
    try:
        config = kind.model_validate(values, strict=True, context=STRICT)
    except ValidationError as error:
        impossible = impossible_values(error, values, kind)
        for path, message in islice(impossible, _MOST_PROBLEMS):
            problems.setdefault(path, message)
    for path, message in islice(extreme_numbers(values, kind), _MOST_PROBLEMS):
        problems.setdefault(path, message)
    if problems or config is None:
        raise ConfigError(_listed(problems, source, lines or {}))
    return config


def _listed(
    problems: dict[KeyPath, str], source: str, lines: dict[KeyPath, int]
) -> str:
    placed = [
        (line_of(lines, path) or 0, shortened(message, 500))
        for path, message in problems.items()
    ]
    return "\n".join(
        f"{source}, line {line}: {message}" if line else f"{source}: {message}"
        for line, message in sorted(placed, key=lambda item: item[0])
    )


def as_config(
    config: FitConfig | Mapping[str, Any] | str | Path | None, frames: Any
) -> FitConfig:
    """Return the checked configuration that the arguments of `fit` describe."""
    if isinstance(config, FitConfig):
        return config
    if isinstance(config, str | Path):
        return load_config(config)
    values = dict(config or {"terms": [{}]})
    if frames is not None:
        data = dict(values.get("data", {}))
        values["data"] = {"train": [IN_MEMORY], **data}
    return config_from_dict(values)
