"""The configuration of terms of the density of neighbours."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from gapfit.config.base import described
from gapfit.config.checks import check_symbols, check_width
from gapfit.config.term_base import SparseTermConfig, delta

__all__ = ["EamDensityConfig"]

#: Forms of the density, as text of a paper.
_FORMS = {
    "power": "(1 - r/r_cut)^{power}",
    "smooth": "a polynomial switch over {width:g} Å",
    "cosine": "a cosine switch over {width:g} Å",
}


class EamDensityConfig(SparseTermConfig):
    """Energy by the density of neighbours, as an embedded atom: one block per species."""

    title: ClassVar[str] = "EAM density"
    names_species: ClassVar[tuple[str, ...]] = ("species_weights", "species_n_sparse")
    needs_isolated: ClassVar[bool] = True

    type: Literal["eam_density"] = described("eam_density", "kind of term")
    form: Literal["power", "smooth", "cosine"] = described(
        "power",
        "density of a neighbour: (1 - r/r_cut)^power, or a switch from 1 to 0 at r_cut",
    )
    power: int = described(3, "exponent of the form power", ge=2, le=12)
    width: float | None = described(
        None, "width of the switches smooth and cosine; r_cut when absent", "Å", gt=0.05
    )
    species_weights: dict[str, float] = described(
        {},
        'weight of a neighbour, { W = 0.8 }, or of one at a centre, { "Mo-W" = 0.8 }; '
        "1 when absent",
    )
    theta: float = described(
        0.3, "change of the density over which the energy varies", ge=1e-3
    )
    delta: float = delta(1.0, "prior standard deviation per atom")
    n_sparse: int = described(20, "sparse points of each central species", ge=1)
    sparse_file: str | None = described(
        None, "for file: lines `frame atom`, from 0; n_sparse is then ignored"
    )

    @property
    def switch_width(self) -> float:
        """Width of the switch, Å."""
        return self.r_cut if self.width is None else self.width

    @model_validator(mode="after")
    def _sensible(self) -> EamDensityConfig:
        if self.width is not None:
            if self.form == "power":
                raise ValueError(
                    f'width = {self.width:g}: form = "power" has none; remove it, or take '
                    'form = "smooth"'
                )
            check_width(self.width, self.r_cut)
        for name, weight in self.species_weights.items():
            parts = name.split("-")
            check_symbols(parts)
            if len(parts) > 2:
                raise ValueError(
                    f'species_weights: "{name}" must be a neighbour, or centre and '
                    'neighbour: { W = 0.8, "Mo-W" = 0.7 }'
                )
            if not weight > 0:
                raise ValueError(f'species_weights: "{name}" = {weight} must be > 0')
        return self

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        form = _FORMS[self.form].format(power=self.power, width=self.switch_width)
        weights = ", weighted by species" if self.species_weights else ""
        return (
            f"the embedded-atom density of neighbours ({form}{weights}; "
            f"squared-exponential kernel of the density: cutoff {self.r_cut:g} Å, theta "
            f"{self.theta:g}, delta {self.delta:g} eV)"
        )
