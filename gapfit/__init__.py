"""gapfit: fit, check and run Gaussian Approximation Potentials."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapfit.appending import append
    from gapfit.calculator import GAPCalculator
    from gapfit.calibrating import calibrate
    from gapfit.config import FitConfig
    from gapfit.errors import GapfitError
    from gapfit.evaluation import evaluate
    from gapfit.fitting import fit
    from gapfit.left_out import leave_one_out
    from gapfit.model import GAPModel
    from gapfit.onthefly import learn
    from gapfit.refitting import refit
    from gapfit.selection import select
    from gapfit.storage import load
    from gapfit.tuning import tune
    from gapfit.work_folder import remove_checkpoint

__all__ = [
    "FitConfig",
    "GAPCalculator",
    "GAPModel",
    "GapfitError",
    "__version__",
    "append",
    "calibrate",
    "evaluate",
    "fit",
    "learn",
    "leave_one_out",
    "load",
    "refit",
    "remove_checkpoint",
    "select",
    "tune",
]

_HOME = {
    "FitConfig": "gapfit.config",
    "GAPCalculator": "gapfit.calculator",
    "GAPModel": "gapfit.model",
    "GapfitError": "gapfit.errors",
    "append": "gapfit.appending",
    "calibrate": "gapfit.calibrating",
    "evaluate": "gapfit.evaluation",
    "fit": "gapfit.fitting",
    "learn": "gapfit.onthefly",
    "leave_one_out": "gapfit.left_out",
    "load": "gapfit.storage",
    "refit": "gapfit.refitting",
    "remove_checkpoint": "gapfit.work_folder",
    "select": "gapfit.selection",
    "tune": "gapfit.tuning",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gapfit")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'gapfit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
