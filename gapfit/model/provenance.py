"""What is known of how a model came about: fitted to what, or read from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = [
    "e0_origin",
    "energies_were_fitted",
    "is_from_quip",
    "known_config",
    "why_no_posterior",
]

# Settings of a term by which sparse points were chosen, and those without effect on
# descriptors of QUIP.
_NOT_OF_QUIP = (
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
)


def is_from_quip(model: GAPModel) -> bool:
    """Return whether a model was read from QUIP: how it was fitted is not known then."""
    return "quip" in model.info


def known_config(model: GAPModel) -> dict[str, Any]:
    """Return the configuration of a model as JSON types, without what is not known.

    Of a model of QUIP these are its terms alone: the rest, such as sigmas and data, are
    defaults that have nothing to do with its fit.
    """
    found = model.config.model_dump(mode="json")
    if not is_from_quip(model):
        return found
    terms = [
        {key: value for key, value in term.items() if key not in _NOT_OF_QUIP}
        for term in found["terms"]
    ]
    return {"terms": terms}


def energies_were_fitted(model: GAPModel) -> bool:
    """Return whether energies decided a fit; forces and virials alone leave them open.

    Of models whose rows were not counted, as those of QUIP, it is taken for granted.
    """
    rows = model.info.get("n_rows")
    return rows is None or rows.get("energy", 0) > 0


def e0_origin(model: GAPModel) -> str:
    """Return in words what the energies e0 of a model are.

    Returns
    -------
    str
        ``"isolated atoms"`` where they are known to be those (found in the data, or set
        in the configuration).
    """
    from ase.data import chemical_symbols

    if is_from_quip(model):
        return "e0 of the file of QUIP"
    if not energies_were_fitted(model):
        return "e0 (no energies were fitted)"
    config = model.config.e0
    found = any(chemical_symbols[z] not in config.given for z in model.species)
    return (
        "e0 by least squares"
        if found and config.method == "least_squares"
        else "isolated atoms"
    )


def why_no_posterior(model: GAPModel) -> str:
    """Return in words why a model without a posterior has none, and what helps."""
    if is_from_quip(model):
        return (
            "a model of QUIP holds no posterior; QUIP's own variance of local energies "
            "is gapfit.quip.local_variances, or `gapfit predict --std-of "
            "local_gap_variance`"
        )
    return (
        "this model was saved without its posterior, so it has no uncertainty; "
        "fit again with run.store_posterior = true"
    )
