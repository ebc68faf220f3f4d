"""Change the sigmas of a model in seconds, without a pass over its data.

The result is the fit of the same data with the new sigmas. A config_type can be changed
alone if it had sigmas of its own at the fit ([sigma.config_types]):

  gapfit refit model.npz --output new.npz --config-type liquid:energy=0.01,forces=0.2

Fractions by which sigmas grow (forces_relative, energy_relative) change by the same
factor. If the training files are found, they are used to verify the projections that make
predictions faster; otherwise the new model has no projections.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gapfit.cli._console import Console
from gapfit.cli._models import (
    add_model_arguments,
    change,
    likelihoods,
    new_warnings,
    save,
)
from gapfit.cli._outputs import check_output
from gapfit.errors import ConfigError

__all__ = ["add_arguments", "run"]

_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model_arguments(parser)
    for kind, unit in _UNITS.items():
        parser.add_argument(
            f"--sigma-{kind}", type=float, metavar="X", help=f"sigma.{kind}, {unit}"
        )
    parser.add_argument(
        "--config-type",
        action="append",
        default=[],
        metavar="NAME:KIND=X,...",
        help="sigmas of one config_type, such as liquid:energy=0.01,forces=0.2; repeatable",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="FILE",
        help="structures to verify projections on, preferably the training data",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Refit, print the changes and write the model."""
    from gapfit.fitting.refit import refit
    from gapfit.model.storage import load

    sigma = _given(args)
    check_output(args.output, inputs=args.data or ())
    old = load(args.model)
    with console.progress() as progress:
        new = refit(args.model, sigma=sigma, frames=args.data, progress=progress)
    before, after = (
        dict(_flat(model.config.sigma.model_dump(exclude_none=True)))
        for model in (old, new)
    )
    likelihood = likelihoods(old, new)
    console.title("Changed")
    console.table(
        ("", "before", "after"),
        [
            *(
                change(f"sigma.{key}", before.get(key, "-"), value)
                for key, value in after.items()
                if before.get(key) != value
            ),
            change("log likelihood", *likelihood.values()),
        ],
    )
    save(console, old, new, args.output)
    if args.json:
        console.result(
            {
                "sigma": new.config.sigma.model_dump(mode="json"),
                "log_marginal_likelihood": likelihood,
                "warnings": new_warnings(old, new),
            }
        )
    return 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the new sigmas as the table ``[sigma]``."""
    values = {kind: getattr(args, f"sigma_{kind}") for kind in _UNITS}
    sigma: dict[str, Any] = {
        k: value for k, value in values.items() if value is not None
    }
    types = _types(args.config_type)
    if not sigma and not types:
        raise ConfigError(
            "nothing to change: give --sigma-energy, --sigma-forces, --sigma-virial or "
            "--config-type"
        )
    return {**sigma, **({"config_types": types} if types else {})}


def _types(given: Sequence[str]) -> dict[str, dict[str, float]]:
    types: dict[str, dict[str, float]] = {}
    for text in given:
        # A config_type may contain colons.
        name, colon, pairs = text.rpartition(":")
        sigmas = types.setdefault(name, {})
        for pair in pairs.split(","):
            kind, equals, value = pair.partition("=")
            if not (name and colon and equals) or kind not in _UNITS:
                raise ConfigError(
                    f"--config-type {text}: write NAME:energy=X,forces=Y,virial=Z, with "
                    "any of the three"
                )
            try:
                sigmas[kind] = float(value)
            except ValueError:
                raise ConfigError(
                    f"--config-type {text}: {kind} = {value!r} is not a number"
                ) from None
    return types


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return keys and values, with dotted keys for inner tables."""
    out: list[tuple[str, Any]] = []
    for key, value in table.items():
        inner = isinstance(value, dict)
        out += _flat(value, f"{prefix}{key}.") if inner else [(prefix + key, value)]
    return out
