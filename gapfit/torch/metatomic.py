"""Models for the engines of metatomic, such as ASE, LAMMPS and i-PI."""

from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035 - metatomic compares annotations

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor, nn

from gapfit._support.archive import atomic_write
from gapfit.model.gap_model import GAPModel
from gapfit.torch.build import torch_model
from gapfit.torch.build_uncertainty import why_without_deviations
from gapfit.torch.potential import Potential

__all__ = ["export_metatomic", "metatomic_model"]


class _MetatomicPotential(nn.Module):
    """A potential in metatomic's interface.

    Parameters
    ----------
    potential : Potential
        The potential.
    """

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential
        self.neighbours = NeighborListOptions(
            cutoff=potential.cutoff, full_list=True, strict=True
        )

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        """Return the neighbour lists that the engine must give."""
        return [self.neighbours]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels] = None,  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        """Return energies of structures or of their atoms, and what is known of them.

        Parameters
        ----------
        systems : list of System
            Structures with their neighbour lists.
        outputs : dict of str to ModelOutput
            What to compute: ``energy``, ``energy_uncertainty``, ``energy_ensemble``,
            ``gapfit::novelty``.
        selected_atoms : Labels, optional
            Atoms whose energies count; all by default.
        """
        results: Dict[str, TensorMap] = {}  # noqa: UP006
        if len(systems) == 0:
            return results
        device = systems[0].positions.device
        sizes = torch.tensor([len(system) for system in systems], device=device)
        owner = torch.repeat_interleave(
            torch.arange(len(systems), device=device), sizes
        )
        begins = torch.cumsum(sizes, dim=0) - sizes
        chosen = torch.ones([owner.shape[0]], dtype=torch.bool, device=device)
        if selected_atoms is not None:
            which = selected_atoms.values.long()
            chosen = torch.zeros_like(chosen)
            chosen[begins[which[:, 0]] + which[:, 1]] = True
        pairs, R = self._pairs(systems, begins, chosen)
        numbers = torch.cat([system.types for system in systems])
        atoms = torch.nonzero(chosen).flatten()
        found: Dict[str, Tensor] = {}  # noqa: UP006
        std, novelty = "energy_uncertainty" in outputs, "gapfit::novelty" in outputs
        if std or novelty:
            found = self.potential.uncertainties(R, pairs, numbers, std, novelty)
        for name, output in outputs.items():
            values = self._values(name, output, R, pairs, numbers, found)
            if output.sample_kind == "atom":
                system_and_atom = [owner[atoms], atoms - begins[owner[atoms]]]
                samples = Labels(
                    ["system", "atom"],
                    torch.stack(system_and_atom, dim=1).to(torch.int32),
                )
                values = values[atoms]
            else:
                every = torch.arange(len(systems), device=device)
                samples = Labels(["system"], every.unsqueeze(1).to(torch.int32))
                shape = [len(systems), values.shape[1]]
                zero = torch.zeros(shape, dtype=values.dtype, device=device)
                values = zero.index_add(0, owner[atoms], values[atoms])
            members = torch.arange(values.shape[1], device=device).unsqueeze(1)
            block = TensorBlock(
                values=values,
                samples=samples,
                components=torch.jit.annotate(List[Labels], []),  # noqa: UP006
                properties=Labels([self._property(name)], members.to(torch.int32)),
            )
            only = torch.zeros([1, 1], dtype=torch.int32, device=device)
            results[name] = TensorMap(keys=Labels(["_"], only), blocks=[block])
        return results

    def _values(
        self,
        name: str,
        output: ModelOutput,
        R: Tensor,
        pairs: Tensor,
        numbers: Tensor,
        found: Dict[str, Tensor],  # noqa: UP006
    ) -> Tensor:
        """Return the values of an output for all atoms, (n_atoms, n).

        `found` is what `Potential.uncertainties` has found, where it was asked for.
        """
        potential = self.potential
        if name == "energy":
            return potential.differentiable_energies(R, pairs, numbers).unsqueeze(1)
        if name == "energy_ensemble":
            return potential.sampled_energies(R, pairs, numbers)
        if name not in ("energy_uncertainty", "gapfit::novelty"):
            raise ValueError(f"there is no output {name}")
        if output.sample_kind != "atom":
            raise ValueError(f"{name} is that of atoms")
        kind = "energies_std" if name == "energy_uncertainty" else "novelty"
        return found[kind].unsqueeze(1)

    def _property(self, name: str) -> str:
        """Return the label of the values of an output."""
        return "novelty" if name == "gapfit::novelty" else "energy"

    def _pairs(
        self,
        systems: List[System],  # noqa: UP006
        begins: Tensor,
        chosen: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the pairs of chosen atoms, (2, n_pairs), and their vectors, Å."""
        pairs: List[Tensor] = []  # noqa: UP006
        vectors: List[Tensor] = []  # noqa: UP006
        for k, system in enumerate(systems):
            block = system.get_neighbor_list(self.neighbours)
            ends = block.samples.values[:, :2].long().t() + begins[k]
            counted = torch.nonzero(chosen[ends[0]]).flatten()
            pairs.append(ends[:, counted])
            vectors.append(block.values.squeeze(2)[counted])
        return torch.cat(pairs, dim=1), torch.cat(vectors)


def metatomic_model(
    model: GAPModel,
    *,
    std: bool = True,
    novelty: bool = False,
    samples: int = 0,
    name: str = "gapfit potential",
) -> Any:
    """Return a model as an ``AtomisticModel`` of metatomic.

    Its outputs are ``energy`` of structures and of atoms, eV, and if the model has a
    posterior standard deviations of the energies of atoms, ``energy_uncertainty``; with
    `novelty`, ``gapfit::novelty`` of atoms; with `samples`, ``energy_ensemble`` of
    structures and atoms. Engines derive forces and stress. Lengths are in Å, numbers are
    float64.

    Parameters
    ----------
    model : GAPModel
        See `gapfit.torch.torch_model`.
    std : bool
        Whether to include standard deviations, if there are.
    novelty : bool
        Whether to include the novelty.
    samples : int
        Number of potentials drawn from the posterior (`GAPModel.sample`).
    name : str
        Name of the model for engines.

    Raises
    ------
    GapfitError
        The model needs Python at prediction, or has no posterior for what is asked for.
    """
    std = std and why_without_deviations(model) is None
    potential = torch_model(model, std=std, novelty=novelty, samples=samples)
    outputs = {"energy": ModelOutput(unit="eV", sample_kind="atom")}
    if std:
        outputs["energy_uncertainty"] = ModelOutput(unit="eV", sample_kind="atom")
    if novelty:
        outputs["gapfit::novelty"] = ModelOutput(unit="", sample_kind="atom")
    if samples:
        outputs["energy_ensemble"] = ModelOutput(unit="eV", sample_kind="atom")
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=potential.numbers,
        # Energies of atoms depend on no others than their neighbours.
        interaction_range=potential.cutoff,
        length_unit="angstrom",
        supported_devices=["cuda", "cpu"],
        dtype="float64",
    )
    metadata = ModelMetadata(
        name=name,
        description=f"Gaussian Approximation Potential: {model!r}",
        references={
            "architecture": ["https://doi.org/10.1103/PhysRevLett.104.136403"],
            "implementation": ["https://github.com/gapfit/gapfit"],
        },
    )
    module = _MetatomicPotential(potential).eval()
    return AtomisticModel(module, metadata, capabilities)


def export_metatomic(
    model: GAPModel,
    path: str | Path,
    *,
    std: bool = True,
    novelty: bool = False,
    samples: int = 0,
) -> None:
    """Write a model for the engines of metatomic; see `metatomic_model`.

    Parameters
    ----------
    model : GAPModel
        See `gapfit.torch.torch_model`.
    path : str or Path
        File to write, usually ``.pt``; replaced when the new one is complete.
    std : bool
        Whether to include standard deviations, if there are.
    novelty : bool
        Whether to include the novelty.
    samples : int
        Number of potentials drawn from the posterior.

    Raises
    ------
    GapfitError
        The model needs Python at prediction, or has no posterior for what is asked for.
    """
    exported = metatomic_model(
        model, std=std, novelty=novelty, samples=samples, name=Path(path).stem
    )
    with atomic_write(path) as temporary:
        exported.save(str(temporary))
