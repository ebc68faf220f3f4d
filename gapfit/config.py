"""The configuration of a fit: every field with default, unit, range and one-line help.

The models below are the only source of `fit.toml`: its validation, the commented
template that ``gapfit init`` writes and the table of options all come from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from gapfit._config_checks import (
    check_components,
    check_import_name,
    check_plain,
    check_sparse,
    check_symbols,
)

__all__ = [
    "BaselineConfig",
    "DataConfig",
    "Distance2bConfig",
    "E0Config",
    "FitConfig",
    "PredictionConfig",
    "RunConfig",
    "SigmaConfig",
    "SigmaOverride",
    "SoapConfig",
    "SolverConfig",
    "WeightingConfig",
]


def _field(default: Any, text: str, unit: str = "", **constraints: Any) -> Any:
    """Return a pydantic field that carries its unit for template and documentation."""
    return Field(
        default,
        description=text,
        json_schema_extra={"unit": unit} if unit else None,
        **constraints,
    )


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Where the reference data are and what their labels are called."""

    train: list[str] = _field(
        ..., "training files; relative to this file", min_length=1
    )
    test: list[str] = _field([], "test files, never used in the fit")
    energy_key: str | None = _field(None, "label of the energy; found when absent")
    forces_key: str | None = _field(None, "label of the forces; found when absent")
    stress_key: str | None = _field(None, "label of the stress; found when absent")
    virial_key: str | None = _field(None, "label of the virial; found when absent")
    config_type_key: str = _field("config_type", "label of the kind of frame")
    energy_sigma_key: str = _field("energy_sigma", "sigma of one frame's energy")
    force_sigma_key: str = _field(
        "force_sigma", "sigma of forces, per frame (info) or per atom (array)"
    )
    virial_sigma_key: str = _field("virial_sigma", "sigma of one frame's virial")
    use_energies: bool = _field(True, "fit energies")
    use_forces: bool = _field(True, "fit forces")
    use_stress: bool = _field(True, "fit stress or virial where frames have it")
    check_stress: bool = _field(
        True, "compare stress labels with a quick energies+forces fit and warn"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list(cls, values: Any) -> Any:
        if isinstance(values, dict):
            values = {
                key: [value]
                if key in ("train", "test") and isinstance(value, str)
                else value
                for key, value in values.items()
            }
        return values


class SigmaOverride(_Section):
    """Standard deviations for one config_type; absent ones keep the global value."""

    energy: float | None = _field(None, "of the energy", "eV/atom", gt=0)
    forces: float | None = _field(None, "of a force component", "eV/Å", gt=0)
    virial: float | None = _field(None, "of a virial component", "eV/atom", gt=0)


class SigmaConfig(_Section):
    """Standard deviations of the targets: how closely they are to be fitted."""

    energy: float = _field(
        0.002, "of the energy; times sqrt(n_atoms) on the total", "eV/atom", gt=0
    )
    forces: float = _field(0.05, "of a force component", "eV/Å", gt=0)
    virial: float = _field(
        0.05, "of a virial component; times sqrt(n_atoms)", "eV/atom", gt=0
    )
    forces_relative: float = _field(
        0.0,
        "further sigma of a force: this fraction of the force on its atom",
        ge=0,
        le=1,
    )
    energy_relative: float = _field(
        0.0,
        "further sigma: this fraction of the height above the lowest of the composition",
        ge=0,
        le=1,
    )
    config_types: dict[str, SigmaOverride] = _field({}, "overrides by config_type")


class E0Config(BaseModel):
    """Energies of isolated atoms: ``[e0]`` with ``Si = -0.81`` and, or, a method."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, float] = Field(init=False)

    method: Literal["isolated", "least_squares"] = _field(
        "isolated",
        "for species not given here: from isolated atoms in the data, or least squares",
    )

    @property
    def given(self) -> dict[str, float]:
        """Energies by chemical symbol, eV."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _known_symbols(self) -> E0Config:
        check_symbols(self.given)
        return self


class BaselineConfig(_Section):
    """Known part of the energy: subtracted before the fit, added at prediction."""

    repulsion: Literal["none", "zbl"] = _field(
        "none", "zbl: screened repulsion of the nuclei (Ziegler, Biersack, Littmark)"
    )
    r_cut: float = _field(
        2.0, "where the repulsion ends; below the shortest bonds", "Å", gt=0.5
    )
    width: float = _field(
        1.0, "of the switch that ends repulsion and table", "Å", gt=0.05
    )
    table: str | None = _field(
        None, "file of pair potentials: lines Si-Si, then r (Å) and phi (eV)"
    )
    calculator: str | None = _field(
        None,
        '"package.module:Name", an ASE calculator; imported and called at prediction, too',
    )
    calculator_options: dict[str, Any] = _field(
        {}, "keyword arguments that make the calculator"
    )

    @property
    def parts(self) -> tuple[str, ...]:
        """What is added up, in words; empty without a baseline."""
        repulsion = () if self.repulsion == "none" else (self.repulsion,)
        table = ("table",) if self.table else ()
        return (*repulsion, *table, *((self.calculator,) if self.calculator else ()))

    @field_validator("calculator")
    @classmethod
    def _named(cls, name: str | None) -> str | None:
        if name is not None:
            check_import_name(name)
        return name

    @field_validator("calculator_options")
    @classmethod
    def _plain_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        check_plain(options)
        return options

    @model_validator(mode="after")
    def _fits_together(self) -> BaselineConfig:
        table_only = self.repulsion == "none" and self.table is not None
        if self.width >= self.r_cut and not table_only:
            raise ValueError(
                f"width = {self.width} Å: it must be less than r_cut = {self.r_cut} Å"
            )
        if self.calculator_options and self.calculator is None:
            raise ValueError("calculator_options are given, but no calculator")
        return self


class WeightingConfig(_Section):
    """Weight of neighbours with distance (dscribe's ``weighting``)."""

    function: Literal["poly", "pow", "exp", "none"] = _field(
        "poly", "poly ends smoothly at r0; the others jump at the cutoff: not for MD"
    )
    r0: float | None = _field(None, "end (poly) or scale; r_cut when absent", "Å", gt=0)
    c: float = _field(1.0, "prefactor", gt=0)
    d: float = _field(1.0, "constant of pow and exp", gt=0)
    m: float = _field(1.0, "exponent of poly and pow", ge=1)
    w0: float | None = _field(
        None, "weight of the central atom; w(0) when absent", gt=0
    )


class SoapConfig(_Section):
    """Smooth overlap of atomic positions, one block per central species."""

    type: Literal["soap"] = _field("soap", "kind of term")
    r_cut: float = _field(5.0, "cutoff radius", "Å", gt=1.0, le=20.0)
    n_max: int = _field(8, "radial functions; above 12 they lose digits", ge=1, le=14)
    l_max: int = _field(6, "highest angular momentum", ge=0, le=20)
    sigma: float = _field(0.5, "width of an atom's Gaussian", "Å", gt=0.05, le=5.0)
    rbf: Literal["gto", "polynomial"] = _field(
        "gto", "radial basis; polynomial for n_max up to 8, l_max up to 9"
    )
    weighting: WeightingConfig = _field(WeightingConfig(), "weight with distance")
    compression: Literal["off", "mu2", "mu1nu1", "crossover"] = _field(
        "off", "which species pairs are kept, as in dscribe"
    )
    species_weights: dict[str, float] = _field(
        {}, "weight of each species' density, by symbol; 1 when absent"
    )
    full_kernel: bool = _field(
        False, "sqrt(2) on off-diagonal features, left out by dscribe: the full kernel"
    )
    zeta: float = _field(4.0, "power of the dot-product kernel", ge=1.0, le=20.0)
    delta: float = _field(3.0, "prior standard deviation per atom", "eV", gt=0)
    n_sparse: int = _field(1000, "sparse points of each central species", ge=1)
    config_type_n_sparse: dict[str, int] = _field(
        {}, "how many of them from frames of a config_type; the rest from all others"
    )
    sparse_method: Literal["cur", "fps", "kmeans", "random", "file"] = _field(
        "cur",
        "leverage scores, farthest points, centres of clusters, random, or a list",
    )
    sparse_file: str | None = _field(
        None, "for file: lines `frame atom`, from 0; n_sparse is then ignored"
    )
    components: Annotated[int | float | str, BeforeValidator(check_components)] = (
        _field(
            "all",
            "leading directions to keep: how many, or down to which relative size",
        )
    )
    engine: Literal["native", "dscribe"] = _field(
        "native", "dscribe itself is slow: a reference"
    )

    @model_validator(mode="after")
    def _sensible(self) -> SoapConfig:
        check_sparse(self)
        if self.rbf == "polynomial" and (self.n_max > 8 or self.l_max > 9):
            raise ValueError(
                f"n_max = {self.n_max}, l_max = {self.l_max}: the polynomial basis is "
                'good to n_max = 8 and l_max = 9; use rbf = "gto"'
            )
        check_symbols(self.species_weights)
        if any(weight <= 0 for weight in self.species_weights.values()):
            raise ValueError("species_weights must be positive")
        return self


class Distance2bConfig(_Section):
    """Pair potential, one block per pair of species: the stiff part of the energy."""

    type: Literal["distance_2b"] = _field("distance_2b", "kind of term")
    r_cut: float = _field(5.0, "cutoff radius", "Å", gt=1.0, le=20.0)
    width: float = _field(1.0, "of the switch that ends at the cutoff", "Å", gt=0.05)
    theta: float = _field(1.0, "length over which the potential varies", "Å", ge=0.05)
    delta: float = _field(3.0, "prior standard deviation per pair", "eV", gt=0)
    n_sparse: int = _field(20, "sparse points of each pair of species", ge=1)
    config_type_n_sparse: dict[str, int] = _field(
        {}, "how many of them from frames of a config_type; the rest from all others"
    )
    sparse_method: Literal["uniform", "cur", "fps", "kmeans", "random", "file"] = (
        _field("uniform", "evenly over the distances, or as for soap")
    )
    sparse_file: str | None = _field(
        None, "for file: lines `Si-Si 2.35`, pair and Å; n_sparse is then ignored"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Distance2bConfig:
        check_sparse(self)
        if self.width >= self.r_cut:
            raise ValueError(
                f"width = {self.width} Å: it must be less than r_cut = {self.r_cut} Å"
            )
        return self


class SolverConfig(_Section):
    """How the linear system is solved."""

    method: Literal["cholesky", "qr"] = _field(
        "cholesky", "qr is twice as slow, for ill-conditioned fits"
    )
    jitter: float = _field(
        1e-8, "added to K_mm, relative to its diagonal", ge=0, le=1e-2
    )


class PredictionConfig(_Section):
    """Shortcuts of the finished model, verified at the end of the fit."""

    project: bool = _field(
        True, "sum over sparse points in the directions that they span"
    )
    energy_tolerance: float = _field(
        1e-6, "largest change of an energy by it, training set", "eV/atom", gt=0
    )
    forces_tolerance: float = _field(
        1e-5, "largest change of a force component, training set", "eV/Å", gt=0
    )
    quadratic: bool = _field(
        True, "for zeta = 2, replace the sum by its quadratic form where cheaper"
    )


class RunConfig(_Section):
    """Resources and reproducibility."""

    memory: str = _field(
        "4 GB",
        "for blocks of rows; a quarter of it to choose sparse points",
        pattern=r"^\s*\d+(\.\d*)?\s*[kMGT]i?B\s*$",
    )
    executor: Literal["local"] = _field("local", "where blocks of rows are computed")
    workers: Literal[1] = _field(1, "processes")
    threads: int = _field(0, "0: all cores", ge=0, le=1024)
    seed: int = _field(0, "of the random number generator", ge=0)
    store_posterior: bool = _field(
        True, "keep the factors for uncertainties in the model file"
    )

    @property
    def memory_bytes(self) -> int:
        """The memory as a number of bytes."""
        text = self.memory.strip().rstrip("B").removesuffix("i").strip()
        return int(float(text[:-1]) * 1000 ** ("kMGT".index(text[-1]) + 1))


def _kind(term: Any) -> str:
    """Return the type of a term; one of no known type is judged as a SOAP."""
    kind = term.get("type") if isinstance(term, dict) else getattr(term, "type", None)
    return "distance_2b" if kind == "distance_2b" else "soap"


#: The kinds of terms.
Term = SoapConfig | Distance2bConfig


class FitConfig(_Section):
    """The whole configuration; only ``data.train`` and one term are mandatory."""

    data: DataConfig
    sigma: SigmaConfig = SigmaConfig()
    e0: E0Config = E0Config()
    baseline: BaselineConfig = BaselineConfig()
    terms: list[
        Annotated[
            Annotated[SoapConfig, Tag("soap")]
            | Annotated[Distance2bConfig, Tag("distance_2b")],
            Discriminator(_kind),
        ]
    ] = Field(..., min_length=1)
    solver: SolverConfig = SolverConfig()
    prediction: PredictionConfig = PredictionConfig()
    run: RunConfig = RunConfig()
