"""A quick fit that predicts the labels of frames that it has not seen.

One pass gives the rows of a sample of the data. Each half of the sample is then predicted
by a fit to the other half, to energies, to forces or to both: only the small systems of
equations are solved again.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gapfit._support.progress import silence, silent
from gapfit.config.paths import IN_MEMORY
from gapfit.config.sections import (
    DataConfig,
    E0Config,
    FitConfig,
    SigmaConfig,
    SoapConfig,
)
from gapfit.data.batching import batches
from gapfit.data.dataset import Dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, frame_sizes
from gapfit.data.neighbours import pair_list
from gapfit.data.observations import Quantity
from gapfit.fitting.prepare import prepare, sparse_terms, whitened
from gapfit.gp.observations import RowBlock
from gapfit.gp.whitening import Whitening
from gapfit.model.rows import row_block
from gapfit.model.terms import FittedTerm

__all__ = ["MIN_FRAMES", "EnergyRows", "HeldOut", "QuickFit", "quick_fit", "sample"]

#: Size of the quick fit.
MAX_FRAMES, MAX_ATOMS, N_SPARSE = 150, 2000, 400
#: Its cutoff, in units of the median distance to the nearest neighbour.
CUTOFF = 2.2
#: Config_types with fewer frames prove nothing alone; they are pooled.
MIN_FRAMES = 6

#: Range of the search for nearest neighbours, Å.
_FAR = 4.0
_BATCH_ATOMS = 256


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of all rows, each by the fit to the other half of the frames.

    Attributes
    ----------
    values : (n_rows,) float64
        Predicted targets, in their units.
    factors : tuple of Cholesky factors
        Precision of the whitened coefficients of the fit to each half, for `cho_solve`.
    """

    values: np.ndarray
    factors: tuple[tuple[np.ndarray, bool], ...]


