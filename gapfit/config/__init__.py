"""Configuration: the tables and keys of fit.toml, read, checked and written."""

from gapfit.config.learn import LearnConfig
from gapfit.config.sections import (
    BaselineConfig,
    D3Config,
    DataConfig,
    E0Config,
    FitConfig,
    PredictionConfig,
    RunConfig,
    SigmaConfig,
    SolverConfig,
    TuneConfig,
)
from gapfit.config.term_base import SparseTermConfig, TermConfig, register_term
from gapfit.config.terms import (
    AceConfig,
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
)
from gapfit.config.toml import config_from_dict, load_config, load_config_as

__all__ = [
    "AceConfig",
    "Angle3bConfig",
    "BaselineConfig",
    "D3Config",
    "DataConfig",
    "Distance2bConfig",
    "E0Config",
    "EamDensityConfig",
    "FitConfig",
    "LearnConfig",
    "PredictionConfig",
    "RunConfig",
    "SigmaConfig",
    "SoapConfig",
    "SolverConfig",
    "SparseTermConfig",
    "TermConfig",
    "TuneConfig",
    "config_from_dict",
    "load_config",
    "load_config_as",
    "register_term",
]
