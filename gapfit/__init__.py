"""gapfit: fit, check and run Gaussian Approximation Potentials."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapfit._support.progress_bar import ProgressBar
    from gapfit.active.learn import learn
    from gapfit.active.select import select
    from gapfit.calculator import GAPCalculator
    from gapfit.config.sections import FitConfig
    from gapfit.errors import GapfitError
    from gapfit.evaluation.calibrate import calibrate
    from gapfit.evaluation.comparison import compare
    from gapfit.evaluation.evaluate import evaluate
    from gapfit.evaluation.leave_one_out import leave_one_out
    from gapfit.execution.checkpoint import remove_checkpoint
    from gapfit.execution.plan import plan
    from gapfit.fitting.append import append
    from gapfit.fitting.check import check
    from gapfit.fitting.fit import fit
    from gapfit.fitting.proposal import propose
    from gapfit.fitting.refit import refit
    from gapfit.fitting.tune import tune
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.storage import load
    from gapfit.propagation.spread import propagate
    from gapfit.propagation.trajectory import reweight
    from gapfit.robustness.suite import stress_test

__all__ = [
    "FitConfig",
    "GAPCalculator",
    "GAPModel",
    "GapfitError",
    "ProgressBar",
    "__version__",
    "append",
    "calibrate",
    "check",
    "compare",
    "evaluate",
    "fit",
    "learn",
    "leave_one_out",
    "load",
    "plan",
    "propagate",
    "propose",
    "refit",
    "remove_checkpoint",
    "reweight",
    "select",
    "stress_test",
    "tune",
]

_HOME = {
    "FitConfig": "gapfit.config.sections",
    "GAPCalculator": "gapfit.calculator",
    "GAPModel": "gapfit.model.gap_model",
    "GapfitError": "gapfit.errors",
    "ProgressBar": "gapfit._support.progress_bar",
    "append": "gapfit.fitting.append",
    "calibrate": "gapfit.evaluation.calibrate",
    "check": "gapfit.fitting.check",
    "compare": "gapfit.evaluation.comparison",
    "evaluate": "gapfit.evaluation.evaluate",
    "fit": "gapfit.fitting.fit",
    "learn": "gapfit.active.learn",
    "leave_one_out": "gapfit.evaluation.leave_one_out",
    "load": "gapfit.model.storage",
    "plan": "gapfit.execution.plan",
    "propagate": "gapfit.propagation.spread",
    "propose": "gapfit.fitting.proposal",
    "refit": "gapfit.fitting.refit",
    "remove_checkpoint": "gapfit.execution.checkpoint",
    "reweight": "gapfit.propagation.trajectory",
    "select": "gapfit.active.select",
    "stress_test": "gapfit.robustness.suite",
    "tune": "gapfit.fitting.tune",
}

#: Packages and modules for users, imported when they are first used.
_PACKAGES = frozenset(
    {
        "active",
        "citations",
        "config",
        "data",
        "evaluation",
        "lammps",
        "methods",
        "pacemaker",
        "plot",
        "propagation",
        "properties",
        "published",
        "quip",
        "report",
        "robustness",
        "search",
        "serving",
        "testing",
        "torch",
        "turbogap",
    }
)

#: Commands whose functions have other names.
_COMMANDS = {
    "cite": "gapfit.citations.papers",
    "convert": "load and save of gapfit.quip, pacemaker and turbogap, quip.translate",
    "export_lammps": "gapfit.lammps.export_lammps",
    "export_metatomic": "gapfit.torch.export_metatomic",
    "info": "the attributes config and record of a GAPModel",
    "init": "gapfit.propose",
    "reproduce": "gapfit.fitting.reproduce.reproduction",
    "predict": "the method predict of a GAPModel",
    "serve": "gapfit.serving.serve",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gapfit")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _PACKAGES:
        return import_module(f"gapfit.{name}")
    hint = f"; use {_COMMANDS[name]}" if name in _COMMANDS else ""
    raise AttributeError(f"module 'gapfit' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES])
