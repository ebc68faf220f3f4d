"""The table of the baseline: known energies that are subtracted before the fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from gapfit.config.base import Section, described
from gapfit.config.checks import (
    check_import_name,
    check_plain,
    check_symbols,
    check_width,
)

__all__ = ["BaselineConfig", "D3Config", "NamesCalculator"]


class NamesCalculator(Section):
    """A table with ``calculator`` and ``calculator_options``."""

    @field_validator("calculator", check_fields=False)
    @classmethod
    def _named(cls, name: str | None) -> str | None:
        if name is not None:
            check_import_name(name)
        return name

    @field_validator("calculator_options", check_fields=False)
    @classmethod
    def _plain_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        check_plain(options)
        return options


class D3Config(Section):
    """Dispersion by DFT-D3 (Grimme), without three-body terms."""

    functional: str = described(
        ...,
        "functional of the reference calculations, such as pbe",
        min_length=1,
        max_length=40,
    )
    damping: Literal["bj", "zero", "bjm", "zerom"] = described(
        "bj", "Becke-Johnson, original, or either with the parameters of Smith et al."
    )
    r_cut: float = described(30.0, "largest distance of pairs", "Å", gt=5, le=100)
    cn_r_cut: float = described(
        20.0, "range of neighbours that are counted; at most r_cut", "Å", gt=5, le=100
    )

    @model_validator(mode="after")
    def _counts_within_range(self) -> D3Config:
        # LAMMPS sees no neighbours beyond r_cut.
        if self.cn_r_cut > self.r_cut:
            raise ValueError(
                f"cn_r_cut = {self.cn_r_cut} Å: it must be at most r_cut = "
                f"{self.r_cut} Å"
            )
        return self


class BaselineConfig(NamesCalculator):
    """Known part of the energy: subtracted before the fit, added at prediction."""

    repulsion: Literal["none", "zbl"] = described(
        "none", "zbl: screened repulsion of the nuclei (Ziegler, Biersack, Littmark)"
    )
    r_cut: float = described(
        2.0, "cutoff of the repulsion; below the shortest bonds", "Å", gt=0.5, le=20.0
    )
    width: float = described(
        1.0, "of the switch that ends repulsion and table", "Å", gt=0.05, le=20.0
    )
    table: str | None = described(
        None,
        "file of pair potentials: lines Si-Si, then r (Å), phi (eV) and, for cubic "
        "splines with given slopes, slope (eV/Å)",
    )
    dispersion: Literal["none", "d3"] = described(
        "none",
        "d3: DFT-D3 with the settings of [baseline.d3]; needs gapfit[dispersion]",
    )
    d3: D3Config | None = described(None, "settings of dispersion d3")
    charges: dict[str, Annotated[float, Field(ge=-20, le=20)]] = described(
        {}, "point charge of each species, e: { In = 0.5, P = -0.5 }"
    )
    calculator: str | None = described(
        None,
        '"package.module:Name", an ASE calculator; predictions import and call it, too',
    )
    calculator_options: dict[str, Any] = described(
        {}, "keyword arguments of the calculator"
    )

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the baseline; empty without a baseline."""
        repulsion = () if self.repulsion == "none" else (self.repulsion,)
        table = ("table",) if self.table else ()
        dispersion = (self.dispersion,) if self.d3 else ()
        charges = ("charges",) if self.charges else ()
        calculator = (self.calculator,) if self.calculator else ()
        return (*repulsion, *table, *dispersion, *charges, *calculator)

    @model_validator(mode="after")
    def _fits_together(self) -> BaselineConfig:
        if self.repulsion != "none" or self.table is None:
            check_width(self.width, self.r_cut)
        if self.calculator_options and self.calculator is None:
            raise ValueError("calculator_options are given, but no calculator")
        if self.dispersion == "d3" and self.d3 is None:
            raise ValueError(
                'dispersion = "d3" needs a table [baseline.d3] with its functional'
            )
        if self.dispersion == "none" and self.d3 is not None:
            raise ValueError('[baseline.d3] is given, but not dispersion = "d3"')
        check_symbols(self.charges)
        return self
