"""Models for torch-sim: many structures at once on one device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState

from gapfit.model.gap_model import GAPModel
from gapfit.torch.build import torch_model
from gapfit.torch.moving_list import MovingList

__all__ = ["TorchSimModel", "torch_sim_model"]


class TorchSimModel(ModelInterface):
    """A potential in torch-sim's interface; see `torch_sim_model`.

    Parameters
    ----------
    model : GAPModel
        The model.
    device : torch.device
        Where it runs.
    dtype : torch.dtype
        Of positions and results.
    skin : float
        Added to the cutoff of neighbour searches, Å.
    compute_forces, compute_stress : bool
        Whether to compute derivatives.
    """

    def __init__(
        self,
        model: GAPModel,
        device: torch.device,
        dtype: torch.dtype,
        *,
        skin: float,
        compute_forces: bool,
        compute_stress: bool,
    ) -> None:
        super().__init__()
        self._device, self._dtype = device, dtype
        self._compute_forces, self._compute_stress = compute_forces, compute_stress
        self.potential = torch_model(model).to(device=device, dtype=dtype)
        self.pairs = MovingList(model.cutoff, skin)

    @property
    def compute_stress(self) -> bool:
        """Whether stress is computed."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        self._compute_stress = compute_stress

    @property
    def compute_forces(self) -> bool:
        """Whether forces are computed."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        self._compute_forces = compute_forces

    def forward(self, state: SimState | dict[str, Any], **_: Any) -> dict[str, Tensor]:
        """Return energies, forces and stress of all structures of a state.

        Parameters
        ----------
        state : SimState or dict
            Structures, or the arguments of a SimState.

        Returns
        -------
        dict of str to tensor
            ``energy`` (n_systems,), eV; ``energies`` of atoms; ``forces`` (n_atoms, 3),
            eV/Å; ``stress`` (n_systems, 3, 3), eV/Å³, positive under tension.
        """
        if not isinstance(state, SimState):
            state = SimState(**state)
        cells = state.row_vector_cell
        pbc = torch.as_tensor(state.pbc, device=cells.device).expand(len(cells), 3)
        positions = state.positions.detach()
        pairs, shifts = self.pairs(positions, cells, pbc, state.system_idx)
        out: dict[str, Tensor] = self.potential(
            positions,
            cells,
            state.atomic_numbers,
            state.system_idx,
            pairs,
            shifts,
            self.compute_forces,
            self.compute_stress,
        )
        out.pop("virial", None)
        return {name: values.to(self.dtype) for name, values in out.items()}


def torch_sim_model(
    model: GAPModel,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float64,
    skin: float = 0.5,
    compute_forces: bool = True,
    compute_stress: bool = True,
) -> TorchSimModel:
    """Return a model for torch-sim.

    Parameters
    ----------
    model : GAPModel
        See `gapfit.torch.torch_model`.
    device : torch.device or str, optional
        By default the GPU if there is one.
    dtype : torch.dtype
        Of positions and results; sums over sparse points are float64.
    skin : float
        Added to the cutoff of neighbour searches, Å: a list serves until an atom of any
        structure has moved by half of it, or a cell has changed. 0: search each time.
    compute_forces, compute_stress : bool
        Whether to compute derivatives.

    Raises
    ------
    GapfitError
        The model needs Python at prediction, or the skin is negative or not finite.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchSimModel(
        model,
        torch.device(device),
        dtype,
        skin=skin,
        compute_forces=compute_forces,
        compute_stress=compute_stress,
    )
