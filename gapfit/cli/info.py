"""Show the contents of a model file: species, terms, settings, versions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the facts about a model."""
    from gapfit.model.storage import load

    facts = _facts(load(args.model), args.model)
    if args.json:
        console.result(facts)
    else:
        _print(console, facts)
    return 0


def _facts(model: GAPModel, path: Path) -> dict[str, Any]:
    """Return everything about a model as JSON types."""
    from ase.data import chemical_symbols

    from gapfit.config.term_base import members
    from gapfit.model.provenance import (
        baseline_text,
        e0_origin,
        fit_config,
        model_digest,
    )

    local = model.calibration.local if model.calibration else None
    return {
        "file": str(path),
        "size": path.stat().st_size,
        "digest": model_digest(model),
        "species": [chemical_symbols[z] for z in model.species],
        "cutoff": model.cutoff,
        "e0": {chemical_symbols[z]: energy for z, energy in model.e0.items()},
        "e0_origin": e0_origin(model),
        "baseline": baseline_text(model),
        "terms": [
            {
                "type": term.config.type,
                "members": members([term.config]),
                "lossless": term.descriptor.lossless,
                "n_features": term.descriptor.n_features,
                "directions": {
                    term.descriptor.label(block): U.shape[1]
                    for block, U in term.projections.items()
                },
                "n_sparse": {
                    term.descriptor.label(block): len(points)
                    for block, points in term.sparse.items()
                },
            }
            for term in model.terms
        ],
        "uncertainty": model.posterior is not None,
        "calibration": model.calibration.as_dict() if model.calibration else None,
        "local_scale": local.ranges() if local else None,
        "config": fit_config(model),
        **model.record.plain(),
    }


def _print(console: Console, facts: dict[str, Any]) -> None:
    console.title(facts["file"])
    e0 = ", ".join(f"{symbol} {energy:.6f}" for symbol, energy in facts["e0"].items())
    foreign = "quip" in facts or "pacemaker" in facts
    console.rows(
        [
            *_origin(facts),
            ("species", ", ".join(facts["species"])),
            ("e0", f"{e0} eV: {facts['e0_origin']}"),
            ("cutoff", f"{facts['cutoff']:.2f} Å"),
            ("baseline", facts["baseline"]),
            ("file size", f"{facts['size'] / 1e6:.2f} MB"),
            ("digest", facts["digest"]),
            *(_no_fit(facts) if foreign else _fitted(facts)),
            ("versions", _listed(facts.get("versions", {}))),
        ]
    )
    for number, term in enumerate(facts["terms"]):
        console.title(f"Term {number + 1}: {term['type']}")
        console.rows(
            [
                (term["members"], _listed(term["n_sparse"])),
                ("features", _features(term)),
                *_projection(facts, number),
                *_settings(facts["config"]["terms"][number], ("terms", number)),
            ]
        )
    for table in ("sigma", "baseline", "solver", "prediction"):
        if table in facts["config"]:
            console.title(table.capitalize())
            console.rows(_settings(facts["config"][table], (table,)))
    console.warnings(facts.get("warnings", []))


