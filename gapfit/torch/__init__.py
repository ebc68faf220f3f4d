"""Fitted potentials in PyTorch, for GPUs and for engines that run torch models.

`torch_model` returns a module that computes what `GAPModel.predict` does, on any device and
for many structures at once, and that TorchScript can compile. `export_metatomic` writes a
model for the engines of metatomic, `torch_sim_model` returns one for torch-sim.
`DeviceRows` sums up the rows of a fit on a device. Needs the extra ``torch``;
`export_metatomic` and `torch_sim_model` need ``metatomic`` and ``torch-sim``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.torch.build import torch_model
    from gapfit.torch.build_uncertainty import why_without_deviations
    from gapfit.torch.fit_sums import DeviceRows, fit_device
    from gapfit.torch.metatomic import export_metatomic
    from gapfit.torch.neighbours import neighbour_list
    from gapfit.torch.potential import Potential
    from gapfit.torch.torch_sim import torch_sim_model

__all__ = [
    "DeviceRows",
    "Potential",
    "export_metatomic",
    "fit_device",
    "neighbour_list",
    "torch_model",
    "torch_sim_model",
    "why_without_deviations",
]

#: Module of each name, and the extra that it needs.
_HOME = {
    "DeviceRows": ("fit_sums", "torch"),
    "Potential": ("potential", "torch"),
    "export_metatomic": ("metatomic", "metatomic"),
    "fit_device": ("fit_sums", "torch"),
    "neighbour_list": ("neighbours", "torch"),
    "torch_model": ("build", "torch"),
    "torch_sim_model": ("torch_sim", "torch-sim"),
    "why_without_deviations": ("build_uncertainty", "torch"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gapfit.torch' has no attribute {name!r}")
    module, extra = _HOME[name]
    try:
        return getattr(import_module(f"gapfit.torch.{module}"), name)
    except ImportError as error:
        raise GapfitError(
            f"gapfit.torch.{name} needs a package that is missing or does not work "
            f"({error}): pip install 'gapfit[{extra}]'"
        ) from error
