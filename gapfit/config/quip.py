"""The configuration of QUIP's SOAP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from gapfit.config.base import Section, described
from gapfit.config.checks import check_width

__all__ = ["QuipCompressionConfig", "QuipConfig", "check_quip"]


class QuipCompressionConfig(Section):
    """Which densities are multiplied, instead of all with all.

    QUIP's names are nu_R, nu_S, Z_mix, R_mix, K, sym_mix, coupling and mix_shift.
    """

    nu_r: int = described(
        2,
        "densities of a product with their radial functions; others are summed over them",
        ge=0,
        le=2,
    )
    nu_s: int = described(
        2, "densities of a product with their species, in the same way", ge=0, le=2
    )
    mixed: Literal["nothing", "species", "radial", "both"] = described(
        "nothing", "what random combinations take the place of"
    )
    n_mixed: int = described(0, "number of random combinations", ge=0, le=1000)
    symmetric: bool = described(
        False, "the same combinations in both densities of a product"
    )
    coupled: bool = described(
        True, "products of all combinations, instead of each with its own kind"
    )
    shift: int = described(
        0, "whole number that changes the random numbers", ge=0, le=1_000_000
    )

    @model_validator(mode="after")
    def _sensible(self) -> QuipCompressionConfig:
        full = self.nu_r == self.nu_s == 2
        mixing = self.mixed != "nothing"
        if mixing != bool(self.n_mixed):
            raise ValueError(
                f'n_mixed = {self.n_mixed} with mixed = "{self.mixed}": give both or '
                "neither"
            )
        if not mixing and (self.symmetric or self.shift):
            raise ValueError("symmetric and shift: only with mixed; remove them")
        if not full and (mixing or not self.coupled):
            raise ValueError(
                f"nu_r = {self.nu_r}, nu_s = {self.nu_s} with mixed or without coupled: "
                "QUIP has one or the other"
            )
        return self


class QuipConfig(Section):
    """Conventions of QUIP's SOAP, for ``rbf = "equispaced_gaussians"``."""

    width: float = described(
        0.5, "width of the cosine that ends neighbours at r_cut", "Å", gt=0.05
    )
    central_weight: float = described(1.0, "weight of the central atom", ge=0)
    central_in_all: bool = described(
        False, "the central atom counts as a neighbour of every species"
    )
    neighbours: list[str] = described(
        [], "species of neighbours to include, by symbol; all when empty"
    )
    plain: bool = described(
        False, "features without 1/sqrt(2l + 1): models of QUIP before 2015"
    )
    compression: QuipCompressionConfig = described(
        QuipCompressionConfig(), "fewer features"
    )


def check_quip(term: Any) -> None:
    """Raise a ValueError if a SOAP term has options that QUIP's does not have.

    Parameters
    ----------
    term : SoapConfig
        A term with ``rbf = "equispaced_gaussians"``.
    """
    check_width(term.quip.width, term.r_cut)
    defaults = type(term).model_fields
    unsupported = [
        key
        for key in ("weighting", "species_weights", "engine")
        if getattr(term, key) != defaults[key].default
    ]
    if term.compression not in ("off", "mu2"):
        unsupported.append("compression")
    if unsupported:
        raise ValueError(
            f'{", ".join(unsupported)}: not for rbf = "equispaced_gaussians"; remove them'
        )
