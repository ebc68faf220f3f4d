"""Discrete choices: values of keys of terms, tried one key after the other."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from gapfit.config.sections import FitConfig
from gapfit.config.toml import config_from_dict
from gapfit.errors import ConfigError

__all__ = ["check_scan", "with_settings"]


def with_settings(config: FitConfig, settings: Mapping[str, Any]) -> FitConfig:
    """Return the configuration with other values of keys of its terms.

    Parameters
    ----------
    config : FitConfig
        The configuration to change.
    settings : mapping of str to value
        By ``"soap.r_cut"`` (all terms of a type), ``"2.n_sparse"`` (the second term) or
        ``"soap.weighting.m"``.

    Raises
    ------
    ConfigError
        An unknown key or an impossible value.
    """
    values = config.model_dump(mode="json", exclude_none=True)
    for key, value in settings.items():
        for n in _terms(config, key):
            table = values["terms"][n]
            *tables, name = key.split(".")[1:]
            for inner in tables:
                table = table[inner]
            table[name] = value
    return config_from_dict(values, "[tune] scan")


def check_scan(config: FitConfig) -> None:
    """Raise a `ConfigError` that lists all mistakes in ``tune.scan``."""
    problems = []
    scan = config.tune.scan if config.tune else {}
    for key, values in scan.items():
        if problem := _unknown(config, key):
            problems.append(problem)
            continue
        if not values:
            problems.append(f'[tune] scan: "{key}" has no values to try')
        for value in values:
            try:
                with_settings(config, {key: value})
            except ConfigError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))


def _terms(config: FitConfig, key: str) -> list[int]:
    """Return the indices of the terms that a key refers to."""
    which = key.partition(".")[0]
    if which.isdecimal():
        return [int(which) - 1] if 1 <= int(which) <= len(config.terms) else []
    return [n for n, term in enumerate(config.terms) if term.type == which]


def _unknown(config: FitConfig, key: str) -> str:
    """Return the mistake in a key as text; empty if there is none."""
    names = {
        f"{term.type}.{name}": None for term in config.terms for name in _keys(term)
    }
    chosen = _terms(config, key)
    path = key.partition(".")[2]
    if chosen and all(path in _keys(config.terms[n]) for n in chosen):
        return ""
    near = difflib.get_close_matches(key, names, n=1)
    guess = f'; did you mean "{near[0]}"?' if near else ""
    return (
        f'[tune] scan: there is no key "{key}"{guess} (name them by type or number '
        'of the term: "soap.r_cut", "1.r_cut", "soap.weighting.m")'
    )


def _keys(term: Any) -> list[str]:
    keys = []
    for name in type(term).model_fields:
        inner = getattr(term, name)
        if hasattr(type(inner), "model_fields"):
            keys += [f"{name}.{key}" for key in _keys(inner)]
        elif name != "type":
            keys.append(name)
    return keys
