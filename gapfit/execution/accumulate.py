"""From frames to sums: kernel rows block by block, each dropped once it is added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import gapfit.torch
from gapfit._support.extras import needed
from gapfit.config.sections import SigmaConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.gp.observations import Group
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.gap_model import GAPModel
from gapfit.model.rows import row_block
from gapfit.model.terms import FittedTerm

__all__ = ["RowBuilder", "require_device", "task_slices"]

# A task should have a few times more rows than sparse points, or handling its sums costs
# more than the rows. Small data sets are cut finer, so that many workers share them
# evenly, but into no more parts than one node of the tree adds.
_TASKS, _LEAST_ATOMS = 30, 250


@dataclass(frozen=True, eq=False)
class RowBuilder:
    """Computes rows of frames of a fit and sums over them.

    Attributes
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    sigma : SigmaConfig
        Standard deviations.
    whitening : Whitening
        Cholesky factors of K_mm.
    method : {"cholesky", "qr"}
        See `TrainingSums`.
    device : str
        Who computes: ``cpu``, the core, or a device of torch; see ``run.device``.
    """

    terms: Sequence[FittedTerm]
    e0: dict[int, float]
    sigma: SigmaConfig
    whitening: Whitening
    method: str
    device: str = "cpu"

    @classmethod
    def of(
        cls, model: GAPModel, method: str | None = None, device: str = "cpu"
    ) -> RowBuilder:
        """Return the rows of a model with training sums; by default of their method."""
        sums = model.training_sums
        assert sums is not None
        return cls(
            model.terms,
            model.e0,
            model.config.sigma,
            sums.whitening,
            method or sums.method,
            device,
        )

    @cached_property
    def _on_device(self) -> gapfit.torch.DeviceRows:
        return gapfit.torch.DeviceRows(
            self.terms, self.e0, self.sigma, self.whitening, self.method, self.device
        )

    def sum_up(
        self,
        frames: Sequence[Frame],
        groups: Sequence[tuple[Group, ...]],
        batch_atoms: int,
        report: Callable[[int], None] = lambda n_rows: None,
    ) -> TrainingSums:
        """Return the sums over the rows of frames.

        Parameters
        ----------
        frames : sequence of Frame
            Without the baseline, with automatic sigmas.
        groups : sequence
            Groups of each frame's energy, forces and virial.
        batch_atoms : int
            Atoms whose rows are in memory at a time; a device has its own number.
        report : callable
            Called with the number of rows done since the last call.
        """
        if self.device != "cpu":
            return self._on_device.sum_up(frames, groups, report)
        sums = TrainingSums(self.whitening, self.method)
        for part in batches(frame_sizes(frames), batch_atoms):
            report(self._add(sums, frames[part], groups[part]))
        sums.close()
        return sums

    def _add(
        self,
        sums: TrainingSums,
        frames: Sequence[Frame],
        groups: Sequence[tuple[Group, ...]],
    ) -> int:
        """Add a batch and return its number of rows; they are freed before the next."""
        block = row_block(frames, self.terms, self.e0, self.sigma)
        sums.add_block(block, groups)
        return len(block.y)


def require_device(name: str) -> None:
    """Refuse a ``run.device`` that is not there.

    Raises
    ------
    GapfitError
        It needs torch, or this machine has no such device.
    """
    if name != "cpu":
        needed("torch", "torch", f'run.device = "{name}"')
        gapfit.torch.fit_device(name)


def task_slices(sizes: np.ndarray, n_sparse: int) -> list[slice]:
    """Return the frames of each task; they depend on the data alone, not on the workers.

    Parameters
    ----------
    sizes : (n_frames,) int64
        Atoms of each frame.
    n_sparse : int
        Sparse points of all terms.
    """
    enough = max(2 * n_sparse, 1000)
    even = max(int(np.sum(sizes)) // _TASKS, n_sparse // 4, _LEAST_ATOMS)
    return list(batches(sizes, min(enough, even)))
