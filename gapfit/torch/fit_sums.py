"""Training sums of a fit, summed up on a device.

The sums are those of `gapfit.gp.training_sums`, and come back to this process as such: who
summed them up matters to nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gapfit.config.sections import SigmaConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.errors import GapfitError
from gapfit.gp.normal_equations import NormalEquations, kept_rows
from gapfit.gp.observations import Group
from gapfit.gp.streaming_qr import StreamingQR
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening
from gapfit.model.rows import DEVICE_BATCH_BYTES, row_targets
from gapfit.model.terms import FittedTerm
from gapfit.torch.arrays import reals
from gapfit.torch.fit_rows import FitRows

__all__ = ["DeviceRows", "fit_device"]

# Rows of a batch and their copies take about this much on a CPU, bytes.
_ON_CPU, _COPIES = 200_000_000, 4
# Columns of products that are computed at once: those below the diagonal are left out.
_COLUMNS = 1024


def fit_device(name: str) -> torch.device:
    """Return the device that ``run.device`` names.

    Raises
    ------
    GapfitError
        It is not there, or has no double precision.
    """
    try:
        device = torch.device(name.removeprefix("torch:"))
        torch.ones(2, dtype=torch.float64, device=device).sum().item()
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise GapfitError(
            f'run.device = "{name}": this machine has no such device, or torch cannot use '
            f'it in double precision ({reason}); set run.device = "cpu"'
        ) from error
    return device


@contextmanager
def _enough_memory(device: torch.device) -> Iterator[None]:
    """Say what to do if the memory of a device is too small."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
        raise GapfitError(
            f'run.device = "{device}" has too little memory ({reason}): lower n_sparse, '
            'let fewer workers share it, or set run.device = "cpu"'
        ) from error


class DeviceRows:
    """Computes rows of frames of a fit on a device, and sums over them.

    Parameters
    ----------
    terms, e0, sigma, whitening, method
        As of `gapfit.execution.accumulate.RowBuilder`.
    device : str
        Name of the device, as ``run.device``.
    """

    def __init__(
        self,
        terms: Sequence[FittedTerm],
        e0: dict[int, float],
        sigma: SigmaConfig,
        whitening: Whitening,
        method: str,
        device: str,
    ) -> None:
        self.e0, self.sigma = e0, sigma
        self.whitening, self.method = whitening, method
        self.device = fit_device(device)
        factors = whitening.cholesky if method == "cholesky" else []
        with _enough_memory(self.device):
            self.rows = FitRows(terms, self.device)
            self.factors = [reals(U).to(self.device) for U in factors]

    def sum_up(
        self,
        frames: Sequence[Frame],
        groups: Sequence[tuple[Group, ...]],
        report: Callable[[int], None] = lambda n_rows: None,
    ) -> TrainingSums:
        """Return the sums over the rows of frames, as `RowBuilder.sum_up`."""
        sums: dict[Group, _Normal | _Triangle] = {}
        most = _batch_bytes(self.device) // (24 * _COPIES * max(self.rows.n_sparse, 1))
        out = TrainingSums(self.whitening, self.method)
        with _enough_memory(self.device):
            for part in batches(frame_sizes(frames), max(most, 1)):
                report(self._add(sums, frames[part], groups[part]))
            out.groups = {group: part.on_host() for group, part in sums.items()}
        return out

    def _add(
        self,
        sums: dict[Group, _Normal | _Triangle],
        frames: Sequence[Frame],
        groups: Sequence[tuple[Group, ...]],
    ) -> int:
        """Add a batch and return its number of rows."""
        targets = row_targets(frames, self.e0, self.sigma)
        K = self.rows.labelled(frames)
        for group, where in targets.by_group(groups):
            if not len(where):
                continue
            sigma = reals(targets.sigma[where]).to(self.device)
            y = reals(targets.y[where]).to(self.device) / sigma
            rows = K[torch.from_numpy(where).to(self.device)] / sigma.unsqueeze(1)
            if group not in sums:
                kind = _Normal if self.method == "cholesky" else _Triangle
                sums[group] = kind(self.rows.n_sparse, self.device)
            sums[group].add(self._whitened(rows), y, sigma)
        return len(targets.y)

    def _whitened(self, rows: Tensor) -> Tensor:
        """Return rows times U^-1, in their place; as they are for QR."""
        begin = 0
        for U in self.factors:
            block = rows[:, begin : begin + len(U)]
            block.copy_(torch.linalg.solve_triangular(U, block, upper=True, left=False))
            begin += len(U)
        return rows


