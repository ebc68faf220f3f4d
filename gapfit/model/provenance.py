"""Origin of a model: fitted by gapfit or read from others, and to which kinds of data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from gapfit.descriptors.blocks import pair_label
from gapfit.errors import PosteriorError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = [
    "baseline_text",
    "e0_origin",
    "energies_were_fitted",
    "fit_config",
    "in_one_line",
    "is_foreign",
    "model_digest",
    "summary",
    "why_no_deviations",
    "why_no_posterior",
]

# Settings of fits, and those without effect on the descriptors of other programs.
_OF_FITS = (
    "weighting",
    "species_weights",
    "full_kernel",
    "n_sparse",
    "species_n_sparse",
    "config_type_n_sparse",
    "sparse_method",
    "sparse_file",
    "components",
    "engine",
    "smoothness",
)
# Of those, settings that say something of a descriptor if they are given.
_BOTH = ("species_weights",)


def is_foreign(model: GAPModel) -> bool:
    """Return whether another program fitted a model; its files do not say how."""
    return bool(model.record.program)


def fit_config(model: GAPModel) -> dict[str, Any]:
    """Return the part of a model's configuration that describes its fit, as JSON types.

    For a model of another program these are its terms alone: all else, such as sigmas
    and data, are defaults unrelated to its fit.
    """
    config = model.config.model_dump(mode="json")
    used = [
        {k: v for k, v in plain.items() if k not in term.unused_tables}
        for plain, term in zip(config["terms"], model.config.terms, strict=True)
    ]
    if not is_foreign(model):
        return config | {"terms": used}
    terms = [
        {k: v for k, v in term.items() if k not in _OF_FITS or (k in _BOTH and v)}
        for term in used
    ]
    return {"terms": terms}


def energies_were_fitted(model: GAPModel) -> bool:
    """Return whether energies were fitted; forces and virials alone leave them open.

    True for models whose rows were not counted, as those of other programs.
    """
    rows = model.record.n_rows
    return not rows or rows.get("energy", 0) > 0


def e0_origin(model: GAPModel) -> str:
    """Return a description of the energies e0 of a model.

    Returns
    -------
    str
        ``"isolated atoms"`` where they were taken from isolated atoms in the data, or set
        in the configuration.
    """
    if is_foreign(model):
        return f"e0 of the file of {model.record.program}"
    if not energies_were_fitted(model):
        return "e0 (no energies were fitted)"
    return "e0 by least squares" if model.record.without_atom else "isolated atoms"


def why_no_posterior(model: GAPModel) -> str:
    """Return why a model has no posterior, and what to do about it, as text."""
    if model.record.pacemaker is not None:
        return "a model of pacemaker contains no posterior, so it has no uncertainty"
    if model.record.quip is not None:
        return (
            f"a model of {model.record.program} contains no posterior; QUIP's own variance "
            "of local energies is gapfit.quip.local_variances, or `gapfit predict --std-of "
            "local_gap_variance`"
        )
    return (
        "this model was saved without its posterior, so it has no uncertainty; "
        "fit again with run.store_posterior = true"
    )


def why_no_deviations(model: GAPModel) -> str | None:
    """Return why a model has no standard deviations of energies of atoms, as text.

    None if it has them. Rounding may have spoilt the posterior of models from before
    fits noticed it.
    """
    if model.posterior is None:
        return why_no_posterior(model)
    try:
        model.local_variance  # noqa: B018 (it is kept for predictions)
    except PosteriorError as error:
        return str(error)
    return None


def model_digest(model: GAPModel) -> str:
    """Return the SHA-256 of what predictions depend on: equal for equal potentials.

    Error bars, facts about the fit and ways to evaluate faster do not count.
    """
    config = model.config.model_dump(mode="json", include={"baseline", "terms"})
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    digest.update(repr(sorted(model.e0.items())).encode())
    tables: list[Mapping[Any, np.ndarray]] = []
    if model.baseline:
        tables.append(model.baseline.points)
    for term in model.terms:
        tables += [term.basis, term.sparse, term.coefficients]
    for table in tables:
        for key, values in sorted(table.items()):
            digest.update(f"{key}".encode())
            digest.update(np.ascontiguousarray(values, dtype=float).tobytes())
    return digest.hexdigest()


def baseline_text(model: GAPModel) -> str:
    """Return the parts of the baseline in words."""
    baseline = model.baseline
    if baseline is None:
        return "none"
    repulsion = model.config.baseline.repulsion
    parts: list[str] = [repulsion] if repulsion != "none" else []
    if baseline.points:
        parts.append(f"table of {', '.join(map(pair_label, baseline.points))}")
    if d3 := model.config.baseline.d3:
        parts.append(f"DFT-D3 of {d3.functional} with {d3.damping} damping")
    if charges := model.config.baseline.charges:
        listed = ", ".join(
            f"{symbol} {charge:+g}" for symbol, charge in charges.items()
        )
        parts.append(f"point charges {listed}")
    if baseline.calculator is not None:
        parts.append(f"{baseline.calculator.name} (imported and called at prediction)")
    return ", ".join(parts)


def in_one_line(model: GAPModel) -> str:
    """Return what a model is, in one line."""
    kinds = " + ".join(term.config.type for term in model.terms)
    counts: dict[str, int] = {}
    for term in model.terms:
        counts[term.members] = counts.get(term.members, 0) + term.n_sparse
    members = " and ".join(f"{n} {name}" for name, n in counts.items())
    text = f"{kinds}, {members}, cutoff {model.cutoff:g} Å"
    if baseline := " + ".join(model.config.baseline.parts):
        text += f", baseline {baseline}"
    return f"{_symbols(model)}: {text}"


def summary(model: GAPModel) -> list[tuple[str, str]]:
    """Return what a model is, as names and values."""
    rows = [("species", _symbols(model))]
    for term in model.terms:
        cutoff = term.descriptor.cutoff
        counts = f"{term.n_sparse} {term.members}, cutoff {cutoff:g} Å"
        rows.append((term.config.type, counts))
    rows += [("baseline", part) for part in model.config.baseline.parts]
    if model.record.n_frames:
        rows.append(("fitted to", f"{model.record.n_frames} structures"))
    scaled = "calibrated" if model.calibration else "not calibrated"
    rows.append(("error bars", scaled if model.posterior is not None else "none"))
    return rows


def _symbols(model: GAPModel) -> str:
    return " ".join(chemical_symbols[z] for z in model.species)