@dataclass(frozen=True, eq=False)
class EnergyRows:
    """Whitened rows of the energies of some frames, in eV.

    Attributes
    ----------
    frames : tuple of Frame
        All with an energy.
    K : (n_frames, n_sparse) float64
        Rows of the total energies.
    y : (n_frames,) float64
        Energies without the isolated atoms.
    """

    frames: tuple[Frame, ...]
    K: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class QuickFit:
    """Whitened rows of a sample of frames, divided into two halves.

    Attributes
    ----------
    frames : tuple of Frame
        The sample.
    names : tuple of str
        The config_type of each frame; rare ones are pooled.
    half : (n_frames,) int64
        The half of each frame, 0 or 1.
    K : (n_rows, n_sparse) float64
        Whitened rows of all energies, forces and virials.
    y : (n_rows,) float64
        Labels without the isolated atoms, eV, eV/Å, eV.
    kind, frame : (n_rows,) int64
        Position of the quantity in `gapfit.data.observations.Quantity`; index of the frame.
    others : EnergyRows
        Energies of frames beyond the sample.
    """

    frames: tuple[Frame, ...]
    names: tuple[str, ...]
    half: np.ndarray
    K: np.ndarray
    y: np.ndarray
    kind: np.ndarray
    frame: np.ndarray
    others: EnergyRows

    def rows(self, quantity: Quantity) -> np.ndarray:
        """Return which rows are of one quantity, (n_rows,) bool."""
        return self.kind == quantity.position

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of atoms of each frame, (n_frames,) float64."""
        return np.array([frame.n_atoms for frame in self.frames], dtype=np.float64)

    @cached_property
    def forces_rms(self) -> float:
        """Root mean square of the force labels, eV/Å."""
        forces = self.y[self.rows(Quantity.FORCES)]
        return float(np.sqrt(np.mean(forces**2))) if len(forces) else 0.0

    @cached_property
    def energy_spread(self) -> float:
        """Robust standard deviation of the energies, eV/atom."""
        rows = self.rows(Quantity.ENERGY)
        energies = self.y[rows] / self.sizes[self.frame[rows]]
        if not len(energies):
            return 0.0
        return float(1.4826 * np.median(np.abs(energies - np.median(energies))))

    def groups(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield config_types of enough frames, and which frames they have."""
        names = np.array(self.names)
        for name in dict.fromkeys(self.names):
            if (names == name).sum() >= MIN_FRAMES:
                yield name, names == name

    def energy_rows(self) -> EnergyRows:
        """Return the energies of the sample and of the frames beyond it."""
        rows = self.rows(Quantity.ENERGY)
        return EnergyRows(
            (*(self.frames[n] for n in self.frame[rows]), *self.others.frames),
            np.concatenate([self.K[rows], self.others.K]),
            np.concatenate([self.y[rows], self.others.y]),
        )

    def force_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (n_rows, n_sparse) and labels (n_rows,) of the forces."""
        rows = self.rows(Quantity.FORCES)
        return self.K[rows], self.y[rows]

    def held_out(self, *, energy: float, forces: float) -> HeldOut:
        """Predict each half by a fit to energies and forces of the other half.

        Parameters
        ----------
        energy, forces : float
            Noise, eV/atom and eV/Å; infinite for labels that are not fitted.
        """
        sigma = np.full(len(self.y), np.inf)
        rows = self.rows(Quantity.ENERGY)
        sigma[rows] = energy * self.sizes[self.frame[rows]]
        sigma[self.rows(Quantity.FORCES)] = forces
        return self.solve(sigma, self.y)

    def skill(self, held_out: HeldOut, quantity: Quantity, frames: np.ndarray) -> float:
        """Return the share of the variance of labels that the prediction explains.

        Parameters
        ----------
        held_out : HeldOut
            The prediction.
        quantity : Quantity
            Energies, per atom and about their mean; or forces.
        frames : (n_frames,) bool
            The frames judged.

        Returns
        -------
        float
            At most 1; 0 or less where the prediction is no better than none, or there is
            nothing to predict.
        """
        rows = self.rows(quantity) & frames[self.frame]
        y, error = self.y[rows], self.y[rows] - held_out.values[rows]
        if quantity is Quantity.ENERGY and len(y):
            sizes = self.sizes[self.frame[rows]]
            y, error = y / sizes - np.mean(y / sizes), error / sizes
        total = float(np.sum(y**2))
        return 1 - float(np.sum(error**2)) / total if total > 0 else 0.0

    def solve(self, sigma: np.ndarray, y: np.ndarray) -> HeldOut:
        """Predict each half by a fit to given targets of the other half.

        Parameters
        ----------
        sigma : (n_rows,) float64
            Noise; infinite for rows that are not fitted.
        y : (n_rows,) float64
            Targets.
        """
        values = np.empty(len(y))
        factors = []
        for half in (0, 1):
            same = self.half[self.frame] == half
            rows = np.flatnonzero(same & np.isfinite(sigma))
            scaled = self.K[rows] / sigma[rows, None]
            factor = cho_factor(scaled.T @ scaled + np.eye(self.K.shape[1]))
            values[~same] = self.K[~same] @ cho_solve(
                factor, scaled.T @ (y[rows] / sigma[rows])
            )
            factors.append(factor)
        return HeldOut(values, tuple(factors))


def quick_fit(
    frames: Sequence[Frame],
    e0: Mapping[int, float] | None = None,
    others: Sequence[Frame] = (),
) -> QuickFit:
    """Return the rows of a quick fit of a few frames.

    Parameters
    ----------
    frames : sequence of Frame
        A small number, as all are kept; see `sample`.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV; by least squares when absent.
    others : sequence of Frame
        Further frames, of which only the energies get rows.
    """
    names = _group_names(frames)
    half = np.zeros(len(frames), dtype=np.int64)
    for name in dict.fromkeys(names):
        members = np.flatnonzero(np.array(names) == name)
        half[members] = np.arange(len(members)) % 2
    config = _quick_config(frames, e0)
    with silence("gapfit"):
        prepared = prepare(Dataset(tuple(frames)), config, Path(), silent)
        terms = sparse_terms(prepared, config, [], silent)
        whitening = whitened(terms, config, [])

    def rows(of: Sequence[Frame]) -> RowBlock:
        return _whitened_rows(of, terms, prepared.e0, whitening)

    block = rows(prepared.frames)
    comparable = [f for f in others if f.energy is not None]
    comparable = [f for f in comparable if set(f.numbers.tolist()) <= set(prepared.e0)]
    energies = rows([replace(f, forces=None, virial=None) for f in comparable])
    return QuickFit(
        tuple(frames),
        tuple(names),
        half,
        block.K,
        block.y,
        block.kind,
        block.frame,
        EnergyRows(tuple(comparable), energies.K, energies.y),
    )


def _whitened_rows(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    e0: dict[int, float],
    whitening: Whitening,
) -> RowBlock:
    """Return rows of all labels of some frames, made in batches."""
    n_sparse = sum(term.n_sparse for term in terms)
    none = np.zeros(0, dtype=np.int64)
    blocks = [RowBlock(np.zeros(0), np.zeros(0), none, none, np.zeros((0, n_sparse)))]
    for batch in batches(frame_sizes(frames), _BATCH_ATOMS):
        block = row_block(frames[batch], terms, e0, SigmaConfig())
        whitening.apply(block.K, overwrite=True)
        blocks.append(replace(block, frame=block.frame + batch.start))
    return RowBlock(
        *(
            np.concatenate([getattr(block, field) for block in blocks])
            for field in ("y", "sigma", "kind", "frame", "K")
        )
    )


def sample(
    frames: Sequence[Frame],
    usable: Sequence[int],
    max_frames: int = MAX_FRAMES,
    max_atoms: int = MAX_ATOMS,
) -> list[int]:
    """Return indices of frames of all config_types in turn.

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    usable : sequence of int
        Indices of those to choose from.
    max_frames, max_atoms : int
        Most frames, and most atoms together.
    """
    types, sizes = config_types(frames), frame_sizes(frames)
    queues: dict[str, list[int]] = defaultdict(list)
    for n in usable:
        queues[types[n]].append(n)
    # Multiples of the golden ratio, modulo one, spread evenly however many are taken.
    waiting = [
        deque(np.array(queue)[np.argsort(np.arange(len(queue)) * 0.618033989 % 1.0)])
        for queue in queues.values()
    ]
    taken: list[int] = []
    n_atoms = 0
    while any(waiting) and len(taken) < max_frames:
        for queue in waiting:
            if queue and len(taken) < max_frames:
                n = int(queue.popleft())
                if n_atoms + sizes[n] <= max_atoms or len(taken) < MIN_FRAMES:
                    taken.append(n)
                    n_atoms += int(sizes[n])
    return taken


def _group_names(frames: Sequence[Frame]) -> list[str]:
    """Return the config_type of each frame, rare ones pooled."""
    types = config_types(frames)
    counts = Counter(types)
    rare = [name for name, count in counts.items() if count < MIN_FRAMES]
    together = ", ".join(rare)
    return [together if name in rare else name for name in types]


def _quick_config(frames: Sequence[Frame], e0: Mapping[int, float] | None) -> FitConfig:
    from ase.data import chemical_symbols

    n_species = len({int(z) for frame in frames for z in frame.numbers})
    given: dict[str, Any] = {chemical_symbols[z]: e for z, e in (e0 or {}).items()}
    soap = SoapConfig(
        r_cut=float(np.clip(CUTOFF * _neighbour_distance(frames), 3.0, 6.5)),
        # Features grow with the square of the species: fewer functions for alloys.
        n_max=6 if n_species == 1 else 4,
        l_max=4 if n_species == 1 else 3,
        n_sparse=max(N_SPARSE // n_species, 50),
    )
    return FitConfig(
        data=DataConfig(train=[IN_MEMORY]),
        sigma=SigmaConfig(),
        e0=E0Config(method="least_squares", **given),
        terms=[soap],
    )


def _neighbour_distance(frames: Sequence[Frame]) -> float:
    """Return the median distance of an atom to its nearest neighbour, Å."""
    distances = []
    for frame in frames:
        pairs = pair_list(frame, _FAR)
        nearest = np.full(frame.n_atoms, _FAR)
        np.minimum.at(nearest, pairs.i, np.linalg.norm(pairs.R, axis=1))
        distances.append(nearest)
    return float(np.median(np.concatenate(distances)))