def _origin(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where a model of another program came from."""
    if pacemaker := facts.get("pacemaker"):
        return [("read from pacemaker", pacemaker["file"])]
    quip = facts.get("quip")
    if quip is None:
        return []
    text = quip["file"]
    if quip["label"]:
        text += f", {quip['label']}, gap_version {quip['gap_version']}"
    return [
        (f"read from {_program(facts)}", text),
        ("without effect", ", ".join(quip["ignored"]) or "-"),
    ]


def _program(facts: dict[str, Any]) -> str:
    """Return whose file a model was read from."""
    if "quip" not in facts:
        return "pacemaker"
    return str(facts["quip"].get("program", "QUIP"))


def _no_fit(facts: dict[str, Any]) -> list[tuple[str, str]]:
    program = _program(facts)
    return [
        ("uncertainty", f"none: models of {program} have no posterior"),
        ("fit", f"unknown: files of {program} do not name data, sigmas or solver"),
    ]


def _fitted(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows about a fit."""
    likelihood = facts.get("log_marginal_likelihood")
    return [
        ("uncertainty", "stored" if facts["uncertainty"] else "not stored"),
        ("calibration", _calibration(facts["calibration"])),
        *_by_environment(facts["local_scale"]),
        ("extrapolation", _extrapolation(facts)),
        ("frames fitted", f"{facts.get('n_frames', '?')}"),
        ("atoms fitted", f"{facts.get('n_atoms', '?')}"),
        ("rows", _listed(facts.get("n_rows", {}))),
        ("data digest", str(facts.get("data_digest", "?"))),
        ("log likelihood", "?" if likelihood is None else f"{likelihood:.6g}"),
        ("jitter", _jitter(facts)),
    ]


def _jitter(facts: dict[str, Any]) -> str:
    """Return the jitter of each block, or the one that all have."""
    jitter = facts.get("jitter") or []
    if len(set(jitter)) <= 1:
        return ", ".join(f"{value:g}" for value in jitter[:1])
    blocks = [
        f"{term['type']} {block}"
        for term in facts["terms"]
        for block in term["n_sparse"]
    ]
    return ", ".join(f"{name} {x:g}" for name, x in zip(blocks, jitter, strict=False))


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _calibration(calibration: dict[str, Any] | None) -> str:
    """Return how standard deviations are scaled."""
    if calibration is None:
        return "none: standard deviations are those of the posterior"
    scales = ", ".join(
        f"{kind} {entry['scale']['factor']:.3g}"
        for kind, entry in calibration["kinds"].items()
    )
    structures = f"{calibration['method']}, {calibration['n_structures']} structures"
    return f"{structures}; std times: {scales}"


def _by_environment(ranges: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the row about the local scale, if there is one."""
    if ranges is None:
        return []
    texts = ", ".join(
        f"{symbol} {least:.3g} to {most:.3g}"
        for symbol, (least, most) in ranges.items()
    )
    return [("by environment", f"std of forces times: {texts}")]


def _extrapolation(facts: dict[str, Any]) -> str:
    """Return the scale of extrapolation grades."""
    from ase.data import chemical_symbols

    usual = facts.get("usual_deviations", {})
    if not usual and not facts["uncertainty"]:
        return "no grades"
    if not usual:
        return "no grades: gapfit calibrate finds their scale"
    scale = {chemical_symbols[z]: f"{1000 * std:.3g} meV" for z, std in usual.items()}
    return f"grade 1 where the std of an atom's energy is {_listed(scale)}"


def _features(term: dict[str, Any]) -> str:
    directions = ", ".join(f"{symbol} {n}" for symbol, n in term["directions"].items())
    kept = f", directions kept: {directions}" if directions else ""
    return f"{term['n_features']}{kept}"


def _projection(facts: dict[str, Any], number: int) -> list[tuple[str, str]]:
    """Return the row about the lossless projection of a term, if there was a search."""
    from ase.data import chemical_symbols

    projections = facts.get("projections", [])
    if number >= len(projections) or not facts["terms"][number]["lossless"]:
        return []
    projection = projections[number]
    if not projection["rank"]:
        return [("lossless projection", "none that saves work within the tolerances")]
    ranks = ", ".join(
        f"{chemical_symbols[int(z)]} {r}" for z, r in projection["rank"].items()
    )
    errors = projection["energy_error"], projection["forces_error"]
    return [
        (
            "lossless projection",
            f"{ranks} directions; changes energies by at most "
            f"{errors[0]:.1e} eV/atom, forces by {errors[1]:.1e} "
            f"eV/Å ({projection['n_atoms']} training environments)",
        )
    ]


def _settings(
    table: dict[str, Any], path: tuple[str | int, ...], prefix: str = ""
) -> list[tuple[str, str]]:
    """Return keys and values of a table, those of inner tables with dotted names."""
    from gapfit.config.describe import field_at, unit

    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        inner = (*path, key)
        if isinstance(value, dict):
            rows += _settings(value, inner, f"{prefix}{key}.")
        elif value is not None and key not in ("type", "n_sparse"):
            field = field_at(inner)
            text = f"{value:g}" if isinstance(value, float) else str(value)
            rows.append(
                (prefix + key, f"{text} {unit(field) if field else ''}".rstrip())
            )
    return rows
