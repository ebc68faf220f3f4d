"""The configuration of a fit: every field with default, unit, range and one-line help.

The models below are the only source of `fit.toml`: its validation, the commented
template that ``gapfit init`` writes and the table of options all come from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from gapfit.config.base import LEAST_SIGMA, Section, described
from gapfit.config.baseline import BaselineConfig, D3Config, NamesCalculator
from gapfit.config.checks import check_scan_table, check_symbols
from gapfit.config.term_base import AnyTerm, SparseTermConfig, TermConfig
from gapfit.config.terms import (
    AceConfig,
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
    WeightingConfig,
)

__all__ = [
    "AceConfig",
    "Angle3bConfig",
    "BaselineConfig",
    "CalibrationConfig",
    "D3Config",
    "DataConfig",
    "Distance2bConfig",
    "E0Config",
    "EamDensityConfig",
    "FitConfig",
    "NamesCalculator",
    "PredictionConfig",
    "RunConfig",
    "SigmaConfig",
    "SigmaOverride",
    "SoapConfig",
    "SolverConfig",
    "SparseTermConfig",
    "TermConfig",
    "TuneConfig",
    "WeightingConfig",
]


class DataConfig(Section):
    """Files of the reference data, names of their labels, and which to use."""

    train: list[str] = described(
        ..., "training files; relative to this file", min_length=1
    )
    test: list[str] = described([], "test files, never used in the fit")
    energy_key: str | None = described(None, "label of the energy; found when absent")
    forces_key: str | None = described(None, "label of the forces; found when absent")
    stress_key: str | None = described(None, "label of the stress; found when absent")
    virial_key: str | None = described(None, "label of the virial; found when absent")
    config_type_key: str = described("config_type", "label of the kind of frame")
    energy_sigma_key: str = described("energy_sigma", "label of a frame's energy sigma")
    force_sigma_key: str = described(
        "force_sigma", "label of force sigmas, by frame (info) or by atom (array)"
    )
    virial_sigma_key: str = described("virial_sigma", "label of a frame's virial sigma")
    frame_sigmas: Literal["per_atom", "total"] | None = described(
        None,
        "energy and virial sigmas of frames: per_atom (when absent), or total as gap_fit's",
    )
    force_mask_key: str = described(
        "force_mask", "label of an array: true for atoms whose forces are not fitted"
    )
    use_energies: bool = described(True, "fit energies")
    use_forces: bool = described(True, "fit forces")
    use_stress: bool = described(True, "fit stress or virial where frames have it")
    species: list[str] = described(
        [],
        "elements of numbered types, in files without symbols (MLIP, LAMMPS, DeePMD)",
    )
    units: Literal["metal", "atomic", "real"] | None = described(
        None,
        "of files that do not name theirs (n2p2, LAMMPS): metal (Å, eV), atomic (Bohr, "
        "Hartree) or real (Å, kcal/mol)",
    )
    check_labels: bool = described(
        True, "compare energies, forces and stress by quick fits and warn"
    )

    @field_validator("species")
    @classmethod
    def _are_symbols(cls, species: list[str]) -> list[str]:
        check_symbols(species)
        return species

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


class SigmaOverride(Section):
    """Standard deviations for one config_type; the global value for absent ones."""

    energy: float | None = described(None, "of the energy", "eV/atom", ge=LEAST_SIGMA)
    forces: float | None = described(
        None, "of a force component", "eV/Å", ge=LEAST_SIGMA
    )
    virial: float | None = described(
        None, "of a virial component", "eV/atom", ge=LEAST_SIGMA
    )


class SigmaConfig(Section):
    """Standard deviations of the targets: how closely to fit them."""

    energy: float = described(
        0.002,
        "of the energy; times sqrt(n_atoms) on the total",
        "eV/atom",
        ge=LEAST_SIGMA,
    )
    forces: float = described(0.05, "of a force component", "eV/Å", ge=LEAST_SIGMA)
    virial: float = described(
        0.05,
        "of a virial component; times sqrt(n_atoms)",
        "eV/atom",
        ge=LEAST_SIGMA,
    )
    isolated: float = described(
        1e-4, "of the energy of an isolated atom", "eV", ge=LEAST_SIGMA
    )
    forces_relative: float = described(
        0.0,
        "added in quadrature: this fraction of the force on the atom",
        ge=0,
        le=1,
    )
    energy_relative: float = described(
        0.0,
        "added in quadrature: this fraction of the height above the composition's lowest",
        ge=0,
        le=1,
    )
    config_types: dict[str, SigmaOverride] = described({}, "overrides by config_type")


class E0Config(BaseModel):
    """Energies of isolated atoms: given values such as ``Si = -0.81``, or a method."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, float] = Field(init=False)

    method: Literal["auto", "isolated", "least_squares"] = described(
        "auto",
        "for species not given here nor isolated in the data: least_squares, with a "
        "warning (auto) or without, or an error (isolated)",
    )

    @property
    def given(self) -> dict[str, float]:
        """Energies by chemical symbol, eV."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _are_symbols(self) -> E0Config:
        check_symbols(self.given)
        return self


class SolverConfig(Section):
    """Solution of the linear system."""

    method: Literal["cholesky", "qr"] = described(
        "cholesky", "qr is twice as slow, for ill-conditioned fits"
    )
    jitter: float = described(
        1e-8, "least that is added to K_mm, relative to its diagonal", ge=0, le=1e-2
    )


class PredictionConfig(Section):
    """Lossless projections of the finished model, verified at the end of the fit."""

    project: bool = described(
        True, "sum over sparse points in the directions that they span"
    )
    energy_tolerance: float = described(
        1e-6, "largest change of an energy in the training set", "eV/atom", gt=0
    )
    forces_tolerance: float = described(
        1e-5, "largest change of a force component in the training set", "eV/Å", gt=0
    )
    quadratic: bool = described(
        True, "for zeta = 2, replace the sum by its quadratic form where cheaper"
    )


class TuneConfig(Section):
    """Settings to choose from the training data before the fit; see `gapfit tune`."""

    delta: bool = described(
        True,
        "delta of each term, and smoothness of ace, by the log marginal likelihood",
    )
    forces: bool = described(True, "sigma.forces, by the log marginal likelihood")
    virial: bool = described(True, "sigma.virial, by the log marginal likelihood")
    energy: bool = described(True, "sigma.energy, by errors of held-out frames")
    by_config_type: bool = described(
        False, "separate sigmas of forces and virials for config_types with 3 frames"
    )
    folds: int = described(
        10, "parts of the data held out in turn, each from all config_types", ge=2
    )
    consecutive: bool = described(
        False, "hold out consecutive frames together, for trajectories"
    )
    share: float = described(
        0.5, "part of the sparse points that is taken, where there are many", gt=0, le=1
    )
    score: Literal["both", "energy", "forces", "evidence"] = described(
        "both", "held-out errors that decide; evidence: scans use the likelihood"
    )
    scan: dict[str, list[bool | float | int | str]] = described(
        {}, 'values to try, one key after another: { "soap.r_cut" = [4.5, 5.0] }'
    )

    @field_validator("scan", mode="before")
    @classmethod
    def _lists_of_values(cls, scan: Any) -> Any:
        check_scan_table(scan)
        return scan


class CalibrationConfig(Section):
    """Scale of standard deviations, from errors of structures that are left out."""

    method: Literal["leave_one_out", "none"] = described(
        "leave_one_out", "method of the scales stored with the model, or none"
    )
    rows: int = described(
        10_000, "largest number of observations, from all config_types", ge=1
    )


class RunConfig(Section):
    """Resources and reproducibility."""

    memory: str = described(
        "4 GB",
        "limit per process, plus 0.2 GB of Python; a quarter for choosing sparse points",
        pattern=r"^\s*[0-9]{1,12}(\.[0-9]{0,12})?\s*[kMGT]i?B\s*$",
    )
    executor: Literal["local", "mpi", "dask"] = described(
        "local", "where rows are computed: local processes, MPI ranks or Dask workers"
    )
    workers: int = described(
        1, "processes of executor local, or of Dask without scheduler", ge=1, le=4096
    )
    scheduler: str = described(
        "", "Dask scheduler address or scheduler file; empty: one on this machine"
    )
    threads: int = described(0, "threads per process; 0: all cores", ge=0, le=1024)
    device: str = described(
        "cpu",
        "who sums up rows: cpu, or a GPU by PyTorch: cuda, cuda:1",
        pattern=r"^(cpu|cuda(:[0-9]{1,3})?|torch:[a-z]{1,20}(:[0-9]{1,3})?)$",
    )
    seed: int = described(0, "seed of the random number generator", ge=0)
    store_posterior: bool = described(
        True, "store the posterior, for uncertainties, in the model file"
    )
    store_sums: bool = described(
        True, "store the training sums, for gapfit append and gapfit refit"
    )

    @property
    def memory_bytes(self) -> int:
        """The memory as a number of bytes."""
        text = self.memory.strip().rstrip("B").removesuffix("i").strip()
        return int(float(text[:-1]) * 1000 ** ("kMGT".index(text[-1]) + 1))


if TYPE_CHECKING:
    # For type checkers the signature of the constructor is that of the fields.
    from pydantic._internal._model_construction import ModelMetaclass as _InWords
else:

    class _InWords(type(BaseModel)):
        """Classes whose constructor tells mistakes as files and dictionaries do."""

        def __call__(cls, *arguments: Any, **values: Any) -> Any:
            """Return an object, or raise a `ConfigError` that lists all mistakes."""
            try:
                return super().__call__(*arguments, **values)
            except ValidationError:
                from gapfit.config.toml import validated

                validated(cls, values, cls.__name__)
                raise


class FitConfig(Section, metaclass=_InWords):
    """Configuration of a fit; only ``data.train`` and one term are mandatory."""

    data: DataConfig
    sigma: SigmaConfig = SigmaConfig()
    e0: E0Config = E0Config()
    baseline: BaselineConfig = BaselineConfig()
    terms: list[AnyTerm] = Field(..., min_length=1)
    solver: SolverConfig = SolverConfig()
    tune: TuneConfig | None = None
    prediction: PredictionConfig = PredictionConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    run: RunConfig = RunConfig()
