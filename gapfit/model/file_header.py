"""The header of a model file: what wrote it, and whether this gapfit can read it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gapfit.config.sections import FitConfig
from gapfit.config.term_base import term_model
from gapfit.errors import ModelFileError, shortened

__all__ = ["FORMAT", "SCHEMA", "checked_config", "checked_header"]

#: Raised whenever older versions of gapfit could not read the file correctly.
SCHEMA = 1
FORMAT = "gapfit-model"


def checked_header(path: Path, header: Any) -> dict[str, Any]:
    """Return the header of a model file that this gapfit can read.

    Raises
    ------
    ModelFileError
        It belongs to something else, or to a newer gapfit.
    """
    if header is None:
        raise ModelFileError(
            f"{path}: not a gapfit model (an archive without header.json)"
        )
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(
            f"{path}: not a gapfit model (header names another format)"
        )
    schema = header.get("schema")
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema {schema!r} is not a version number")
    if schema > SCHEMA:
        raise ModelFileError(
            f"{path}: written with schema {schema} by gapfit {_writer(header)}; this "
            f"gapfit reads up to schema {SCHEMA}; upgrade gapfit"
        )
    return header


def _writer(header: dict[str, Any]) -> str:
    """Return the version of gapfit that wrote a model, for messages."""
    value: Any = header
    for key in ("info", "versions", "gapfit"):
        value = value.get(key) if isinstance(value, dict) else None
    return shortened(value, 30) if isinstance(value, str) else "of another version"


def checked_config(path: Path, header: dict[str, Any]) -> FitConfig:
    """Return the configuration of a model.

    Raises
    ------
    ModelFileError
        It has keys or values that this gapfit does not know; the message names the version
        that wrote them.
    """
    _require_descriptors(header["config"]["terms"])
    try:
        return FitConfig.model_validate(header["config"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = shortened(".".join(map(str, first["loc"])), 80)
        raise ModelFileError(
            f"{path}: made by gapfit {_writer(header)}, and this is gapfit "
            f"{version('gapfit')}, which does not read {key!r} in its configuration "
            f"({shortened(first['msg'])}); use the version that made it, or fit it again"
        ) from None


def _require_descriptors(terms: list[dict[str, Any]]) -> None:
    """Refuse terms of kinds that are not registered."""
    unknown = [term["type"] for term in terms if term_model(term["type"]) is None]
    if unknown:
        raise ModelFileError(
            f'a term of this model has type = "{shortened(unknown[0], 60)}", which is '
            "unknown here; "
            "import or install what registers it, then read the model again"
        )