def _batch_bytes(device: torch.device) -> int:
    """Return the memory for the rows of a batch, bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(min(free // 4, DEVICE_BATCH_BYTES))
    return _ON_CPU if device.type == "cpu" else DEVICE_BATCH_BYTES


class _Sums:
    """Rows of one group of observations; see `gapfit.gp.accumulator.Accumulator`."""

    def __init__(self) -> None:
        self.square, self.n_rows, self.log_sigma = 0.0, 0, 0.0
        self.waiting: list[Tensor] = []

    def add(self, rows: Tensor, y: Tensor, sigma: Tensor) -> None:
        """Add rows and targets over their sigmas."""
        self.square += float(y @ y)
        self.n_rows += len(y)
        self.log_sigma += float(torch.log(sigma).sum())

    @property
    def counts(self) -> np.ndarray:
        """What `Accumulator.arrays` has of all kinds of sums."""
        return np.array([self.square, self.n_rows, self.log_sigma])

    def wait(self, rows: Tensor, enough: int) -> Tensor | None:
        """Return all rows that wait, and these, if there are more than `enough`."""
        self.waiting.append(rows)
        return self.gathered() if sum(map(len, self.waiting)) > enough else None

    def gathered(self) -> Tensor:
        """Return all rows that wait; none do afterwards."""
        rows, self.waiting = self.waiting, []
        return rows[0] if len(rows) == 1 else torch.cat(rows)


class _Normal(_Sums):
    """Normal equations on a device; see `NormalEquations`."""

    def __init__(self, n_sparse: int, device: torch.device) -> None:
        super().__init__()
        self.b = torch.zeros(n_sparse, dtype=torch.float64, device=device)
        self.G: Tensor | None = None

    def add(self, rows: Tensor, y: Tensor, sigma: Tensor) -> None:
        super().add(rows, y, sigma)
        self.b += y @ rows
        more = self.wait(rows, kept_rows(len(self.b)))
        if more is not None:
            self._add_products(more)

    def _add_products(self, rows: Tensor) -> None:
        n_sparse = len(self.b)
        if self.G is None:
            self.G = torch.zeros(
                [n_sparse, n_sparse], dtype=rows.dtype, device=rows.device
            )
        for first in range(0, n_sparse, _COLUMNS):
            some = rows[:, first : first + _COLUMNS]
            self.G[first : first + _COLUMNS, first:].addmm_(some.T, rows[:, first:])

    def on_host(self) -> NormalEquations:
        """Return the sums in the memory of this process."""
        if self.G is not None and self.waiting:
            self._add_products(self.gathered())
        products = self.gathered() if self.G is None else self.G
        return NormalEquations.of_sums(
            self.counts,
            self.b.cpu().numpy(),
            products.cpu().numpy(),
            summed=self.G is not None,
        )


class _Triangle(_Sums):
    """Triangle of a QR decomposition on a device; see `StreamingQR`."""

    def __init__(self, n_sparse: int, device: torch.device) -> None:
        super().__init__()
        shape = [n_sparse + 1, n_sparse + 1]
        self.R = torch.zeros(shape, dtype=torch.float64, device=device)

    def add(self, rows: Tensor, y: Tensor, sigma: Tensor) -> None:
        super().add(rows, y, sigma)
        more = self.wait(torch.cat([rows, y.unsqueeze(1)], dim=1), len(self.R))
        if more is not None:
            self._absorb(more)

    def _absorb(self, rows: Tensor) -> None:
        _, self.R = torch.linalg.qr(torch.cat([self.R, rows]), mode="r")

    def on_host(self) -> StreamingQR:
        """Return the sums in the memory of this process."""
        if self.waiting:
            self._absorb(self.gathered())
        return StreamingQR.of_triangle(self.counts, self.R.cpu().numpy())
